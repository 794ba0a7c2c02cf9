"""Small plots as SVG text: numbers in, a picture of a few kilobytes out, to be set straight into a page.

Letters stay letters, so Chinese is drawn by the reader's own fonts and nothing has to be installed on a bench.
Colours are safe for colour-blind readers (Okabe & Ito, https://jfly.uni-koeln.de/color/).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import ArrayLike

from bci.chunks import F64

__all__ = ["BLUE", "GREY", "RED", "Plot"]

BLUE, RED, GREY = "#0072B2", "#D55E00", "#7f8c8d"
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 18, 30  # room for letters, px
FONT = 'font-family="system-ui, Noto Sans, Noto Sans CJK SC, Microsoft YaHei, sans-serif"'
MOST_POINTS = 400  # of a line: more than a small picture can show; each stretch keeps its extremes


class Plot:
    """One pair of axes. Draw, then `svg`.

    Parameters
    ----------
    x_range, y_range : (float, float)
        What the axes span.
    width, height : int
        In px; the page scales it.
    title, x_label, y_label : str
    """

    def __init__(
        self,
        x_range: tuple[float, float],
        y_range: tuple[float, float],
        *,
        width: int = 300,
        height: int = 150,
        title: str = "",
        x_label: str = "",
        y_label: str = "",
    ) -> None:
        self._width, self._height = width, height
        self._x_range, self._y_range = _widened(x_range), _widened(y_range)
        self._title, self._x_label, self._y_label = title, x_label, y_label
        self._parts: list[str] = []
        self._x_names: list[tuple[float, str]] = []

    def line(self, x: ArrayLike, y: ArrayLike, *, colour: str = BLUE, width: float = 1.2) -> None:
        """A line; it is interrupted where a value is not finite."""
        px, py = self._placed(x, y)
        for stretch in _stretches(np.isfinite(px) & np.isfinite(py)):
            at, height = _thinned(px[stretch], py[stretch])
            if len(at) == 1:  # a single point is still to be seen
                self._parts.append(f'<circle cx="{at[0]:.1f}" cy="{height[0]:.1f}" r="1.5" fill="{colour}"/>')
                continue
            points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(at, height, strict=True))
            self._parts.append(
                f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width:g}"/>'
            )

    def points(self, x: ArrayLike, y: ArrayLike, *, colour: str = BLUE, radius: float = 2.2) -> None:
        px, py = self._placed(x, y)
        for a, b in zip(px, py, strict=True):
            if math.isfinite(a) and math.isfinite(b):
                self._parts.append(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="{radius:g}" fill="{colour}"/>')

    def bars(self, edges: ArrayLike, heights: ArrayLike, *, colour: str = BLUE) -> None:
        """Bars between neighbouring `edges`."""
        bounds = np.asarray(edges, dtype=np.float64)
        left, top = self._placed(bounds[:-1], heights)
        right, _ = self._placed(bounds[1:], heights)
        floor = self._y(np.array([self._y_range[0]]))[0]
        for a, b, c in zip(left, right, top, strict=True):
            self._parts.append(
                f'<rect x="{a:.1f}" y="{c:.1f}" width="{max(b - a - 0.6, 0.6):.1f}" '
                f'height="{max(floor - c, 0):.1f}" fill="{colour}"/>'
            )

    def spans(self, x: ArrayLike, low: ArrayLike, high: ArrayLike, *, colour: str = GREY) -> None:
        """Upright strokes from `low` to `high`."""
        at, bottom = self._placed(x, low)
        _, top = self._placed(x, high)
        strokes = "".join(
            f"M{a:.1f} {b:.1f}V{c - 0.5:.1f}"
            for a, b, c in zip(at, bottom, top, strict=True)
            if math.isfinite(b + c)
        )
        self._parts.append(f'<path d="{strokes}" stroke="{colour}" stroke-width="2.4"/>')

    def level(self, y: float, *, colour: str = RED) -> None:
        """A dashed horizontal line, e.g. a limit; nothing where it lies outside the axes."""
        if self._y_range[0] <= y <= self._y_range[1]:
            at = self._y(np.array([y]))[0]
            self._parts.append(self._dashed(LEFT, at, self._width - RIGHT, at, colour))

    def upright(self, x: float, *, colour: str = RED) -> None:
        """A dashed vertical line; nothing where it lies outside the axes."""
        if self._x_range[0] <= x <= self._x_range[1]:
            at = self._x(np.array([x]))[0]
            self._parts.append(self._dashed(at, TOP, at, self._height - BOTTOM, colour))

    def name_x(self, names: Sequence[str]) -> None:
        """Names at 0, 1, 2 … in place of numbers; as many as there is room for."""
        step = max(1, math.ceil(sum(len(n) + 1 for n in names) * 5.2 / (self._width - LEFT - RIGHT)))
        self._x_names = [(float(k), name) for k, name in enumerate(names) if k % step == 0]

    def svg(self) -> str:
        """The picture as an `svg` element, without a declaration."""
        w, h = self._width, self._height
        frame = (
            f'<path d="M{LEFT} {TOP}V{h - BOTTOM}H{w - RIGHT}" fill="none" stroke="#333" stroke-width="0.8"/>'
        )
        letters = [
            self._text(LEFT, 11, self._title, anchor="start", size=10, weight="600"),
            self._text((LEFT + w - RIGHT) / 2, h - 3, self._x_label),
            f'<g transform="translate(9 {(TOP + h - BOTTOM) / 2:.0f}) rotate(-90)">'
            f"{self._text(0, 0, self._y_label)}</g>",
        ]
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" {FONT} '
            f'font-size="8.5">{self._grid()}{"".join(self._parts)}{frame}{"".join(letters)}</svg>'
        )

    # ---- places and letters ----

    def _placed(self, x: ArrayLike, y: ArrayLike) -> tuple[F64, F64]:
        return self._x(np.asarray(x, dtype=np.float64)), self._y(np.asarray(y, dtype=np.float64))

    def _x(self, x: F64) -> F64:
        return LEFT + _share(x, self._x_range) * (self._width - LEFT - RIGHT)

    def _y(self, y: F64) -> F64:
        share = np.clip(_share(y, self._y_range), -0.02, 1.02)  # what leaves the axes stays at their edge
        return self._height - BOTTOM - share * (self._height - BOTTOM - TOP)

    def _grid(self) -> str:
        out = []
        for tick in _ticks(*self._y_range, most=5):
            at = self._y(np.array([tick]))[0]
            out.append(
                f'<path d="M{LEFT} {at:.1f}H{self._width - RIGHT}" stroke="#e6ebee" stroke-width="0.7"/>'
            )
            out.append(self._text(LEFT - 4, at + 3, f"{tick:.6g}", anchor="end"))
        named = self._x_names or [(t, f"{t:.6g}") for t in _ticks(*self._x_range, most=7)]
        for tick, name in named:
            at = self._x(np.array([tick]))[0]
            out.append(self._text(at, self._height - BOTTOM + 10, name))
        return "".join(out)

    def _text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        anchor: str = "middle",
        size: float = 8.5,
        weight: str = "",
        fill: str = "#333",
    ) -> str:
        if not text:
            return ""
        bold = f' font-weight="{weight}"' if weight else ""
        return (
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size:g}" fill="{fill}"{bold}>'
            f"{escape(text)}</text>"
        )

    def _dashed(self, x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
        return (
            f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{colour}" stroke-width="1" '
            'stroke-dasharray="4 3"/>'
        )


def _widened(bounds: tuple[float, float]) -> tuple[float, float]:
    """Bounds that are apart."""
    low, high = float(bounds[0]), float(bounds[1])
    if not (math.isfinite(low) and math.isfinite(high)):
        return 0.0, 1.0
    margin = (abs(low) or 1.0) * 0.05
    return (low, high) if high > low else (low - margin, low + margin)


def _share(x: F64, bounds: tuple[float, float]) -> F64:
    low, high = bounds
    return (x - low) / (high - low)


def _ticks(low: float, high: float, *, most: int) -> list[float]:
    """Round numbers within the bounds, 1, 2 or 5 apart."""
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(step * m for m in (1, 2, 5, 10) if (high - low) / (step * m) <= most)
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _stretches(good: np.ndarray) -> list[slice]:
    """Where `good` is True, from edge to edge."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], good.astype(np.int8), [0]))))
    return [slice(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _thinned(x: F64, y: F64) -> tuple[F64, F64]:
    """At most `MOST_POINTS` points that keep the extremes of each stretch, so that no spike is lost."""
    if len(x) <= MOST_POINTS:
        return x, y
    parts = np.array_split(np.arange(len(x)), MOST_POINTS // 2)
    keep = sorted({int(part[pick(y[part])]) for part in parts for pick in (np.argmin, np.argmax)})
    return x[keep], y[keep]
