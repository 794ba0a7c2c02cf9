"""The language people are spoken to in: gettext, chosen once at the start of a program.

Sentences are written in English in the code, as `_("No board answers on {port}.").format(port=port)`: the whole
sentence is looked up, and only then are names and numbers filled in. A table made at import holds `N_("…")` and is
said through `_` when it is shown. Translations lie in `bci/locale/<language>/`, one `.po` file per room, compiled into
one `bci.mo` by `python -m bci.locale`.
"""

from __future__ import annotations

import gettext
import locale
import os
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = [
    "LANGUAGES",
    "LOCALES",
    "N_",
    "_",
    "columns",
    "language",
    "library_reason",
    "ngettext",
    "padded",
    "preferred_language",
    "speaking",
    "system_reason",
    "thing_word",
    "use_language",
]

LOCALES = Path(__file__).with_name("locale")
LANGUAGES = ("en", "zh")

_spoken = "en"
_translations: gettext.NullTranslations = gettext.NullTranslations()


def use_language(name: str) -> None:
    """Speak "en" or "zh" from now on, in this process.

    Raises
    ------
    ValueError
        If there is no such language.
    """
    global _spoken, _translations
    if name not in LANGUAGES:
        raise ValueError(f"no language {name!r}; there are {', '.join(LANGUAGES)}")
    _spoken = name
    _translations = (
        gettext.NullTranslations()
        if name == "en"
        else gettext.translation("bci", LOCALES, languages=[name], fallback=True)
    )


def language() -> str:
    """What is spoken now: "en" or "zh"."""
    return _spoken


@contextmanager
def speaking(name: str) -> Iterator[None]:
    """Speak another language within a `with` statement."""
    before = language()
    use_language(name)
    try:
        yield
    finally:
        use_language(before)


def preferred_language() -> str:
    """What the user's system speaks: BCI_LANG, else the locale; English where it is neither Chinese nor known."""
    named = os.environ.get("BCI_LANG") or os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES")
    named = named or os.environ.get("LANG") or locale.getlocale()[0] or ""
    return "zh" if named.lower().startswith(("zh", "chinese")) else "en"


def _(sentence: str) -> str:
    """`sentence` as it is said in the language spoken now."""
    return _translations.gettext(sentence)


def ngettext(one: str, many: str, n: int) -> str:
    """`one` or `many`, as the language spoken now wants it for `n` things."""
    return _translations.ngettext(one, many, n)


def N_(sentence: str) -> str:
    """`sentence` itself: marks it as one to translate later, with `_`, when it is shown."""
    return sentence


def columns(text: str) -> int:
    """How many columns of a terminal `text` takes: a Chinese sign takes two."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def padded(text: str, width: int, *, right: bool = False) -> str:
    """`text` with as many blanks behind it (`right`: before it) as make it `width` columns wide."""
    room = " " * (width - columns(text))
    return room + text if right else text + room


def thing_word(name: str) -> str:
    """A board or hand that names itself, in the language spoken now if known; a version behind its name stays."""
    for known in _THINGS:
        if name == known or name.startswith(f"{known} "):
            return _(known) + name.removeprefix(known)
    return name


def system_reason(err: OSError | int) -> str:
    """What the operating system says of an error or its number; in the language spoken now if its words are known."""
    return _(os.strerror(err) if isinstance(err, int) else err.strerror or str(err))


def library_reason(err: Exception) -> str:
    """What another library says is wrong with a file; not in English, only what can be said of it: where, and which."""
    text = str(err)
    if language() == "en" or _(text) != text:
        return _(text)
    if found := re.search(r"at line (\d+), column (\d+)", text):
        return _("line {line}, column {column}").format(line=found[1], column=found[2])
    if found := re.search(r"missing required field `(\w+)`", text):
        return _("{name} is missing").format(name=found[1])
    if found := re.search(r"unknown field `(\w+)`", text):
        return _("{name} is unknown").format(name=found[1])
    if found := re.search(r"at `\$\.?(.+)`$", text):
        return _("{name} is wrong").format(name=found[1])
    return _("its form is wrong")


#: What stands in where there is no hardware.
_THINGS = (N_("simulated board"), N_("simulated hand"))
#: Words of operating systems and of SQLite, which speak English whatever their user reads.
_SYSTEM_SAYS = (
    N_("No such file or directory"),
    N_("No such device or address"),
    N_("No such device"),
    N_("Permission denied"),
    N_("Operation not permitted"),
    N_("Is a directory"),
    N_("Not a directory"),
    N_("Directory not empty"),
    N_("File exists"),
    N_("File name too long"),
    N_("File too large"),
    N_("No space left on device"),
    N_("Disk quota exceeded"),
    N_("Read-only file system"),
    N_("Too many open files"),
    N_("Input/output error"),
    N_("Device or resource busy"),
    N_("Invalid argument"),
    N_("Inappropriate ioctl for device"),
    N_("Broken pipe"),
    N_("Connection refused"),
    N_("Connection reset by peer"),
    N_("Connection timed out"),
    N_("Network is unreachable"),
    N_("No route to host"),
    N_("Address already in use"),
    N_("Cannot assign requested address"),
    N_("Name or service not known"),
    N_("Temporary failure in name resolution"),
    N_("timed out"),
    N_("database is locked"),
    N_("database disk image is malformed"),
    N_("database or disk is full"),
    N_("disk I/O error"),
    N_("file is not a database"),
    N_("unable to open database file"),
    N_("attempt to write a readonly database"),
)
