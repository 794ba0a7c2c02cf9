"""Every line and branch of codec and kernel is run by their tests (nightly; needs `coverage`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = "tests/firmware_protocol/test_"
CODEC = ("codec", "cobs", "crc", "frames", "_samples", "_fields", "layout", "codes", "limits", "patterns")
KERNEL = ("_kernels", "_kernels_tables", "_scanner", "batch", "live", "_jit")


def uncovered(
    folder: Path, files: tuple[str, ...], tests: list[str], environment: dict[str, str]
) -> dict[str, object]:
    """Lines and branches of `files` that `tests` do not run."""
    pytest.importorskip("coverage", reason="coverage is not installed (pip install coverage)")
    environment = {**os.environ, "COVERAGE_FILE": str(folder / "data"), **environment}
    include = ",".join(f"*/firmware_protocol/{name}.py" for name in files)
    steps = (
        ["run", "--branch", f"--include={include}", "-m", "pytest", "-q", "--timeout=3000", *tests],
        ["json", "-o", str(folder / "report.json")],
    )
    for step in steps:
        done = subprocess.run(
            [sys.executable, "-m", "coverage", *step],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))["files"]
    assert {Path(name).stem for name in report} == set(files)
    return {
        name: (told["missing_lines"], told["missing_branches"])
        for name, told in report.items()
        if told["missing_lines"] or told["missing_branches"]
    }


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_every_line_and_branch_of_the_codec_is_run(tmp_path: Path) -> None:
    names = ("codec", "cobs", "crc", "frames", "damage", "layout", "spec", "patterns", "package")
    assert uncovered(tmp_path, CODEC, [f"{TESTS}{name}.py" for name in names], {}) == {}


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_every_line_and_branch_of_the_kernel_is_run_when_it_is_plain_python(tmp_path: Path) -> None:
    names = ("bulk", "bulk_files", "live", "kernel", "vectors")
    tests = [f"{TESTS}{name}.py" for name in names] + [
        "-k",
        "not memory_does_not_grow and not compiled_kernel",
    ]
    assert uncovered(tmp_path, KERNEL, tests, {"NUMBA_DISABLE_JIT": "1"}) == {}
