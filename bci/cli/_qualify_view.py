"""What the operator of a bench sees and says: a panel with picture and progress in a terminal, else lines.

Enter: done as asked, or try again. s: go without this measurement. Esc (or q): stop; the board is put at rest and
everything that was measured is kept. Programs write the same as lines: an empty one, `s`, `q`.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import time
from pathlib import Path
from types import TracebackType
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bci.cli._keys import Keys
from bci.errors import BenchRecordError
from bci.language import _, ngettext
from bci.qualification.drawings import drawing_text
from bci.qualification.guide import Abort, Again, Event, Go, Guide, Outcome, Skip, Stage
from bci.qualification.guide_page import write_guide_page

__all__ = ["BenchKeys", "JsonView", "LinesView", "Person", "TerminalView", "left"]

POLL_S = 0.05
LONG_S = 600.0  # of signal: a measurement that takes longer tells how far it is
TOLD = 20  # so many times, where there is no panel to be looked at
SIGNS = {"pass": ("✓", "green"), "fail": ("✗", "bold red"), "not measured": ("–", "yellow")}
WORDS = {"\n": "go", "": "go", "g": "go", "s": "skip", "q": "stop", "\x1b": "stop"}


class BenchKeys(Keys):
    """Enter and Esc, too; arrow keys are none."""

    def __enter__(self) -> BenchKeys:
        super().__enter__()
        return self

    def _take(self, data: bytes) -> list[str]:
        if self._terminal:
            text = data.decode(errors="ignore").replace("\r", "\n")
            return [text] if text == "\x1b" else [key for key in text if "\x1b" not in text]
        *lines, self._line = (self._line + data).split(b"\n")
        return [line.decode(errors="replace").strip() for line in lines]

    def _pressed_on_windows(self) -> list[str]:
        console = importlib.import_module("msvcrt")
        found = []
        while self._terminal and console.kbhit():
            key = console.getwch()
            if key == "\x03":
                raise KeyboardInterrupt
            found.append(key.replace("\r", "\n"))
        return found

    @property
    def ended(self) -> bool:
        """Nobody will ever say anything again."""
        return self._ended


class JsonView:
    """One JSON object per line, for programs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown: tuple[object, ...] = ()

    def __enter__(self) -> JsonView:
        return self

    def __exit__(self, *_args: object) -> None: ...

    def show(self, guide: Guide) -> None:
        shown = (guide.stage, guide.at, guide.take, len(guide.outcomes))
        if shown == self._shown or guide.now is None:
            return
        self._shown = shown
        take = guide.present
        self.tell(
            stage=guide.stage.value,
            measurement=guide.now.name,
            number=guide.at + 1,
            of=len(guide.plan),
            take=take.name if take else None,
            instruction=take.instruction if take and guide.stage == Stage.INSTRUCT else None,
            connect=dict(take.connect) if take else None,
            sentence=guide.sentence or None,
            left_s=round(guide.left_s, 1),
        )

    def tell(self, **facts: object) -> None:
        self._stream.write(
            json.dumps({k: v for k, v in facts.items() if v is not None}, ensure_ascii=False) + "\n"
        )
        self._stream.flush()


