"""Words in pictures: Chinese where this computer has a font with its signs, else English, and the report says so.

matplotlib keeps a list of fonts from the first time it ran; one installed since then is looked for on the disk.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from matplotlib import font_manager

from bci.language import _ as said
from bci.language import language

__all__ = ["chinese_font", "families", "in_picture", "pictures_speak"]

#: Sans-serif fonts with simplified Chinese signs: of Debian, macOS, Windows and free ones, best first.
FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "PingFang SC",
    "Hiragino Sans GB",
    "Microsoft YaHei",
    "SimHei",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Noto Sans CJK JP",  # the same file as the first: matplotlib reads the first face of a collection
    "Droid Sans Fallback",
    "Arial Unicode MS",
)
#: How their files are called, for those that matplotlib's list does not know yet.
FILES = (
    "NotoSansCJK-",
    "NotoSansSC",
    "SourceHanSansSC",
    "PingFang",
    "msyh",
    "simhei",
    "wqy-microhei",
    "wqy-zenhei",
)


@cache
def chinese_font() -> str | None:
    """Family name of a font with Chinese signs; None where there is none."""
    known = {font.name for font in font_manager.fontManager.ttflist}
    for name in FONTS:
        if name in known:
            return name
    found = ""
    for path in sorted(font_manager.findSystemFonts()):
        if Path(path).stem.startswith(FILES):
            try:
                family = str(font_manager.get_font(path).family_name)
                if found in ("", family):  # the other weights of the same font, too
                    font_manager.fontManager.addfont(path)
                    found = family
            except (OSError, RuntimeError):  # a damaged font, or a kind that matplotlib cannot draw
                continue
    return found or None


def pictures_speak() -> bool:
    """Whether words in pictures can be those of the language spoken now."""
    return language() == "en" or chinese_font() is not None


def families() -> list[str]:
    """Fonts for a picture's text: matplotlib's own first, the other one for signs that it lacks."""
    font = None if language() == "en" else chinese_font()
    return ["DejaVu Sans"] if font is None else ["DejaVu Sans", font]


def in_picture(sentence: str) -> str:
    """`sentence` as pictures say it; modules that draw import this as `_`."""
    return said(sentence) if pictures_speak() else sentence
