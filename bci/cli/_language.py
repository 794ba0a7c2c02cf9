"""`--lang zh|en`, before the command or after it, and which commands speak it."""

from __future__ import annotations

import gettext
import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import click

from bci.cli._console import can_show
from bci.cli._help import sentences_of
from bci.language import LANGUAGES, LOCALES, N_, preferred_language, use_language

__all__ = ["CLINIC", "clinic_sentences", "language_option", "speak", "spoken_in"]

F = TypeVar("F", bound=Callable[..., Any])

#: Commands that speak Chinese: all that a clinic or a bench of boards meets, with help, progress, results and errors.
#: Those of researchers and developers (batch, evaluate, export, import, lsl, selftest, simulate) stay English by
#: intention, as do `frame-validator`, the simulator's faults and errors of misuse by a program: their words are those
#: of code and papers. `bci --help` says which is which.
CLINIC = (
    "demo",
    "doctor",
    "quality",
    "calibrate",
    "control",
    "live",
    "report",
    "sessions",
    "ports",
    "record",
    "recover",
    "replay",
    "qualify",
)


def language_option(command: F) -> F:
    """Decorator: the option `--lang`. The language is set before the command's body runs, and no argument passed."""
    option = click.option(
        "--lang",
        type=click.Choice(list(LANGUAGES)),
        is_eager=True,
        expose_value=False,
        callback=_chosen,
        help=N_("Language of what is said: zh or en. Default: that of this computer."),
    )
    return option(command)


def speak(name: str | None) -> None:
    """Speak `name`, or what this computer speaks; English where the console has no Chinese signs."""
    wanted = name or preferred_language()
    if wanted == "zh" and not can_show("中文"):
        wanted = "en"
    use_language(wanted)
    # click's own words ("Usage", "Options" …) go through the standard library's gettext, which reads LANGUAGE.
    gettext.bindtextdomain("bci", str(LOCALES))
    gettext.textdomain("bci")
    os.environ["LANGUAGE"] = wanted


def spoken_in(argv: Sequence[str]) -> tuple[str | None, list[str]]:
    """The language named anywhere in `argv`, and the words without it; a wrong one goes to the front, for click."""
    rest = list(argv)
    named = None
    end = rest.index("--") if "--" in rest else len(rest)
    for at in reversed(range(end)):
        word = rest[at]
        if word == "--lang" and at + 1 < end:
            named = rest[at + 1]
            del rest[at : at + 2]
        elif word.startswith("--lang="):
            named = word.removeprefix("--lang=")
            del rest[at]
    return (named, rest) if named in (None, *LANGUAGES) else (None, ["--lang", str(named), *rest])


def clinic_sentences() -> Iterator[tuple[str, str]]:
    """Every sentence in the help of the clinic's commands, and the command that shows it."""
    from bci.cli._main import COMMANDS, group

    yield from ((says, "bci --help") for says in COMMANDS.values())
    for name in ("", *CLINIC):
        if not name or name in COMMANDS:
            command = importlib.import_module(f"bci.cli.{name}").command if name else group
            yield from ((says, f"bci {name} --help".replace("  ", " ")) for says in sentences_of(command))


def _chosen(_context: click.Context, _option: click.Parameter, name: str | None) -> None:
    if name is not None:
        speak(name)
