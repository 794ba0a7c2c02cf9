"""`bci live`."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from bci.cli._language import language_option
from bci.language import _

if TYPE_CHECKING:
    from bci.acquisition import Source
    from bci.chunks import Chunk

__all__ = ["command"]

#: How often electrodes are judged, s, and how long one wait for signal takes.
LOOK_S = 1.0
READ_S = 0.05


class View(Protocol):
    """Where the signal is seen: page or terminal."""

    def signal(self, chunk: Chunk) -> None: ...

    def show(self, **state: Any) -> None: ...

    def actions(self) -> list[str]: ...


@click.command("live", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--port", metavar="PORT", help="The board: /dev/ttyUSB0, COM3 … Default: a simulated one.")
@click.option(
    "--recording",
    type=click.Path(path_type=Path),
    metavar="FILE.bfp",
    help="Show a recording instead, at the pace at which it was made.",
)
@click.option(
    "--baud", type=click.IntRange(9600), default=921_600, show_default=True, help="Speed of the serial line."
)
@click.option(
    "--impedance", is_flag=True, help="Measure impedance meanwhile, with the board's lead-off tone."
)
@click.option(
    "--page-port", type=click.IntRange(0, 65535), default=0, help="Port of the page. Default: a free one."
)
@click.option("--lan", is_flag=True, help="Also serve a second screen in the network, which can only look.")
@click.option("--no-open", is_flag=True, help="Do not open the browser; the link is printed anyway.")
@click.option("--terminal", is_flag=True, help="Show the essentials in this terminal instead, as over ssh.")
@click.option(
    "--seconds",
    type=click.FloatRange(0.0, min_open=True),
    default=None,
    help="End after so long. Default: Ctrl-C.",
)
@language_option
def command(
    port: str | None,
    recording: Path | None,
    baud: int,
    impedance: bool,
    page_port: int,
    lan: bool,
    no_open: bool,
    terminal: bool,
    seconds: float | None,
) -> int:
    """Show the signal of a board or of a recording live, in the browser or in this terminal.

    All channels with filters to choose, the quality of each electrode with what to do about it, band amplitudes, loss
    and delay. Nothing leaves this computer; with --lan a second screen in the same network can look, and only look.
    """
    if port is not None and recording is not None:
        raise click.UsageError(_("--port and --recording exclude each other: take one of them."))
    if recording is not None and not recording.is_file():
        raise click.UsageError(_("There is no recording {path}.").format(path=recording))
    if terminal and lan:
        raise click.UsageError(_("--terminal shows nothing in a browser; leave out --lan."))
    with contextlib.ExitStack() as stack, contextlib.suppress(KeyboardInterrupt):
        source, title = _open(stack, port, recording, baud)
        lead_off = _measure_impedance(source) if impedance else None
        view = _view(stack, source, title, page_port, lan, no_open, terminal)
        _run(source, view, lead_off, seconds)
    click.echo(_("Ended. Everything is closed."), err=True)
    return 0


def _open(
    stack: contextlib.ExitStack, port: str | None, recording: Path | None, baud: int
) -> tuple[Source, str]:
    from bci.acquisition import open_source

    if recording is not None:
        source = stack.enter_context(open_source(recording, speed=1.0))
        return source, _("Recording {name}").format(name=recording.name)
    title = _("Live signal")
    if port is None:
        from bci.acquisition.simulator import CuedRun, SimulatedBoard, Synthetic

        click.echo(_("Starting a simulated board; --port PORT takes a real one …"), err=True)
        signal = Synthetic(
            rate_hz=1000, runs=(CuedRun(classes=("rest", "left", "right"), trials_per_class=200),)
        )
        port = stack.enter_context(SimulatedBoard(signal, baud=baud)).port
        title = _("Live signal of a simulated board")
    return stack.enter_context(open_source(port, baud=baud, reconnect=True)), title


def _measure_impedance(source: Source) -> Any:
    """The lead-off tone that the board sends from now on; None where it has none."""
    from firmware_protocol import LeadOff

    client = getattr(source, "client", None)
    if client is None or not hasattr(client, "set_lead_off"):
        click.echo(
            _("This source cannot measure impedance; electrodes are judged by their signal."), err=True
        )
        return None
    client.set_lead_off(LeadOff.AC_QUARTER_RATE)
    return LeadOff.AC_QUARTER_RATE


def _view(
    stack: contextlib.ExitStack,
    source: Source,
    title: str,
    page_port: int,
    lan: bool,
    no_open: bool,
    terminal: bool,
) -> View:
    if terminal:
        from bci.cli._live_view import TerminalLive

        return stack.enter_context(TerminalLive(source.info, title, sys.stdout))
    from bci.web import LivePage

    page = stack.enter_context(LivePage(source.info, title=title, port=page_port, lan=lan))
    click.echo(page.url)
    if page.second_screen_url:
        click.echo(_("Second screen, which can only look: {url}").format(url=page.second_screen_url))
    click.echo(_("Ctrl-C ends it, and so does the button on the page."), err=True)
    if not no_open:
        import webbrowser

        webbrowser.open(page.url)
    return page


def _run(source: Source, view: View, lead_off: Any, seconds: float | None) -> None:
    from bci.sessions.electrodes import ElectrodeWatch, summary_sentence

    electrodes = ElectrodeWatch(source.info, lead_off=lead_off)
    end_button = {"action": "quit", "label": _("End")}
    view.show(stage={"title": summary_sentence(()), "text": "", "buttons": [end_button]})
    source.start()
    started = looked = time.monotonic()
    faults = ""
    for chunks in _until(source, started, seconds):
        for chunk in chunks:
            view.signal(chunk)
            if chunk.n_samples:
                electrodes.process(chunk)
            faults = _told(chunk, faults)
        if {"quit", "stop"} & set(view.actions()):
            return
        if (now := time.monotonic()) - looked >= LOOK_S:
            looked = now
            seen = electrodes.look()
            statistics = source.statistics
            view.show(
                electrodes=[asdict(each) for each in seen],
                stage={"title": summary_sentence(seen), "text": "", "buttons": [end_button]},
                link={"lost": statistics.samples_lost, "faults": statistics.faults},
                notes=[faults] if faults else [],
            )
    if seconds is None or time.monotonic() - started < seconds:
        view.show(
            stage={"title": _("The recording has ended."), "text": "", "buttons": [end_button]}, notes=[]
        )
        while (seconds is None or time.monotonic() - started < seconds) and not view.actions():
            time.sleep(READ_S)


def _until(source: Source, started: float, seconds: float | None) -> Iterator[list[Chunk]]:
    while not source.ended and (seconds is None or time.monotonic() - started < seconds):
        yield source.read(READ_S)


def _told(chunk: Chunk, before: str) -> str:
    """What is to be said of the board after this chunk."""
    if chunk.n_samples:
        before = ""
    for marker in chunk.markers:
        if marker.source == "host" and marker.label == "lost":
            before = _("The board is gone. Looking for it; put the cable back in.")
        elif marker.source == "host" and marker.label == "stalled":
            before = _("The board is silent.")
    return before
