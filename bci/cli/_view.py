"""What a person sees of a session in a terminal: live with `rich` where there is one, plain lines where not."""

from __future__ import annotations

import math
import sys
import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bci.sessions.observer import ControlView

if TYPE_CHECKING:
    from bci.sessions.summary import Summary

__all__ = ["LinesView", "TerminalView", "choose_view", "print_summary"]

STAGES = {
    "prepare": "Preparing",
    "calibrate": "Calibrating",
    "train": "Training",
    "control": "Controlling",
    "report": "Reporting",
}
MODES = {
    "disarmed": "white",
    "idle": "cyan",
    "armed": "green",
    "moving": "bold yellow",
    "hold": "red",
    "fault": "bold red",
}
BAR = 16
NARROW = 100  # columns below which the hand is drawn under the decision, not beside it


def choose_view(stream: TextIO) -> AbstractContextManager[TerminalView | LinesView]:
    """A live view in a terminal, else a line for each stage."""
    return TerminalView(stream) if stream.isatty() else LinesView(stream)


class LinesView:
    """One line when something changes; for pipes, logs and terminals that cannot redraw."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._tenth = -1

    def __enter__(self) -> LinesView:
        return self

    def __exit__(self, *_: object) -> None: ...

    def stage(self, name: str, detail: str = "") -> None:
        self._tenth = -1
        self._say(f"{STAGES.get(name, name)}: {detail}")

    def progress(self, done: float, total: float, unit: str) -> None:
        tenth = int(4 * done / total) if total else 0
        if tenth != self._tenth:
            self._tenth = tenth
            self._say(f"  {done:.0f} of {total:.0f} {unit}")

    def control(self, view: ControlView) -> None: ...

    def note(self, text: str) -> None:
        self._say(f"  {text}")

    def _say(self, text: str) -> None:
        print(text, file=self._stream, flush=True)  # signs that a console lacks: `bci.cli._console`


class TerminalView:
    """Stages above, and while the hand is controlled a panel of signal quality, decision and hand below."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream)
        self._unicode = "utf" in (stream.encoding or "").lower()
        self._stage = ""
        self._since = time.monotonic()
        self._progress: tuple[float, float, str] | None = None
        self._view: ControlView | None = None
        self._live = Live(
            console=self._console, refresh_per_second=12, transient=True, get_renderable=self._draw
        )

    def __enter__(self) -> TerminalView:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._finish()
        self._stage = ""
        self._live.stop()

    def stage(self, name: str, detail: str = "") -> None:
        self._finish()
        self._progress = self._view = None
        self._stage, self._since = STAGES.get(name, name), time.monotonic()
        self._live.console.print(Text.assemble((f"{self._stage:<12}", "bold"), detail))

    def progress(self, done: float, total: float, unit: str) -> None:
        self._progress = (done, total, unit)

    def control(self, view: ControlView) -> None:
        self._view = view

    def note(self, text: str) -> None:
        self._live.console.print(Text(f"{'':<12}{text}"))

    def _finish(self) -> None:
        if self._stage:
            took = time.monotonic() - self._since
            self._live.console.print(Text(f"{'':<12}done in {took:.1f} s", style="dim"))

    def _draw(self) -> Group:
        parts: list[object] = []
        if self._progress is not None:
            done, total, unit = self._progress
            row = Table.grid(padding=(0, 1))
            row.add_row(
                " " * 11,
                ProgressBar(total=max(total, 1e-9), completed=done, width=40),
                f"{done:.0f}/{total:.0f} {unit}",
            )
            parts.append(row)
        if self._view is not None:
            parts.append(self.panel(self._view))
        return Group(*parts)  # type: ignore[arg-type]

    def panel(self, view: ControlView) -> Panel:
        """Signal, decision and hand of one look, side by side."""
        columns = Table.grid(padding=(0, 2))
        beside = [self._quality(view), self._decision(view)]
        if self._console.width >= NARROW:
            columns.add_row(*beside, self._hand(view))
        else:
            columns.add_row(*beside)
            columns.add_row("", self._hand(view))
        pace = "real time" if view.live else "accelerated"
        title = f"{view.run} · {view.device_s:5.1f} s · {pace} · lost {view.lost}"
        return Panel(columns, title=title, border_style="green" if view.live else "cyan", expand=False)

    def _quality(self, view: ControlView) -> Table:
        table = Table(title="signal", box=None, padding=(0, 1), title_style="dim")
        names = list(view.quality)
        half = (len(names) + 1) // 2
        for _ in range(4 if len(names) > 1 else 2):
            table.add_column(no_wrap=True)
        table.show_header = False
        for left in names[:half]:
            cells: list[Text | str] = [left, self._score(view, left)]
            index = names.index(left) + half
            if index < len(names):
                cells += [names[index], self._score(view, names[index])]
            table.add_row(*cells)
        return table

    def _score(self, view: ControlView, name: str) -> Text:
        quality = view.quality[name]
        style = "green" if quality.score > 70 else "yellow" if quality.score > 30 else "red"
        # A cause beside a good score would only take the width that the decision needs.
        cause = quality.causes[0] if quality.causes and quality.score <= 70 else ""
        return Text(f"{quality.score:3d} {cause}".rstrip(), style=style)

    def _decision(self, view: ControlView) -> Table:
        table = Table(title="decision", box=None, padding=(0, 1), title_style="dim", show_header=False)
        for _ in range(3):
            table.add_column(no_wrap=True)
        full, empty = ("█", "░") if self._unicode else ("#", ".")
        for name, p in view.probabilities.items():
            n = round(p * BAR)
            table.add_row(name, Text(full * n + empty * (BAR - n), style="cyan"), f"{p:.2f}")
        if not view.probabilities:
            table.add_row("", "window filling", "")
        table.add_row("")
        for name, value in view.evidence.items():
            if name != "rest":
                over = value >= view.threshold
                told = f"{name} {value:+.1f} of {view.threshold:+.1f}"
                table.add_row("evidence", Text(told, style="bold" if over else ""))
        table.add_row("asked for", Text(view.cue or "–", style="bold magenta"))
        return table

    def _hand(self, view: ControlView) -> Group:
        from bci.prosthesis import hand_lines

        hand = view.hand
        mode = Text(hand.mode.upper(), style=MODES.get(hand.mode, ""))
        lines = hand_lines(hand.position, contact=hand.contact, ascii_only=not self._unicode)
        return Group(
            Text("hand", style="dim"),
            mode,
            *(Text(line) for line in lines),
            Text(hand.cause[:34], style="dim"),
        )


