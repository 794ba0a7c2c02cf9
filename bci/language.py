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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = [
    "LANGUAGES",
    "LOCALES",
    "N_",
    "_",
    "language",
    "ngettext",
    "preferred_language",
    "speaking",
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
