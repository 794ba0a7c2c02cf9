"""The clinic's terminal: what a step shows, drawn with rich; readable at 80 columns and over ssh."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from rich.align import Align
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from bci.chunks import Chunk
from bci.cli._clinic_view_keys import ClinicKeys
from bci.cli._console import can_show
from bci.cli._help import wrapped
from bci.language import _

__all__ = ["ClinicTerminal", "draw"]

#: Keys of buttons; Space and Esc are never among them.
KEYS = {
    "next": "\n",
    "resume": "\n",
    "arm": "a",
    "disarm": "d",
    "pause": "p",
    "override": "o",
    "check": "m",
    "recalibrate": "r",
    "quit": "q",
}
#: Colour, and a sign for those who do not see it.
LEVELS = {"good": ("green", "●", "o"), "fair": ("yellow", "▲", "^"), "bad": ("red", "✖", "x")}
MODES = {
    "disarmed": "black on white",
    "idle": "black on white",
    "armed": "black on green",
    "moving": "bold white on blue",
    "hold": "black on yellow",
    "stale": "bold black on yellow",
    "fault": "bold white on red",
}
DRIFTS = {"none": "dim", "some": "yellow", "strong": "bold red"}
WIDE = 100


class ClinicTerminal:
    """A `Screen` in this terminal. A context manager.

    Parameters
    ----------
    console : Console, optional
        Default: one on stderr, so that stdout stays free for results.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(file=sys.stderr, highlight=False)
        self._state: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._stop: Callable[[str], object] | None = None
        self._stops = 0
        self._keys = ClinicKeys(self._pressed_stop)
        self._live = Live(
            console=self.console,
            refresh_per_second=8,
            get_renderable=self._draw,
            transient=True,
            redirect_stdout=False,
        )

    @property
    def person(self) -> bool:
        """Somebody can press keys here and see what they do."""
        return self._keys.available and self.console.is_terminal

    def show(self, **state: Any) -> None:
        with self._lock:
            said = state.get("notes")
            if said and said != self._state.get("notes") and not self.console.is_terminal:
                for note in said:
                    self.console.print(Text(note))
            for key, value in state.items():
                if value is None:
                    self._state.pop(key, None)
                else:
                    self._state[key] = value

    def signal(self, chunk: Chunk) -> None:
        """A terminal draws no curves."""

    def actions(self) -> list[str]:
        with self._lock:
            offered = [b["action"] for b in self._state.get("stage", {}).get("buttons", ())]
        pressed = [a for key in self._keys.pressed() for a in offered if KEYS.get(a) == key]
        with self._lock:
            pressed += ["stop"] * self._stops
            self._stops = 0
        return pressed

    def stops(self, stop: Callable[[str], object] | None, address: str) -> None:
        self._stop = stop

    def say(self, text: str) -> None:
        """A line that stays above the moving part."""
        self._live.console.print(Text(text))

    def _pressed_stop(self) -> None:
        stop = self._stop
        if stop is not None:
            stop("key")
        else:
            with self._lock:
                self._stops = 1

    def _draw(self) -> RenderableType:
        with self._lock:
            state = dict(self._state)
        return draw(state, width=self.console.width, ascii_only=not can_show("●█"), now_s=time.monotonic())

    def __enter__(self) -> Self:
        self._keys.__enter__()
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self._live.stop()
        self._keys.__exit__(kind, error, trace)


def draw(
    state: dict[str, Any], *, width: int, ascii_only: bool = False, now_s: float = 0.0
) -> RenderableType:
    """Everything in `state` (keys of `bci.web.LivePage.show`), for a terminal of this width.

    STOP and the mode of the hand stand in the first line, whatever else there is.
    """
    if not state:
        return Text("")
    parts: list[RenderableType] = [_head(state)]
    title = state.get("stage", {})
    if title:
        parts.append(Text(str(title.get("text", "")), style="bold"))
    if "cue" in state:
        parts.append(_cue(state["cue"]))
    if "progress" in state:
        parts.append(_progress(state["progress"], width))
    columns: list[RenderableType] = []
    if "probabilities" in state or "hand" in state:
        columns = [_feedback(state, 30 if width >= WIDE else 20, ascii_only), _hand(state, ascii_only)]
    electrodes = state.get("electrodes")
    if columns:
        parts.append(_beside(columns, width))
        bad = [e for e in electrodes or () if e["level"] == "bad"]
        if bad:
            parts.append(_advice(bad))
    elif electrodes and "cue" not in state:
        parts.append(_electrodes(electrodes, width, ascii_only))
        parts.append(_advice([e for e in electrodes if e["level"] != "good"]))
    if drift := state.get("drift"):
        parts.append(Text(str(drift["text"]), style=DRIFTS.get(str(drift["level"]), "")))
    parts += [
        Text(f"» {note}" if not ascii_only else f"> {note}", style="bold yellow")
        for note in state.get("notes", ())
    ]
    parts.append(Rule(style="dim", characters="─" if not ascii_only else "-"))
    parts.append(_foot(state))
    return Group(*parts)


def _head(state: dict[str, Any]) -> RenderableType:
    row = Table.grid(expand=True, padding=(0, 1))
    row.add_column(no_wrap=True)
    row.add_column(justify="center", no_wrap=True)
    row.add_column(justify="right", no_wrap=True)
    hand = state.get("hand")
    mode = Text("")
    if hand:
        name = str(hand["mode"])
        mode = Text(f"  {mode_word(name)}  ", style=MODES.get(name, ""))
    stop = Text(" STOP ", style="bold white on red")
    stop.append(_(" Space or Esc "), style="bold red on default")
    row.add_row(Text(str(state.get("stage", {}).get("title", "")), style="bold cyan"), mode, stop)
    return row


