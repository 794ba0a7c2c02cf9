"""The hand as people see it: lines of text for a terminal, an SVG picture for a report. Pure functions of
closures."""

from __future__ import annotations

from collections.abc import Sequence

from bci.language import N_, _, columns, padded
from bci.prosthesis.hand import DOFS, Closures

__all__ = ["hand_lines", "hand_svg"]

_BLOCKS = " ▁▂▃▄▅▆▇█"

#: Two columns for each of `DOFS`.
SHORT = (N_("th"), N_("in"), N_("mi"), N_("ri"), N_("li"), N_("ro"))

#: Lengths of stretched fingers in the order of `DOFS`, the middle finger's being 1.
LENGTH = (0.6, 0.92, 1.0, 0.92, 0.75)


def hand_lines(
    position: Closures, *, contact: Sequence[bool] = (False,) * 6, ascii_only: bool = False, height: int = 4
) -> list[str]:
    """The hand seen from the palm: four fingers that shorten as they close, the thumb beside them.

    Parameters
    ----------
    position : tuple of 6 float
        Closures, 0 open … 1 closed.
    contact : sequence of 6 bool
        Fingers that press on something are marked.
    ascii_only : bool
        For terminals without block characters.
    height : int
        Lines of a stretched finger.

    Returns
    -------
    lines : list of str
        `height` + 3 lines of as many columns.
    """
    full = "#" if ascii_only else "█"
    rows = []
    for row in range(height, 0, -1):
        cells = []
        for i in (4, 3, 2, 1, 0):  # little to index, then the thumb: a right hand's palm
            shown = height * LENGTH[i] * (1.0 - 0.85 * _unit(position[i]))
            cells.append(2 * _cell(shown - row + 1, full, ascii_only))
        rows.append("  " + " ".join(cells[:4]) + "  " + cells[4])
    opposed = _unit(position[5]) >= 0.5
    rows.append("  " + full * 11 + ("|" + full * 2 if opposed else " \\" + full * 2))
    mark = "**" if ascii_only else "●●"
    touches = [mark if contact[i] else "  " for i in (4, 3, 2, 1, 0)]
    rows.append("  " + " ".join(touches[:4]) + "  " + touches[4])
    rows.append(
        "  " + " ".join(f"{_(n)}{round(100 * _unit(x)):3d}" for n, x in zip(SHORT, position, strict=True))
    )
    width = max(map(columns, rows))
    return [padded(row, width) for row in rows]


def hand_svg(position: Closures, *, contact: Sequence[bool] = (False,) * 6, title: str = "") -> str:
    """A small picture, 160 × 170 units, as an SVG element that can stand in an HTML page.

    Fingers shorten as they close; one that presses on something is drawn in the accent colour.
    """
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 170" width="160" height="170" role="img" '
        f'aria-label="{_escape(title or _words(position))}">',
        '<rect x="25" y="90" width="86" height="70" rx="18" fill="#c9d3dc"/>',
    ]
    for i, x, length in ((4, 26, 52.0), (3, 48, 66.0), (2, 70, 72.0), (1, 92, 66.0)):
        shown = length * (1.0 - 0.8 * _unit(position[i]))
        parts.append(_finger(x, 98.0 - shown, shown + 10.0, contact[i]))
    shown = 52.0 * (1.0 - 0.6 * _unit(position[0]))
    angle = 60.0 - 75.0 * _unit(position[5])
    thumb = _finger(100, 136.0 - shown, shown, contact[0])
    parts.append(f'<g transform="rotate({angle:.1f} 108 136)">{thumb}</g>')
    parts.append("</svg>")
    return "".join(parts)


def _finger(x: float, y: float, length: float, touches: bool) -> str:
    colour = "#d9822b" if touches else "#8fa3b3"
    return f'<rect x="{x:g}" y="{y:.1f}" width="18" height="{length:.1f}" rx="9" fill="{colour}"/>'


def _cell(fill: float, full: str, ascii_only: bool) -> str:
    if fill >= 1.0:
        return full
    if fill <= 0.0:
        return " "
    if ascii_only:
        return full if fill >= 0.5 else " "
    return _BLOCKS[round(fill * 8)]


def _unit(x: float) -> float:
    return min(1.0, max(0.0, x)) if x == x else 0.0


def _words(position: Closures) -> str:
    return ", ".join(f"{name} {round(100 * _unit(x))} %" for name, x in zip(DOFS, position, strict=True))


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