def print_summary(summary: Summary) -> None:
    """The session's figures, each with what it rests on."""
    s, cued, control = summary, summary.cued, summary.control
    low, high = cued["interval_95"]
    trials = sum(cued["trials"].values())
    rows = [
        (
            "balanced accuracy",
            f"{s.balanced_accuracy:.2f}",
            f"95 % {low:.2f}–{high:.2f}, chance {cued['chance']:.2f}; {trials} cued trials never trained on",
        ),
        ("  motor channels", _number(s.balanced_accuracy_motor), " ".join(s.what["motor_channels"])),
    ]
    if s.armed:
        low, high = control["interval_95"] or (math.nan, math.nan)
        rows += [
            (
                "movements detected",
                f"{control['hits']}/{control['cued_movements']}",
                f"median {_number(control['detection_latency_s_median'])} s after the cue; "
                f"by chance alone {control['blind_hit_rate']:.2f}",
            ),
            (
                "false movements/min",
                _number(s.false_movements_per_min),
                f"{control['false_movements']} in {control['idle_minutes']:.1f} min of device time, "
                f"95 % {low:.2f}–{high:.2f}",
            ),
        ]
    else:
        rows.append(("hand", "not armed", s.refusal))
    if s.latency_ms_median is not None:
        rows.append(
            (
                "last byte to command",
                f"{s.latency_ms_median:.1f} ms",
                f"99 % within {s.speed['byte_to_command_ms_p99']:.1f} ms, "
                f"{s.speed['decisions']} decisions in real time",
            )
        )
    link = s.link
    rows += [
        ("hand", "", s.what["hand_title"]),
        (
            "link",
            f"{s.samples_lost} lost",
            f"{link['samples']:,} samples, {link['frames']:,} frames, {link['bytes']:,} bytes, "
            f"{link['faults']} damaged",
        ),
        ("recording", "", s.files["recording"]),
        ("report", "", s.files["report"]),
    ]
    console = Console(file=sys.stdout)
    table = Table.grid(padding=(0, 2))
    for name, value, rest in rows:
        table.add_row(name, Text(value, style="bold"), Text(rest))
    console.print()
    console.print(table)


def _number(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.2f}"
