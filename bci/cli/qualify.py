"""`bci qualify`: one command per board of a pilot line, and what a batch of them says."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bci.cli._language import language_option
from bci.cli._lists import words
from bci.cli._qualify_batch import COMMANDS, HELP, batch_option, json_option, print_json
from bci.language import _

if TYPE_CHECKING:
    from bci.cli._qualify_view import JsonView, LinesView, TerminalView
    from bci.qualification.limits import Limits
    from bci.qualification.records import Attempt
    from bci.qualification.rig import Rig
    from bci.qualification.store import Batch

__all__ = ["command"]


@click.group("qualify", invoke_without_command=True, context_settings=HELP)
@click.option("--port", metavar="PORT", help="The port that the board is on.")
@click.option(
    "--baud", type=click.IntRange(9600), default=921_600, show_default=True, help="Speed of the line."
)
@click.option(
    "--simulated", is_flag=True, help="A simulated board, which connects to itself what is asked for."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Which simulated board.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="FAULT",
    help="What is wrong with the simulated board, e.g. gain:ch3:+4%; as often as you like.",
)
@click.option(
    "--serial", metavar="SN", help="Default: asked for (type or scan it), or what the board calls itself."
)
@click.option(
    "--limits",
    "limits_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Limits in TOML. Default: those shipped, of the ADS1299's data sheet.",
)
@batch_option
@click.option("--only", metavar="NAMES", help="Only these measurements, e.g. noise,gain.")
@click.option(
    "--hours",
    type=click.FloatRange(0.05, 168.0),
    metavar="H",
    help="Endurance for so many hours, after the others or with --only endurance; the first failure ends it.",
)
@click.option(
    "--generator",
    type=click.Choice(["yes", "no"]),
    default="yes",
    help="Whether the bench has a sine generator.",
)
@click.option("--operator", default="", metavar="TEXT", help="Who tests; kept with the result.")
@click.option("--repeat", is_flag=True, help="Test a board again that was tested before.")
@click.option(
    "--yes", is_flag=True, help="Ask nothing: all is connected as asked. Default for a simulated board."
)
@click.option("--ask", is_flag=True, help="Lead through every step, on a simulated board too.")
@json_option
@language_option
@click.pass_context
def command(context: click.Context, /, **options: Any) -> int | None:
    """Test a board: measure, judge by limits, keep, and write a sheet that says pass or fail and why.

    The operator is led through it, one instruction at a time. An interrupted test goes on where it stopped. Exit
    status: 0 passed, 1 failed or incomplete, 2 could not be tested.
    """
    if context.invoked_subcommand is not None:
        return None
    return _qualify(**options)


def _qualify(
    *,
    port: str | None,
    baud: int,
    simulated: bool,
    seed: int,
    faults: tuple[str, ...],
    serial: str | None,
    limits_file: Path | None,
    folder: Path,
    only: str | None,
    hours: float | None,
    generator: str,
    operator: str,
    repeat: bool,
    yes: bool,
    ask: bool,
    as_json: bool,
) -> int:
    from bci.cli._qualify_view import BenchKeys, Person
    from bci.errors import BenchRecordError, DeviceError, RecordingError
    from bci.qualification import attempts, bench, records, sheet, store
    from bci.qualification.measurements import MEASUREMENTS

    if simulated == (port is not None):
        raise click.UsageError(_("Name the board's port with --port PORT, or take --simulated."))
    if faults and not simulated:
        raise click.UsageError(_("--fault is for simulated boards."))
    limits = _limits(limits_file)
    names = words(only)
    try:
        wanted = attempts.chosen(MEASUREMENTS, only=names, generator=generator == "yes", hours=hours)
    except ValueError as err:
        raise click.BadParameter(str(err)) from err
    with (
        store.Batch(folder, create=True) as batch,
        _rig(port, baud, seed, faults) as rig,
        ExitStack() as held,
    ):
        at = _now()
        with rig.open(None, {}) as source:
            device = source.info.device
        number = records.checked_serial(
            serial if serial is not None else _asked_serial(device, ask_person=not (yes or as_json))
        )
        nobody = yes or (simulated and not ask)
        page = None if nobody or as_json else folder / f"guide-{_plain_name(port)}.html"
        held.enter_context(attempts.alone(batch, number))
        opened = attempts.open_attempt(
            batch,
            number,
            [m.name for m in wanted],
            limits=limits,
            operator=operator,
            at=at,
            device=device,
            repeat=repeat or _again(batch, number, may_ask=not (yes or as_json) and not simulated),
            partial=bool(names),
            simulated=simulated,
        )
        try:
            with _view(as_json) as view, BenchKeys() as keys:
                _announce(view, opened, limits, page)
                person = Person(view, keys, yes=nobody, page=page)
                attempt = bench.qualify(batch, opened.attempt, wanted, limits, rig, person)
        except (DeviceError, RecordingError, BenchRecordError):
            click.echo(
                _(
                    "What was measured is kept. Put it right and repeat the command: it goes on where it stopped."
                ),
                err=True,
            )
            raise
        except KeyboardInterrupt:
            batch.abort(opened.attempt, _("The operator stopped it."), at=_now())
            raise
        written = sheet.write_sheet(batch, attempt, MEASUREMENTS) if attempt.state == "finished" else None
        return _conclude(batch, attempt, written, as_json=as_json)


def _limits(path: Path | None) -> Limits:
    from bci.qualification.limits import read_limits, shipped_limits

    return shipped_limits() if path is None else read_limits(path)


@contextmanager
def _rig(port: str | None, baud: int, seed: int, faults: Sequence[str]) -> Iterator[Rig]:
    """The board on its port, or a simulated one for as long as it is needed."""
    from bci.acquisition import SimulatedBoard
    from bci.acquisition.simulator import Bench
    from bci.cli._fault_options import parse_fault
    from bci.qualification.rig import HALFWAY_FAULTS, PortRig, SimulatedRig

    if port is not None:
        yield PortRig(port, baud=baud)
        return
    try:
        wrong = [parse_fault(text, bench=True) for text in faults]
        halfway = [fault for fault in wrong if fault["kind"] in HALFWAY_FAULTS]
        board = SimulatedBoard(
            Bench(seed=seed), baud=baud, speed=0, faults=[fault for fault in wrong if fault not in halfway]
        )
        rig = SimulatedRig(board, baud=baud, halfway=halfway)
    except ValueError as err:
        raise click.BadParameter(str(err)) from err
    with board:
        yield rig


def _plain_name(port: str | None) -> str:
    """Of a port, as part of a file's name."""
    import re

    return re.sub(r"[^A-Za-z0-9]+", "-", port.replace("\\", "/").rpartition("/")[2]) if port else "simulated"


