"""One command from a fresh checkout: make the environment, then run. `python3 start.py` says how.

It runs with Python's standard library alone, and before anything is installed; of the project it takes only what does
so, too.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # PYTHONSAFEPATH leaves it out

from bci.cli._console import can_show, prepare_console  # noqa: E402
from bci.language import LANGUAGES, N_, _, preferred_language, system_reason, use_language  # noqa: E402

VENV = Path(os.environ.get("BCI_VENV") or HERE / ".venv").absolute()
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
SUFFIX = ".exe" if os.name == "nt" else ""
PYTHON = BIN / f"python{SUFFIX}"

USAGE = N_("""\
One command from a fresh checkout: make the environment, then run.

    python3 start.py demo    set everything up, then: simulated board,
                             calibration, control of a simulated hand
    python3 start.py test    set everything up, then run the tests
    python3 start.py setup   set everything up for development, no more

Words after `demo` or `test` go on to `bci demo` or pytest. The environment
lies in `.venv` beside this file, or where BCI_VENV says. Needs Python >= 3.11
with venv and the package index; nothing else, on Linux, macOS and Windows.""")


def main(argv: list[str]) -> int:
    speak(argv)
    if sys.version_info < (3, 11):  # noqa: UP036 - this file runs before pip could refuse
        version = sys.version.split()[0]
        tell(_("Python {version} is too old: 3.11 or newer is needed.").format(version=version))
        return 2
    verb, rest = (argv[0], argv[1:]) if argv else ("help", [])
    if verb == "demo":
        return set_up("") or run([str(BIN / f"bci{SUFFIX}"), "demo", *rest])
    if verb == "test":
        return set_up("dev") or run([str(PYTHON), "-m", "pytest", *(rest or test_options())], folder=HERE)
    if verb == "setup":
        return set_up("dev")
    if verb in ("help", "-h", "--help"):
        print(_(USAGE))
        return 0
    tell(_("{verb!r} is none of demo, test, setup. `python3 start.py` explains them.").format(verb=verb))
    return 2


def speak(argv: list[str]) -> None:
    """The language that `--lang` names among words that go on, else this computer's, if the console has its signs."""
    prepare_console()
    words = " ".join(argv).replace("--lang=", "--lang ").split()
    named = words[words.index("--lang") + 1 :][:1] if "--lang" in words else []
    language = named[0] if named and named[0] in LANGUAGES else preferred_language()
    use_language(language if can_show("中文") else "en")


def tell(sentence: str) -> None:
    """At once, and beside what the command itself prints."""
    print(sentence, file=sys.stderr, flush=True)


def set_up(extra: str) -> int:
    """Create the environment once; install again only when the requirements changed or the checkout was moved."""
    try:
        return install(extra)
    except KeyboardInterrupt:
        tell("\n" + _("Interrupted. The same command goes on from here."))
        raise


def install(extra: str) -> int:
    stamp = VENV / f".installed-{extra or 'run'}"
    wanted = hashlib.sha256((HERE / "pyproject.toml").read_bytes() + os.fsencode(HERE)).hexdigest()
    if PYTHON.exists() and stamp.exists() and stamp.read_text() == wanted:
        return 0
    try:
        if not has_pip():
            tell(_("Creating the environment {folder} …").format(folder=VENV))
            venv.create(VENV, with_pip=True)
    except OSError as err:
        tell(_("Could not create it: {reason}.").format(reason=f"{err.filename}: {system_reason(err)}"))
        return 2
    except subprocess.CalledProcessError as err:
        tell(
            _(
                "Could not create it: {command} failed. On Debian and Ubuntu: sudo apt install python3-venv"
            ).format(command=" ".join(map(str, err.cmd[:3])))
        )
        return 2
    tell(_("Installing (a few minutes the first time) …"))
    target = f"{HERE}[{extra}]" if extra else str(HERE)
    code = run([str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-e", target])
    if code:
        tell(_("pip could not install the project; its message stands above."))
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
