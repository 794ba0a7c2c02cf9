"""Which sentences the code says: literals given to `_`, `ngettext` and `N_` in Python, templates and pages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["CALLS", "Sentence", "fields", "in_page", "in_python", "in_template", "of_project"]

#: A sentence inside a script of the page: `t("…")`, or an element's `data-say="…"`.
PAGE_WORDS = re.compile(r"""\bt\(\s*"((?:[^"\\]|\\.)+)"|\bdata-say="([^"]+)\"""")
#: Calls that take a sentence, and how many forms of it.
CALLS = {"_": 1, "N_": 1, "ngettext": 2}
FIELD = re.compile(r"\{([^{}]*)\}")


class Sentence(NamedTuple):
    """English forms (two where there is a plural) and where they stand."""

    forms: tuple[str, ...]
    place: str


def fields(sentence: str) -> set[str]:
    """Names in braces, which a translation must keep; how a number is written it may choose."""
    return {re.split("[:!]", name)[0] for name in FIELD.findall(sentence.replace("{{", "").replace("}}", ""))}


def in_python(source: str, place: str) -> Iterator[Sentence]:
    """Sentences of a Python file.

    Raises
    ------
    ValueError
        If something but a plain literal is given to `_`: nobody could find it to translate it.
    """
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        count = CALLS.get(node.func.id)
        if count is None:
            continue
        values = [
            argument.value if isinstance(argument, ast.Constant) else None for argument in node.args[:count]
        ]
        forms = tuple(value for value in values if isinstance(value, str))
        where = f"{place}:{node.lineno}"
        if len(forms) == count:
            yield Sentence(forms, where)
        elif any(isinstance(argument, ast.JoinedStr) for argument in node.args[:count]):
            raise ValueError(
                f"{where}: an f-string in {node.func.id}(); write the sentence whole, then .format()"
            )


def in_template(source: str, place: str) -> Iterator[Sentence]:
    """Sentences of a jinja2 template: `{{ _("…") }}` and `{{ ngettext("…", "…", n) }}`."""
    import jinja2
    from jinja2 import nodes

    for node in jinja2.Environment().parse(source).find_all(nodes.Call):
        if isinstance(node.node, nodes.Name) and node.node.name in ("_", "ngettext"):
            count = 2 if node.node.name == "ngettext" else 1
            forms = tuple(a.value for a in node.args[:count] if isinstance(a, nodes.Const))
            if len(forms) == count:
                yield Sentence(forms, f"{place}:{node.lineno}")


def in_page(source: str, place: str) -> Iterator[Sentence]:
    """Sentences of a static page and its script: `t("…")` and `data-say="…"`."""
    for found in PAGE_WORDS.finditer(source):
        words = found[1].replace('\\"', '"') if found[1] else found[2]
        yield Sentence((words,), f"{place}:{source.count(chr(10), 0, found.start()) + 1}")


def of_project(root: Path, rooms: Iterable[str] = ("bci", "examples", "start.py")) -> list[Sentence]:
    """Every sentence of the project, in order of file and line."""
    readers = {".py": in_python, ".j2": in_template, ".html": in_page, ".js": in_page}
    found: list[Sentence] = []
    for room in rooms:
        for path in sorted((root / room, *root.joinpath(room).rglob("*"))):
            if path.suffix in readers and path.is_file():
                found += readers[path.suffix](path.read_text(encoding="utf-8"), str(path.relative_to(root)))
    return found