def _asked_serial(device: str, *, ask_person: bool) -> str:
    """Typed or scanned (a scanner types, too), else what the board calls itself."""
    own = "-".join(device.split())
    if not (ask_person and sys.stdin is not None and sys.stdin.isatty()):
        return own
    prompt = _("Serial number (scan or type it; Enter alone takes the board's own)")
    return str(click.prompt(prompt, default=own, err=True))


def _again(batch: Batch, serial: str, *, may_ask: bool) -> bool:
    """Whether a board that was tested before is wanted again; asked only where somebody can answer."""
    from bci.qualification.attempts import verdict_word

    board = batch.board(serial)
    if board.latest is None or board.open is not None or not may_ask:
        return False
    if sys.stdin is None or not sys.stdin.isatty():
        return False
    asked = _("Board {serial} was tested already ({verdict}). Test it again?").format(
        serial=serial, verdict=verdict_word(board.latest.verdict)
    )
    return click.confirm(asked, default=False, err=True)


@contextmanager
def _view(as_json: bool) -> Iterator[JsonView | LinesView | TerminalView]:
    from bci.cli._qualify_view import JsonView, LinesView, TerminalView

    view: JsonView | LinesView | TerminalView
    if as_json:
        view = JsonView(sys.stdout)
    elif sys.stderr.isatty():
        view = TerminalView(sys.stderr)
    else:
        view = LinesView(sys.stderr)
    with view:
        yield view


def _announce(view: Any, opened: Any, limits: Limits, page: Path | None) -> None:
    """Which attempt this is, and where to look."""
    attempt = opened.attempt
    if opened.resumed:
        text = _("Board {serial}: test {number} was interrupted and goes on where it stopped.")
    elif attempt.number > 1:
        text = _("Board {serial}: test {number}, a repeat. Limits: {limits}.")
    else:
        text = _("Board {serial}: first test. Limits: {limits}.")
    said = text.format(serial=attempt.serial, number=attempt.number, limits=limits.name)
    if hasattr(view, "tell"):
        view.tell(
            stage="begin",
            serial=attempt.serial,
            attempt=attempt.number,
            resumed=opened.resumed,
            limits=limits.name,
            limits_sha256=limits.sha256,
        )
    else:
        view.say(said)
        if page is not None:
            view.say(_("For a second screen: {path}").format(path=page))


def _conclude(batch: Batch, attempt: Attempt, written: Path | None, *, as_json: bool) -> int:
    """The verdict, large, and why."""
    from dataclasses import asdict

    from bci.qualification.attempts import verdict_word
    from bci.qualification.figures import sentences

    done = batch.measurements(attempt)
    if as_json:
        for one in done:
            for result in one.results:
                print_json({"measurement": one.name, **asdict(result)})
        print_json(
            {
                "serial": attempt.serial,
                "attempt": attempt.number,
                "state": attempt.state,
                "verdict": attempt.verdict or None,
                "sheet": None if written is None else str(written),
            }
        )
    else:
        colour = {"pass": "green", "fail": "red"}.get(attempt.verdict, "yellow")
        word = _("STOPPED") if attempt.state == "aborted" else verdict_word(attempt.verdict)
        click.secho(f"\n  {word}  {attempt.serial}", fg=colour, bold=True)
        results = [result for one in done for result in one.results]
        for sentence in sentences(results):
            click.echo(f"  • {sentence}")
        if attempt.state == "aborted":
            click.echo(_("  The board is at rest; what was measured is kept, without a verdict."))
        if written is not None:
            click.echo(_("  Sheet: {path}").format(path=written))
    return {"pass": 0, "fail": 1, "not measured": 1}.get(attempt.verdict, 2)


def _now() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).isoformat(timespec="seconds")


for of_a_batch in COMMANDS:
    command.add_command(of_a_batch)
