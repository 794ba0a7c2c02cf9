"""Translations: one `.po` file per room and language, compiled into the one `bci.mo` that programs read.

For people who work on the project; running programs need only the compiled file, and `bci.language`.

| command | what |
| --- | --- |
| `python -m bci.locale` | compile every language's files; the same text gives the same bytes |
| `python -m bci.locale --missing` | list sentences of the code that no file translates, ready to be pasted |
"""

from __future__ import annotations
