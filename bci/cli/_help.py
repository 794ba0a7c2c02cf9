"""Help in the language spoken now, wrapped by columns of a terminal: a Chinese sign takes two, and has no blanks."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any

import click

from bci.language import N_, _, columns

__all__ = ["said_of", "sentences_of", "spoken_help", "wrapped"]

#: Stands for a number's value, where click would write INTEGER RANGE.
NUMBER = N_("NUMBER")
OPTIONS = N_("[OPTIONS]")
SUBCOMMANDS = N_("COMMAND [ARGS]...")

WIDE = "\u2e80-\u9fff\uff00-\uffef"
#: A line may end behind each of these: a blank, a word, or a Chinese sign with the punctuation that belongs to it.
PIECES = re.compile(rf"\s+|\[\S+|[（“《]*(?:[{WIDE}]|[^\s{WIDE}（“《]+)[，。：；、！？）”》…]*")
NUMBERS = (click.types.IntParamType, click.types.FloatParamType)


class _Formatter(click.HelpFormatter):
    """click's own, but where Chinese signs stand it counts columns."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        usage = _("Usage:")
        gap = "" if columns(usage[-1:]) > 1 else " "  # a colon of full width brings its own
        super().write_usage(prog, args, f"{usage}{gap}" if prefix is None else prefix)

    def write_heading(self, heading: str) -> None:
        colon = "：" if columns(heading) > len(heading) else ":"
        self.write(f"{'':>{self.current_indent}}{heading}{colon}\n")

    def write_text(self, text: str) -> None:
        if columns(text) == len(text):
            super().write_text(text)
            return
        indent = " " * self.current_indent
        paragraphs = (wrapped(part, self.width - self.current_indent) for part in text.split("\n\n"))
        self.write("\n\n".join("\n".join(indent + line for line in lines) for lines in paragraphs) + "\n")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        rows = list(rows)
        if all(columns(cell) == len(cell) for row in rows for cell in row):
            super().write_dl(rows, col_max, col_spacing)
            return
        indent = " " * self.current_indent
        first_column = min(max(columns(term) for term, _says in rows), col_max) + col_spacing
        below = indent + " " * first_column
        for term, says in rows:
            lines = wrapped(says, max(self.width - self.current_indent - first_column, 10))
            room = first_column - columns(term)
            if room >= col_spacing and lines:
                self.write(f"{indent}{term}{' ' * room}{lines.pop(0)}\n")
            else:
                self.write(f"{indent}{term}\n")
            self.write("".join(f"{below}{line}\n" for line in lines))


class _Context(click.Context):
    formatter_class = _Formatter


def wrapped(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` columns; no line begins with punctuation, and no Latin word is cut."""
    lines = [""]
    for piece in PIECES.findall(" ".join(text.split())):
        if columns(lines[-1] + piece.rstrip()) > width and lines[-1]:
            lines[-1] = lines[-1].rstrip()
            lines.append("")
        lines[-1] += piece if lines[-1] else piece.lstrip()
    return [line.rstrip() for line in lines if line.strip()]


def spoken_help(command: click.Command) -> click.Command:
    """The command, and those below it, with its help in the language spoken now; the one given stays as it is."""
    said = copy.copy(command)
    said.context_class = _Context
    said.help = said_of(command.help)
    said.short_help = _first_sentence(said.help or "")
    if said.options_metavar == "[OPTIONS]":
        said.options_metavar = _(OPTIONS)
    said.params = [copy.copy(parameter) for parameter in command.params]
    for parameter in said.params:
        if isinstance(parameter, click.Option):
            parameter.help = said_of(parameter.help)
            if isinstance(parameter.type, NUMBERS):
                parameter.metavar = parameter.metavar or _(NUMBER)
            elif isinstance(parameter.type, click.Tuple):
                parameter.metavar = parameter.metavar or " ".join([_(NUMBER)] * parameter.nargs)
        parameter.type = _named(parameter.type)
    if isinstance(said, click.Group):
        said.subcommand_metavar = _(SUBCOMMANDS)
        said.commands = {name: spoken_help(below) for name, below in said.commands.items()}
    return said


def sentences_of(command: click.Command) -> Iterator[str]:
    """Every sentence in the help of a command and of those below it."""
    for text in (command.help, *(getattr(parameter, "help", None) for parameter in command.params)):
        if text:
            yield _unwrapped(text)
    for below in getattr(command, "commands", {}).values():
        yield from sentences_of(below)


def said_of(text: str | None) -> str | None:
    """A text of the help as it is said now."""
    return None if text is None else _(_unwrapped(text))


def _named(kind: click.ParamType[Any]) -> click.ParamType[Any]:
    """A type as errors name it: without the jargon of ranges, and in the language spoken now, not when it was made."""
    if isinstance(kind, click.Tuple):
        return click.Tuple([_named(part) for part in kind.types])
    said = copy.copy(kind)
    if isinstance(kind, NUMBERS):
        said.name = _("whole number") if isinstance(kind, click.types.IntParamType) else _("number")
    elif isinstance(kind, click.Path):
        only_file, only_folder = not kind.dir_okay, not kind.file_okay
        said.name = _("directory") if only_folder else _("file") if only_file else _("path")
    return said


def _unwrapped(text: str) -> str:
    """Paragraphs on one line each, as they are looked up: how a docstring is wrapped does not matter."""
    return "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n"))


def _first_sentence(text: str) -> str:
    """What the list of commands says; click would cut it in the middle, and a Chinese one to nothing."""
    first = text.split("\n\n")[0]
    return re.split(r"(?<=。)|(?<=\.)\s(?=[A-Z])", first, maxsplit=1)[0]
