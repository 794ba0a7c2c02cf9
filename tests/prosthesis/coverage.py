"""Branches of policy, safety monitor and frame encoders that the tests take: `python -m tests.prosthesis.coverage`.

Needs the package coverage. Leaves nothing behind and exits with 1 if a branch is missed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.prosthesis.mutation import CHANGED, ROOT

TESTS = (
    "motion",
    "safety",
    "random_steps",
    "golden_sessions",
    "policy",
    "ability",
    "rh56",
    "rh56_server",
    "simulated_wire",
)


def main() -> int:
    files = ",".join(f"bci/prosthesis/{name}.py" for name in CHANGED)
    tests = [f"tests/prosthesis/test_{name}.py" for name in TESTS]
    with tempfile.TemporaryDirectory(prefix="coverage-") as folder:
        environment = {**os.environ, "COVERAGE_FILE": str(Path(folder) / "data")}
        tool = [sys.executable, "-m", "coverage"]
        pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not nightly", *tests]
        run = [*tool, "run", "--branch", f"--include={files}", *pytest]
        subprocess.run(run, cwd=ROOT, env=environment, check=True)
        shown = subprocess.run([*tool, "report", "-m", "--fail-under=100"], cwd=ROOT, env=environment)
    return shown.returncode


if __name__ == "__main__":
    raise SystemExit(main())
