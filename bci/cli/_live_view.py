"""The essentials of a live signal in a terminal: levels, electrodes, rate and loss; lines through a pipe."""

from __future__ import annotations

import time
from collections import deque
from types import TracebackType
from typing import Any, TextIO

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bci.chunks import Chunk, SignalInfo
from bci.dsp import SosFilter, design_bandpass
from bci.language import _, thing_word

__all__ = ["TerminalLive"]

#: Over which level and rate are taken, s.
WINDOW_S = 2.0
BAR = 24
#: µV RMS of a full bar; it grows by octaves from 1 µV.
FULL_UV = 100.0
STYLES = {"good": "green", "fair": "yellow", "bad": "bold red"}


class TerminalLive:
    """As `bci.web.LivePage`, for eyes at a terminal. Redraws four times a second, or writes a line every two."""

    def __init__(self, info: SignalInfo, title: str, stream: TextIO) -> None:
        self._info, self._title = info, title
        self._console = Console(file=stream)
        self._unicode = "utf" in (stream.encoding or "").lower()
        band = design_bandpass(0.5, min(40.0, 0.4 * info.fs_hz), fs_hz=info.fs_hz, order=2)
        self._filter = SosFilter(band, n_channels=info.n_channels)
        self._squares: deque[tuple[int, np.ndarray]] = deque()
        self._arrivals: deque[tuple[float, int]] = deque()
        self._next = -1
        self._state: dict[str, Any] = {}
        self._lost = 0
        self._said = time.monotonic()
        self._live = Live(
            console=self._console, refresh_per_second=4, transient=True, get_renderable=self.draw
        )

    def __enter__(self) -> TerminalLive:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def signal(self, chunk: Chunk) -> None:
        """Take the next chunk, raw."""
        now = time.monotonic()
        self._lost += chunk.lost_before
        if chunk.n_samples and np.isfinite(chunk.data_uv).all():
            if chunk.first_sample != self._next:
                self._filter.reset()
            self._next = chunk.end_sample
            clean = self._filter.process(chunk.data_uv)
            self._squares.append((chunk.n_samples, np.square(clean).sum(axis=1)))
            self._arrivals.append((now, chunk.n_samples))
        while sum(n for n, _sum in self._squares) > WINDOW_S * self._info.fs_hz and len(self._squares) > 1:
            self._squares.popleft()
        while self._arrivals and now - self._arrivals[0][0] > WINDOW_S:
            self._arrivals.popleft()
        if not self._console.is_terminal and now - self._said >= WINDOW_S:
            self._said = now
            self._console.print(self.line(), highlight=False, soft_wrap=True)

    def show(self, **state: Any) -> None:
        """Newest values, as the page takes them."""
        self._state |= state

    def actions(self) -> list[str]:
        """Nothing is pressed here; Ctrl-C ends."""
        return []

    def levels_uv(self) -> np.ndarray:
        """RMS of each channel in 0.5–40 Hz over the last two seconds, µV."""
        n = sum(n for n, _sum in self._squares)
        if not n:
            return np.zeros(self._info.n_channels)
        out: np.ndarray = np.sqrt(np.sum([total for _n, total in self._squares], axis=0) / n)
        return out

    def line(self) -> str:
        """Everything in one line."""
        levels = ", ".join(
            f"{name} {uv:.0f}" for name, uv in zip(self._info.channels, self.levels_uv(), strict=True)
        )
        return f"{self._facts()}; µV RMS: {levels}"

    def draw(self) -> Group:
        """The whole view."""
        electrodes = {e["name"]: e for e in self._state.get("electrodes") or ()}
        table = Table(box=None, padding=(0, 1), show_header=False)
        for _column in range(4):
            table.add_column(no_wrap=True)
        for name, uv in zip(self._info.channels, self.levels_uv(), strict=True):
            electrode = electrodes.get(name, {})
            style = STYLES.get(str(electrode.get("level")), "")
            said = "" if electrode.get("level") == "good" else str(electrode.get("sentence", ""))
            table.add_row(name, self._bar(float(uv)), f"{uv:6.1f} µV", Text(said, style=style))
        stage = self._state.get("stage") or {}
        notes = [Text(str(note), style="yellow") for note in self._state.get("notes") or ()]
        return Group(
            Text(self._title, style="bold"),
            Text(self._facts()),
            Text(str(stage.get("title", ""))),
            *notes,
            table,
            Text(_("µV RMS in 0.5–40 Hz, last two seconds. Ctrl-C ends it."), style="dim"),
        )

    def _bar(self, uv: float) -> Text:
        share = np.log2(max(uv, 1.0)) / np.log2(FULL_UV)
        n = int(np.clip(round(share * BAR), 0, BAR))
        full, empty = ("█", "░") if self._unicode else ("#", ".")
        return Text(full * n + empty * (BAR - n), style="cyan")

    def _facts(self) -> str:
        link = self._state.get("link") or {}
        rate = float(link.get("rate_hz", 0.0))
        if not rate and len(self._arrivals) > 1 and time.monotonic() - self._arrivals[-1][0] < WINDOW_S:
            span = time.monotonic() - self._arrivals[0][0]
            rate = (sum(n for _t, n in self._arrivals) - self._arrivals[0][1]) / max(span, 1e-9)
        return _("{device}: {n} channels, {rate} Hz, {lost} samples lost").format(
            device=thing_word(self._info.device) or _("board"),
            n=self._info.n_channels,
            rate=f"{rate:.0f}",
            lost=link.get("lost", self._lost),
        )
