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

from bci.cli._clinic_view import class_name, mode_word
from bci.cli._console import can_show
from bci.cli._help import wrapped
from bci.language import N_, _
from bci.prosthesis.monitor_state import say_cause
from bci.report.words import finding_word
from bci.sessions.observer import ControlView

if TYPE_CHECKING:
    from bci.sessions.summary import Summary

__all__ = ["LinesView", "TerminalView", "choose_view", "print_summary"]

STAGES = {
    "prepare": N_("Preparing"),
    "calibrate": N_("Calibrating"),
    "train": N_("Training"),
    "control": N_("Controlling"),
    "report": N_("Reporting"),
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
CAUSE = 34  # columns for why the hand is held
NARROW = 104  # columns below which the hand is drawn under the decision, not beside it


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
        self._say(_("{stage}: {what}").format(stage=_(STAGES.get(name, name)), what=detail))

    def progress(self, done: float, total: float, unit: str) -> None:
        tenth = int(4 * done / total) if total else 0
        if tenth != self._tenth:
            self._tenth = tenth
            self._say("  " + _progressed(done, total, unit))

    def control(self, view: ControlView) -> None: ...

    def note(self, text: str) -> None:
        self._say(f"  {text}")

    def _say(self, text: str) -> None:
        print(text, file=self._stream, flush=True)  # signs that a console lacks: `bci.cli._console`


class TerminalView:
    """Stages above, and while the hand is controlled a panel of signal quality, decision and hand below."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream)
        self._unicode = can_show("█░●")
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
        self._stage, self._since = _(STAGES.get(name, name)), time.monotonic()
        self._told((self._stage, "bold"), detail)

    def progress(self, done: float, total: float, unit: str) -> None:
        self._progress = (done, total, unit)

    def control(self, view: ControlView) -> None:
        self._view = view

    def note(self, text: str) -> None:
        self._told(("", ""), text)

    def _finish(self) -> None:
        if self._stage:
            took = time.monotonic() - self._since
            self._told(("", ""), _("done in {seconds} s").format(seconds=f"{took:.1f}"), style="dim")

    def _told(self, head: tuple[str, str], text: str, style: str = "") -> None:
        """A line that stays; what does not fit into it goes on below its own beginning."""
        row = Table.grid()
        row.add_column(width=12, no_wrap=True)
        row.add_column(overflow="fold")
        row.add_row(Text(*head), Text(text, style=style))
        self._live.console.print(row)

    def _draw(self) -> Group:
        parts: list[object] = []
        if self._progress is not None:
            done, total, unit = self._progress
            row = Table.grid(padding=(0, 1))
            row.add_row(
                " " * 11,
                ProgressBar(total=max(total, 1e-9), completed=done, width=40),
                _progressed(done, total, unit),
            )
            parts.append(row)
        if self._view is not None:
            parts.append(self.panel(self._view))
        return Group(*parts)  # type: ignore[arg-type]

    def panel(self, view: ControlView) -> Panel:
        """Signal, decision and hand of one look, side by side."""
        columns = Table.grid(padding=(0, 1))
        beside = [self._quality(view), self._decision(view)]
        if self._console.width >= NARROW:
            columns.add_row(*beside, self._hand(view))
        else:
            columns.add_row(*beside)
            columns.add_row("", self._hand(view))
        pace = _("real time") if view.live else _("accelerated")
        lost = _("{n} samples lost").format(n=view.lost)
        title = f"{view.run} · {view.device_s:5.1f} s · {pace} · {lost}"
        return Panel(columns, title=title, border_style="green" if view.live else "cyan", expand=False)

    def _quality(self, view: ControlView) -> Table:
        table = Table(title=_("signal"), box=None, padding=(0, 1), title_style="dim")
        names = list(view.quality)
        half = (len(names) + 1) // 2
        for _column in range(4 if len(names) > 1 else 2):
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
        cause = finding_word(quality.causes[0]) if quality.causes and quality.score <= 70 else ""
        return Text(f"{quality.score:3d} {cause}".rstrip(), style=style)

    def _decision(self, view: ControlView) -> Table:
        table = Table(title=_("decision"), box=None, padding=(0, 1), title_style="dim", show_header=False)
        for _column in range(3):
            table.add_column(no_wrap=True)
        full, empty = ("█", "░") if self._unicode else ("#", ".")
        for name, p in view.probabilities.items():
            n = round(p * BAR)
            table.add_row(class_name(name), Text(full * n + empty * (BAR - n), style="cyan"), f"{p:.2f}")
        if not view.probabilities:
            table.add_row("", _("gathering signal …"), "")
        table.add_row("")
        for name, value in view.evidence.items():
            if name != "rest":
                over = value >= view.threshold
                told = f"{class_name(name)} {value:+.1f}/{view.threshold:+.1f}"
                table.add_row(_("evidence"), Text(told, style="bold" if over else ""))
        table.add_row(_("asked for"), Text(class_name(view.cue) if view.cue else "–", style="bold magenta"))
        return table

    def _hand(self, view: ControlView) -> Group:
        from bci.prosthesis import hand_lines

        hand = view.hand
        mode = Text(mode_word(hand.mode), style=MODES.get(hand.mode, ""))
        lines = hand_lines(hand.position, contact=hand.contact, ascii_only=not self._unicode)
        return Group(
            Text(_("prosthetic hand"), style="dim"),
            mode,
            *(Text(line) for line in lines),
            *(Text(line, style="dim") for line in wrapped(say_cause(hand.cause), CAUSE)[:2]),
        )


def print_summary(summary: Summary) -> None:
    """The session's figures, each with what it rests on."""
    s, cued, control = summary, summary.cued, summary.control
    low, high = cued["interval_95"]
    trials = sum(cued["trials"].values())
    rows = [
        (
            _("balanced accuracy"),
            f"{s.balanced_accuracy:.2f}",
            _("95 % {low:.2f}–{high:.2f}, chance {chance:.2f}; {n} cued trials never trained on").format(
                low=low, high=high, chance=cued["chance"], n=trials
            ),
        ),
        ("  " + _("motor channels"), _number(s.balanced_accuracy_motor), " ".join(s.what["motor_channels"])),
    ]
    if s.armed:
        low, high = control["interval_95"] or (math.nan, math.nan)
        rows += [
            (
                _("movements detected"),
                f"{control['hits']}/{control['cued_movements']}",
                _("median {median} s after the cue; by chance alone {blind:.2f}").format(
                    median=_number(control["detection_latency_s_median"]), blind=control["blind_hit_rate"]
                ),
            ),
            (
                _("false movements a minute"),
                _number(s.false_movements_per_min),
                _("{n} in {minutes:.1f} min of device time, 95 % {low:.2f}–{high:.2f}").format(
                    n=control["false_movements"], minutes=control["idle_minutes"], low=low, high=high
                ),
            ),
        ]
    else:
        rows.append((_("prosthetic hand"), _("not armed"), s.refusal))
    if s.latency_ms_median is not None:
        rows.append(
            (
                _("last byte to command"),
                f"{s.latency_ms_median:.1f} ms",
                _("99 % within {p99:.1f} ms, {n} decisions in real time").format(
                    p99=s.speed["byte_to_command_ms_p99"], n=s.speed["decisions"]
                ),
            )
        )
    link = s.link
    rows += [
        (_("prosthetic hand"), "", s.what["hand_title"]),
        (
            _("link"),
            _("{n} lost").format(n=s.samples_lost),
            _("{samples} samples, {frames} frames, {bytes} bytes, {faults} damaged").format(
                **{key: f"{link[key]:,}" for key in ("samples", "frames", "bytes", "faults")}
            ),
        ),
        (_("recording"), "", s.files["recording"]),
        (_("report"), "", s.files["report"]),
    ]
    console = Console(file=sys.stdout)
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")  # a Chinese sentence is one word to rich, which would cut it
    for name, value, rest in rows:
        table.add_row(name, Text(value, style="bold"), Text(rest))
    console.print()
    console.print(table)


def _progressed(done: float, total: float, unit: str) -> str:
    return _("{done} of {total} {unit}").format(done=f"{done:.0f}", total=f"{total:.0f}", unit=unit)


def _number(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.2f}"
