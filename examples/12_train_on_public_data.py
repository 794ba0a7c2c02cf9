"""Left against right hand, imagined, of the PhysioNet motor imagery set.

Train on two runs, test on the third. --folder takes a folder that holds
S001R04.edf …; without it MNE downloads the runs (mne.datasets.eegbci, 8 MB).
Every figure comes with its interval and with what guessing reaches; trials of
one run never train and test.

Schalk et al., IEEE Trans. Biomed. Eng. 51(6):1034-1043, 2004;
Goldberger et al., Circulation 101(23):e215, 2000.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from bci.errors import BciError
from bci.sessions.evaluating import EvaluationRequest, evaluate_recordings

IMAGERY_RUNS = (4, 8, 12)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=os.environ.get("EEGMMIDB"),
        help="recordings that are here (or $EEGMMIDB)",
    )
    parser.add_argument("--subject", type=int, default=1, help="1 to 109")
    parser.add_argument(
        "--channels", default="sensorimotor", help="C3,Cz,C4 … or a set's name; all: every one"
    )
    parser.add_argument("--control", action="store_true", help="also score whole runs, pauses included")
    args = parser.parse_args(argv)
    if not 1 <= args.subject <= 109:
        parser.error(f"--subject {args.subject}: expected 1 to 109")
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(args.folder) if args.folder else download(args.subject, Path(folder))
            channels = () if args.channels == "all" else tuple(args.channels.split(","))
            request = EvaluationRequest(
                path, train=("R4", "R8"), test=("R12",), channels=channels, control=args.control
            )
            (result,) = evaluate_recordings(request, subjects=(f"S{args.subject:03d}",))
    except (BciError, OSError) as err:
        print(err, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    found = result.evaluation
    print(f"{result.title}: trained on R4 and R8, {len(found.cued['default'].labels)} trials of R12")
    for name, one in found.cued.items():
        low, high = one.interval
        print(f"  {name:<20} balanced accuracy {one.balanced_accuracy:.2f} (95 % {low:.2f} to {high:.2f})")
    some = found.cued["default"]
    print(f"  chance {some.chance:.2f}; guessing reaches {some.chance_threshold:.2f} once in 20 such sets")
    if found.control is not None:
        print(f"  control: {found.control.hits} of {found.control.n_events} movements found, "
              f"{found.control.false_positives_per_min:.1f} false a minute")  # fmt: skip
    return 0


def download(subject: int, folder: Path) -> Path:
    """The runs of intended movement, copied beside each other."""
    from mne.datasets import eegbci

    for file in eegbci.load_data(subject, IMAGERY_RUNS, update_path=False):
        shutil.copy(file, folder)
    return folder


if __name__ == "__main__":
    sys.exit(main())
