"""From a recording to event-related desynchronisation, all in MNE.

Raw, Epochs, time-frequency, scalp maps. Give it a .bfp recording with cues, or
nothing: then a simulated wearer is recorded first. Lost samples are annotated
BAD_ACQ_SKIP, so MNE leaves those epochs out by itself. Writes erd.png.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import mne
import numpy as np
from simulated_wearer import record_wearer

from bci.acquisition import Recording
from bci.errors import BciError

BASELINE_S, TASK_S = (-1.5, -0.5), (0.5, 4.0)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recording", nargs="?", type=Path, help="a .bfp file (default: a simulated wearer's)")
    parser.add_argument("--classes", default="right,rest", help="movement and what it is compared with")
    parser.add_argument("--trials", type=int, default=15, help="of each class, for the simulated wearer")
    parser.add_argument("--output", type=Path, default=Path("erd.png"), help="the picture")
    args = parser.parse_args(argv)
    mne.set_log_level("error")
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = args.recording or record_wearer(Path(folder) / "wearer.bfp", trials=args.trials)
            raw = Recording(path).to_mne().load_data()
        powers = {name: erd(raw, name) for name in args.classes.split(",", 1)}
        draw(powers).savefig(args.output, dpi=100)
    except (BciError, ValueError, OSError) as err:
        print(err, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    for name, power in powers.items():
        print(f"{name:<8} {mu_change(power, 'C3'):+5.0f} % at C3   {mu_change(power, 'C4'):+5.0f} % at C4")
    print(f"picture  {args.output}")
    return 0


def draw(powers: dict[str, mne.time_frequency.AverageTFR]) -> plt.Figure:
    """Time and frequency at two electrodes for the movement, and both classes' scalp maps of the mu band."""
    movement = next(iter(powers))
    figure, axes = plt.subplots(1, 4, figsize=(12, 3.2), layout="constrained")
    shown = {"show": False, "vlim": (-0.6, 0.6)}
    for axis, channel in zip(axes, ("C3", "C4"), strict=False):
        powers[movement].plot(
            [channel], tmin=-1.5, tmax=4.5, baseline=None, axes=axis, colorbar=False, **shown
        )
        axis.set_title(f"{channel}, {movement}")
    head = {"tmin": TASK_S[0], "tmax": TASK_S[1], "fmin": 8, "fmax": 13, "cbar_fmt": "%+.1f", **shown}
    for axis, (name, power) in zip(axes[2:], powers.items(), strict=True):
        power.plot_topomap(axes=axis, units="share", **head)
        axis.set_title(f"8–13 Hz, {name}")
    return figure


def erd(raw: mne.io.BaseRaw, name: str) -> mne.time_frequency.AverageTFR:
    """Change of power against the baseline, mean over the epochs of one class."""
    events, ids = mne.events_from_annotations(raw)
    if name not in ids:
        raise ValueError(f"no cue {name!r} in the recording; there are: {', '.join(sorted(ids))}")
    epochs = mne.Epochs(raw, events, {name: ids[name]}, -2.0, 5.0, baseline=None, preload=True)
    freqs = np.arange(6.0, 31.0)
    power = epochs.compute_tfr("morlet", freqs=freqs, n_cycles=freqs / 2, decim=8, average=True)
    return power.apply_baseline(BASELINE_S, mode="percent")


def mu_change(power: mne.time_frequency.AverageTFR, channel: str) -> float:
    """Mean change from 8 to 13 Hz over the task, %."""
    return 100 * power.copy().pick([channel]).crop(*TASK_S, fmin=8, fmax=13).data.mean()


if __name__ == "__main__":
    sys.exit(main())
