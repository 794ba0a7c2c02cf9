"""How many deliberate defects the tests find: `python -m tests.prosthesis.mutation`, with mutmut installed.

Policy, safety monitor and frame encoders are changed in one place at a time (a sign, a comparison, a number, a word),
and the quick tests are run on each change. A defect that no test notices is a survivor. Works on a copy in a temporary
folder; the checkout is never touched. Takes about an hour on one processor, and minutes for files that are named, as in
`python -m tests.prosthesis.mutation policy`; --keep leaves the copy for `mutmut show NAME` there.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: What is changed …
CHANGED = (
    *("safety", "verdicts", "motion"),
    *("policy", "sequences", "operating_point"),
    *("ability", "rh56", "simulated_wire"),
)

#: … and the tests that must notice. Processes, real time and long walks are left out: they find little more.
TESTS = (
    *("motion", "golden_sessions", "safety", "random_steps"),
    *("policy", "operating_point", "ability", "rh56", "rh56_server", "simulated_wire"),
)
SLOW = "hundred_thousand or bit_for_bit or hostile_enough or the_promise_comes or tighter or only_together"

SHARE = 0.9

SETTINGS = """[mutmut]
source_paths=
    bci/prosthesis
only_mutate=
{changed}
also_copy=
    bci
    tests
    firmware_protocol
pytest_add_cli_args_test_selection=
{tests}
pytest_add_cli_args=
    -m
    not nightly
    -k
    not ({slow})
    -p
    no:cacheprovider
"""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help=f"change these only, of: {', '.join(CHANGED)}"
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work in this new folder and leave it")
    parser.add_argument("--jobs", type=int, default=1, help="mutants at the same time")
    args = parser.parse_args(argv)
    if strange := set(args.files) - set(CHANGED):
        parser.error(f"{', '.join(sorted(strange))}: expected of {', '.join(CHANGED)}")
    folder = args.keep or Path(tempfile.mkdtemp(prefix="mutants-"))
    for name in ("bci", "firmware_protocol", "tests", "examples", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.nb?"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    settings = SETTINGS.format(
        changed="\n".join(f"    bci/prosthesis/{name}.py" for name in args.files or CHANGED),
        slow=SLOW,
        tests="\n".join(f"    tests/prosthesis/test_{name}.py" for name in TESTS),
    )
    (folder / "setup.cfg").write_text(settings)
    mutmut = [sys.executable, "-m", "mutmut"]
    subprocess.run([*mutmut, "run", "--max-children", str(args.jobs)], cwd=folder, check=False)
    results = subprocess.run(
        [*mutmut, "results", "--all", "true"], cwd=folder, capture_output=True, text=True
    )
    score = report(results.stdout)
    if args.keep is None:
        shutil.rmtree(folder)
    return 0 if score >= SHARE else 1


def report(results: str) -> float:
    """Print the share of defects found, per file and in all; survivors by name."""
    found: dict[str, Counter[str]] = {}
    for line in results.splitlines():
        name, _, outcome = line.strip().partition(": ")
        if outcome:
            found.setdefault(name.split(".x")[0].removeprefix("bci.prosthesis."), Counter())[outcome] += 1
            if outcome not in ("killed", "timeout"):
                print(f"{outcome:10s} {name}")
    total: Counter[str] = Counter()
    for module, counts in sorted(found.items()):
        total += counts
        print(f"{module:20s} {share(counts):6.1%} of {counts.total()}")
    print(f"{'all':20s} {share(total):6.1%} of {total.total()}   {json.dumps(total)}")
    return share(total)


def share(counts: Counter[str]) -> float:
    return (counts["killed"] + counts["timeout"]) / max(counts.total(), 1)


if __name__ == "__main__":
    raise SystemExit(main())