def mode_word(mode: str) -> str:
    """The mode in capitals, as people read it from afar."""
    words = {
        "disarmed": _("DISARMED"),
        "idle": _("DISARMED"),
        "armed": _("ARMED"),
        "moving": _("MOVING"),
        "hold": _("HOLD"),
        "stale": _("STALE"),
        "fault": _("FAULT"),
    }
    return words.get(mode, mode.upper())


def _cue(cue: dict[str, Any]) -> RenderableType:
    phase = str(cue["phase"])
    if phase in ("cue", "task"):
        text = Text(str(cue["word"]), style="bold white on magenta" if phase == "cue" else "bold magenta")
    elif phase == "rest":
        text = Text("+", style="bold")
    else:
        text = Text(str(cue["word"]) or _("pause"), style="dim")
    left = Text(f"{cue['left_s']:.0f} s", style="dim") if cue.get("left_s") else Text("")
    return Panel(
        Align.center(Group(Align.center(text), Align.center(left))), height=4, border_style="magenta"
    )


def _progress(progress: dict[str, Any], width: int) -> RenderableType:
    row = Table.grid(padding=(0, 1))
    row.add_row(
        ProgressBar(
            total=max(float(progress["total"]), 1.0),
            completed=float(progress["done"]),
            width=min(40, width // 2 - 4),
        ),
        Text(f"{progress['text']} · {_('{time} left').format(time=_duration(progress['left_s']))}"),
    )
    return row


def _duration(seconds: int) -> str:
    """In the words of the page."""
    if seconds < 60:
        return _("{s} s").format(s=seconds)
    if seconds % 60 and seconds < 600:
        return _("{m} min {s} s").format(m=seconds // 60, s=seconds % 60)
    return _("{m} min").format(m=round(seconds / 60))


def _feedback(state: dict[str, Any], length: int, ascii_only: bool) -> RenderableType:
    """A bar of evidence for each class, with the mark from which it counts."""
    full, empty, tick = ("█", "░", "┃") if not ascii_only else ("#", ".", "|")
    table = Table(box=None, show_header=False, padding=(0, 1))
    for _i in range(3):
        table.add_column(no_wrap=True)
    at = round(float(state.get("threshold", 1.0)) * (length - 1))
    for name, p in (state.get("probabilities") or {}).items():
        n = round(float(p) * length)
        bar = Text(full * n + empty * (length - n), style="cyan")
        if name != "rest":
            bar = Text.assemble(bar[:at], (tick, "bold red"), bar[at + 1 :])
            bar.stylize("bold green" if n > at else "", 0, at)
        table.add_row(class_name(name), bar, f"{float(p):.2f}")
    if not state.get("probabilities"):
        table.add_row("", Text(_("gathering signal …"), style="dim"), "")
    below = [Text(_("{tick} from here on a movement counts").format(tick=tick), style="dim")]
    if link := state.get("link"):
        below.append(Text(_("{n} samples lost").format(n=link["lost"]), style="dim"))
    return Group(table, *below)


def class_name(name: str) -> str:
    """A class in one word."""
    return {"rest": _("rest"), "left": _("left"), "right": _("right"), "feet": _("feet")}.get(name, name)


def _hand(state: dict[str, Any], ascii_only: bool) -> RenderableType:
    from bci.prosthesis import hand_lines

    hand = state.get("hand")
    if not hand:
        return Text("")
    lines: Sequence[str] = hand_lines(
        tuple(hand["position"]), contact=tuple(hand["contact"] or (False,) * 6), ascii_only=ascii_only
    )
    why = wrapped(str(hand["cause"]), 40)
    return Group(*(Text(line) for line in lines), *(Text(line, style="dim") for line in why))


def _beside(columns: list[RenderableType], width: int) -> RenderableType:
    grid = Table.grid(padding=(0, 3))
    if width >= 72:
        grid.add_row(*columns)
    else:
        for column in columns:
            grid.add_row(column)
    return grid


def _electrodes(electrodes: Sequence[dict[str, Any]], width: int, ascii_only: bool) -> RenderableType:
    per_row = 4 if width >= WIDE else 3 if width >= 66 else 2
    rows = -(-len(electrodes) // per_row)
    table = Table(box=None, show_header=False, padding=(0, 1))
    for _i in range(per_row):
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, justify="right")
    for r in range(rows):
        cells: list[Text] = []
        for e in electrodes[r::rows]:
            colour, sign, plain = LEVELS[e["level"]]
            cells.append(Text(f"{plain if ascii_only else sign} {e['name']}", style=colour))
            kohm = e["impedance_kohm"]
            cells.append(Text("–" if kohm is None else f"{kohm:.0f} kΩ", style=colour))
        table.add_row(*cells)
    return table


def _advice(electrodes: Sequence[dict[str, Any]]) -> RenderableType:
    shown = [Text(f"{e['sentence']} {e['advice']}", style=LEVELS[e["level"]][0]) for e in electrodes[:5]]
    if len(electrodes) > 5:
        shown.append(Text(_("… and {n} more").format(n=len(electrodes) - 5), style="dim"))
    return Group(*shown)


def _foot(state: dict[str, Any]) -> Text:
    line = Text()
    for b in state.get("stage", {}).get("buttons", ()):
        key = KEYS.get(b["action"], "?")
        line.append(f" {_('Enter') if key == chr(10) else key.upper()} ", style="reverse")
        line.append(f" {b['label']}   ")
    return line
