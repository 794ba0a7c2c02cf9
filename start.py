"""One command from a fresh checkout: make the environment, then run.

    python3 start.py demo     set everything up, then: simulated board -> calibration -> control of a simulated hand
    python3 start.py test     set everything up, then run the tests
    python3 start.py setup    set everything up for development and stop there

Words after `demo` or `test` go on to `bci demo` or pytest. The environment lies in `.venv` beside this file, or
where BCI_VENV says. Needs Python >= 3.11 with venv and the package index; nothing else, on Linux, macOS and Windows.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = Path(os.environ.get("BCI_VENV") or HERE / ".venv")
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
SUFFIX = ".exe" if os.name == "nt" else ""


def main(argv: list[str]) -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - this file runs before pip could refuse
        print(f"Python {sys.version.split()[0]} is too old: 3.11 or newer is needed.", file=sys.stderr)
        return 2
    verb, rest = (argv[0], argv[1:]) if argv else ("help", [])
    if verb == "demo":
        return set_up("") or run([str(BIN / f"bci{SUFFIX}"), "demo", *rest])
    if verb == "test":
        return set_up("dev") or run([str(BIN / f"python{SUFFIX}"), "-m", "pytest", *(rest or test_options())])
    if verb == "setup":
        return set_up("dev")
    print(__doc__)
    return 0 if verb in ("help", "-h", "--help") else 2


def set_up(extra: str) -> int:
    """Create the environment once and install again only when the project's requirements changed."""
    python = BIN / f"python{SUFFIX}"
    stamp = VENV / f".installed-{extra or 'run'}"
    wanted = hashlib.sha256((HERE / "pyproject.toml").read_bytes()).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return 0
    if not python.exists():
        print(f"Creating the environment {VENV} …", file=sys.stderr, flush=True)
        try:
            venv.create(VENV, with_pip=True)
        except (OSError, subprocess.CalledProcessError) as err:
            print(
                f"Could not create it ({err}). On Debian and Ubuntu: sudo apt install python3-venv",
                file=sys.stderr,
            )
            return 2
    print("Installing (a few minutes the first time) …", file=sys.stderr, flush=True)
    target = f"{HERE}[{extra}]" if extra else str(HERE)
    code = run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-e", target])
    if code:
        print("pip could not install the project; its message stands above.", file=sys.stderr)
        return 2
    stamp.write_text(wanted)
    return 0


def test_options() -> list[str]:
    """Two workers, each test file whole on one of them, so module-wide fixtures are built once."""
    return ["-n", "2", "--dist", "loadfile", "-m", "not nightly"]


def run(command: list[str]) -> int:
    try:
        return subprocess.call(command, cwd=HERE)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
