"""One command from a fresh checkout: make the environment, then run.

    python3 start.py demo    set everything up, then: simulated board,
                             calibration, control of a simulated hand
    python3 start.py test    set everything up, then run the tests
    python3 start.py setup   set everything up for development, no more

Words after `demo` or `test` go on to `bci demo` or pytest. The environment
lies in `.venv` beside this file, or where BCI_VENV says. Needs Python >= 3.11
with venv and the package index; nothing else, on Linux, macOS and Windows.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = Path(os.environ.get("BCI_VENV") or HERE / ".venv").absolute()
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
SUFFIX = ".exe" if os.name == "nt" else ""
PYTHON = BIN / f"python{SUFFIX}"


def main(argv: list[str]) -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - this file runs before pip could refuse
        print(f"Python {sys.version.split()[0]} is too old: 3.11 or newer is needed.", file=sys.stderr)
        return 2
    verb, rest = (argv[0], argv[1:]) if argv else ("help", [])
    if verb == "demo":
        return set_up("") or run([str(BIN / f"bci{SUFFIX}"), "demo", *rest])
    if verb == "test":
        return set_up("dev") or run([str(PYTHON), "-m", "pytest", *(rest or test_options())], folder=HERE)
    if verb == "setup":
        return set_up("dev")
    if verb in ("help", "-h", "--help"):
        print(__doc__.rstrip())
        return 0
    print(f"{verb!r} is none of demo, test, setup. `python3 start.py` explains them.", file=sys.stderr)
    return 2


def set_up(extra: str) -> int:
    """Create the environment once; install again only when the requirements changed or the checkout was moved."""
    try:
        return install(extra)
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on from here.", file=sys.stderr)
        raise


def install(extra: str) -> int:
    stamp = VENV / f".installed-{extra or 'run'}"
    wanted = hashlib.sha256((HERE / "pyproject.toml").read_bytes() + os.fsencode(HERE)).hexdigest()
    if PYTHON.exists() and stamp.exists() and stamp.read_text() == wanted:
        return 0
    try:
        if not has_pip():
            print(f"Creating the environment {VENV} …", file=sys.stderr, flush=True)
            venv.create(VENV, with_pip=True)
    except OSError as err:
        print(f"Could not create it: {err}.", file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as err:
        print(
            f"Could not create it ({err}). On Debian and Ubuntu: sudo apt install python3-venv",
            file=sys.stderr,
        )
        return 2
    print("Installing (a few minutes the first time) …", file=sys.stderr, flush=True)
    target = f"{HERE}[{extra}]" if extra else str(HERE)
    code = run([str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-e", target])
    if code:
        print("pip could not install the project; its message stands above.", file=sys.stderr)
        return 2
    stamp.write_text(wanted)
    return 0


def has_pip() -> bool:
    """Whether the environment is whole: one whose making was interrupted has a Python, but no pip."""
    return (
        PYTHON.exists()
        and subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True).returncode == 0
    )


def test_options() -> list[str]:
    """Two workers, each test file whole on one of them, so module-wide fixtures are built once."""
    return ["-n", "2", "--dist", "loadfile", "-m", "not nightly"]


def run(command: list[str], *, folder: Path | None = None) -> int:
    """The command's own exit status. It hears Ctrl-C, too, and is waited for while it ends in its own order."""
    with subprocess.Popen(command, cwd=folder) as process:
        interrupted = False
        while process.returncode is None:
            try:
                process.wait()
            except KeyboardInterrupt:
                interrupted = True
    if interrupted:
        raise KeyboardInterrupt
    return process.returncode


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