class LinesView:
    """A line when something changes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._outcomes = 0
        self._asked: tuple[object, ...] = ()
        self._far = (-1, 0)

    def __enter__(self) -> LinesView:
        return self

    def __exit__(self, *_args: object) -> None: ...

    def show(self, guide: Guide) -> None:
        for outcome in guide.outcomes[self._outcomes :]:
            sign, _colour = SIGNS[outcome.verdict]
            why = f" – {outcome.sentence}" if outcome.sentence else ""
            self.say(f"{sign} {outcome.title}{why}")
        self._outcomes = len(guide.outcomes)
        asked = (guide.stage, guide.at, guide.take)
        if guide.stage in (Stage.INSTRUCT, Stage.ASK) and asked != self._asked:
            take = guide.present
            if guide.stage == Stage.INSTRUCT and take is not None:
                self.say(drawing_text(dict(take.connect)))
                self.say(f"→ {take.instruction}")
            else:
                self.say(f"! {guide.sentence}")
            self.say(f"  {_keys_line(guide)}")
        self._asked = asked
        if guide.stage == Stage.MEASURE and guide.now is not None and guide.now.seconds >= LONG_S:
            done, whole = guide.done_s, guide.now.seconds
            reached = guide.at, int(TOLD * done / whole)
            if reached > self._far and reached[1]:
                self.say(f"  {guide.now.title}: {far(done, whole)}, {left(guide)}")
            self._far = max(self._far, reached)

    def say(self, text: str) -> None:
        """A line that stays."""
        print(text, file=self._stream, flush=True)  # signs that a console lacks: `bci.cli._console`


class TerminalView:
    """What is done above, one instruction with its picture and the progress below."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream)
        self._guide: Guide | None = None
        self._outcomes = 0
        self._live = Live(
            console=self._console, refresh_per_second=8, transient=True, get_renderable=self._draw
        )

    def __enter__(self) -> TerminalView:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._guide = None
        self._live.stop()

    def say(self, text: str) -> None:
        """A line that stays above the moving part. Past it, click would write UTF-8 whatever the console speaks."""
        self._live.console.print(Text(text))

    def show(self, guide: Guide) -> None:
        for outcome in guide.outcomes[self._outcomes :]:
            self._live.console.print(told(outcome))
        self._outcomes = len(guide.outcomes)
        self._guide = guide

    def _draw(self) -> Group:
        if self._guide is None or self._guide.now is None:
            return Group()
        return Group(self.panel(self._guide))

    def panel(self, guide: Guide) -> Panel:
        """What the operator has to know now."""
        assert guide.now is not None
        parts: list[Text | Table] = []
        take = guide.present
        if guide.stage == Stage.INSTRUCT and take is not None:
            parts += [Text(drawing_text(dict(take.connect)), style="cyan"), Text()]
            parts.append(Text(take.instruction, style="bold"))
        elif guide.stage == Stage.ASK:
            parts.append(Text(guide.sentence, style="bold yellow"))
        elif guide.stage == Stage.MEASURE and take is not None:
            done, whole = guide.done_s, guide.now.seconds
            row = Table.grid(padding=(0, 1))
            row.add_row(ProgressBar(total=max(whole, 1e-9), completed=done, width=40), far(done, whole))
            parts += [Text(take.name, style="dim"), row]
        else:
            parts.append(Text(_("Computing …"), style="dim"))
        parts += [Text(), Text(_keys_line(guide), style="dim")]
        return Panel(
            Group(*parts),
            title=f"{guide.at + 1}/{len(guide.plan)}  {guide.now.title}",
            subtitle=left(guide),
            title_align="left",
            subtitle_align="right",
            border_style="yellow" if guide.stage in (Stage.INSTRUCT, Stage.ASK) else "blue",
        )


def told(outcome: Outcome) -> Text:
    """A measurement that is over, on a line."""
    sign, colour = SIGNS[outcome.verdict]
    line = Text.assemble((f"{sign} ", colour), outcome.title)
    if outcome.sentence:
        line.append(f"  {outcome.sentence}", style=colour)
    return line


def left(guide: Guide) -> str:
    """How long it will take."""
    if guide.left_s >= 90:
        return _("about {n} minutes left").format(n=round(guide.left_s / 60))
    n = round(guide.left_s)
    return ngettext("{n} second left", "{n} seconds left", n).format(n=n)


def far(done_s: float, whole_s: float) -> str:
    """How much of a measurement is there: seconds, of a long one minutes."""
    if whole_s < LONG_S:
        return f"{done_s:.0f} / {whole_s:.0f} s"
    return f"{done_s / 60:.0f} / {whole_s / 60:.0f} min"


class Person:
    """An `Operator` made of a view and keys.

    Parameters
    ----------
    view : JsonView, LinesView or TerminalView
    keys : BenchKeys
    yes : bool
        Nobody stands there: everything is done as asked, and what could not be measured is left out.
    page : Path, optional
        Where the present instruction is kept as a page with a drawing, for a screen beside the bench.
    """

    def __init__(
        self,
        view: JsonView | LinesView | TerminalView,
        keys: BenchKeys,
        *,
        yes: bool,
        page: Path | None = None,
    ) -> None:
        self._view, self._keys, self._yes, self._page = view, keys, yes, page
        self._on_page: tuple[Stage, int, int] | None = None

    def show(self, guide: Guide) -> None:
        if not (self._yes and guide.stage in (Stage.INSTRUCT, Stage.ASK)):  # nobody has to be told
            self._view.show(guide)
        on_page = guide.stage, guide.at, round(guide.left_s / 60)
        if self._page is not None and on_page != self._on_page:
            self._on_page = on_page
            with contextlib.suppress(BenchRecordError):  # no second screen: no reason to end a test
                write_guide_page(self._page, guide)

    def answer(self, guide: Guide) -> Event:
        if self._yes:
            return Skip() if guide.stage == Stage.ASK else Go()
        while True:
            for key in self._keys.pressed():
                match WORDS.get(key.lower()):
                    case "go":
                        return Again() if guide.stage == Stage.ASK else Go()
                    case "skip":
                        return Skip()
                    case "stop":
                        return Abort()
            if self._keys.ended:
                return Abort()  # nobody can answer any more
            time.sleep(POLL_S)

    def stopped(self) -> bool:
        return any(WORDS.get(key.lower()) == "stop" for key in self._keys.pressed())


def _keys_line(guide: Guide) -> str:
    match guide.stage:
        case Stage.INSTRUCT:
            return _("Enter: done, go on   s: leave this measurement out   Esc: stop")
        case Stage.ASK:
            return _("Enter: try again   s: leave this measurement out   Esc: stop")
    return _("Esc: stop")
