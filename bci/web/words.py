"""The page's files, and its own words in the language of the user.

The page is written in English: `data-say="…"` in the HTML and `t("…")` in the scripts. The server looks each of them up
and hands the page a table; texts of the session arrive translated already.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.resources import files

from bci.language import _

__all__ = ["TYPES", "page_words", "render_page", "static_files"]

#: Types of the files that are served; nothing else is.
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_SAID = re.compile(r"""\bt\(\s*"((?:[^"\\]|\\.)+)"|\bdata-say="([^"]+)\"""")


def static_files() -> dict[str, str]:
    """Every file of the page by its name, read once: no path of a request ever reaches the disk."""
    folder = files("bci.web").joinpath("static")
    return {
        entry.name: entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.is_file() and "." + entry.name.rpartition(".")[2] in TYPES
    }


def page_words(sources: Mapping[str, str]) -> dict[str, str]:
    """Each sentence that the page's files say, in the language spoken now."""
    said = (found for text in sources.values() for found in _SAID.finditer(text))
    return {words: _(words) for words in (f[1].replace('\\"', '"') if f[1] else f[2] for f in said)}


def render_page(html: str, *, language: str, title: str, words: Mapping[str, str]) -> str:
    """The page with its language, title and table of words filled in.

    The table stands in a data block, which browsers do not run, so the page's policy can forbid all inline scripts.
    """
    tag = {"zh": "zh-CN"}.get(language, language)
    table = json.dumps(words, ensure_ascii=False).replace("<", "\\u003c")
    shown = title.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return html.replace("{{language}}", tag).replace("{{title}}", shown).replace("{{words}}", table)
