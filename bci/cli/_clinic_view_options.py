"""Options that the clinic's commands share, and how they open store, board and screens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bci.cli._lists import words
from bci.errors import BciError, DeviceError
from bci.language import N_, _

if TYPE_CHECKING:
    from bci.report.visit import Visit
    from bci.sessions.bench import Bench
    from bci.sessions.screen import Screen
    from bci.sessions.visiting import Clinic

__all__ = [
    "clinic_options",
    "open_clinic",
    "plan_options",
    "result_options",
    "store_option",
    "tell_visit",
]

F = TypeVar("F", bound=Callable[..., Any])

store_option = click.option(
    "--store",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help=N_("Folder of all users and visits. Default: $BCI_SESSIONS, else ~/bci-sessions."),
)

_OPTIONS = (
    click.option(
        "--user", default="", metavar="ID", help=N_("Whose visit it is (u-…). Default: a new user.")
    ),
    store_option,
    click.option("--port", metavar="PORT", help=N_("The board's port. Default: a simulated board.")),
    click.option(
        "--baud", type=click.IntRange(9600), default=921_600, show_default=True, help=N_("Speed of the line.")
    ),
    click.option(
        "--override",
        metavar="ELECTRODES",
        default="",
        help=N_(
            "Go on without these bad electrodes, e.g. F3,C4, or all; the decoder leaves them out. Needs --by."
        ),
    ),
    click.option("--by", default="", metavar="NAME", help=N_("Who answers for --override; it is logged.")),
    click.option("--no-page", is_flag=True, help=N_("No page in the browser, only this terminal.")),
    click.option("--lan", is_flag=True, help=N_("A second screen in the network that can only look.")),
    click.option(
        "--fast",
        is_flag=True,
        help=N_("The simulated board runs faster than life. Default where nobody watches."),
    ),
    click.option("--seed", type=click.IntRange(0), default=0, help=N_("Of the simulated wearer.")),
    click.option(
        "--intent",
        type=click.FloatRange(0.0, 3.0),
        default=1.0,
        help=N_("How well the simulated wearer can do it."),
    ),
    click.option(
        "--fault",
        "faults",
        multiple=True,
        metavar="FAULT",
        help=N_("Of the simulated board; see bci simulate."),
    ),
)


_PLAN = (
    click.option(
        "--blocks",
        type=click.IntRange(2, 20),
        default=4,
        show_default=True,
        help=N_("Of a calibration: blocks of trials."),
    ),
    click.option(
        "--trials",
        type=click.IntRange(3, 50),
        default=10,
        show_default=True,
        help=N_("Of a calibration: trials of each class in a block."),
    ),
)
_RESULT = (
    click.option("--no-report", is_flag=True, help=N_("Write no report at the end.")),
    click.option(
        "--json", "as_json", is_flag=True, help=N_("Print the visit for programs, and nothing else.")
    ),
)


def clinic_options(command: F) -> F:
    """Decorator: the options of all steps of a visit; the command takes them as keyword arguments."""
    return _with(_OPTIONS, command)


def plan_options(command: F) -> F:
    """Decorator: how long a calibration is; the arguments are `blocks` and `trials`."""
    return _with(_PLAN, command)


def result_options(command: F) -> F:
    """Decorator: what is told at the end of a visit; the arguments are `no_report` and `as_json`."""
    return _with(_RESULT, command)


def tell_visit(visit: Visit | None, lines: Iterable[str], *, as_json: bool) -> None:
    """The end of a visit on stdout: all of it for programs, or these lines for people."""
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(visit), indent=2).decode())
        return
    for line in lines:
        click.echo(line)


def _with(options: Sequence[Callable[[F], F]], command: F) -> F:
    for option in reversed(options):
        command = option(command)
    return command


@contextmanager
def open_clinic(
    title: str,
    *,
    part: int = 0,
    movement: str = "intended",
    quiet: bool = False,
    report: bool = False,
    **options: Any,
) -> Iterator[tuple[Clinic, Callable[[str], None]]]:
    """Store, board, terminal and page of one command, all closed at the end; and a function that says a line.

    `part` is another number for each command, so that a simulated wearer is not met twice in the same minute; `quiet`
    is for programs that read what is printed: nobody watches then. `report`: where the board is lost for good, what was
    done until then has its report all the same.

    Raises
    ------
    BciError
        Of the store, the board or the user's id.
    """
    from bci.cli._clinic_view import ClinicTerminal
    from bci.cli._fault_options import parse_fault
    from bci.sessions.bench import Bench, Wearer
    from bci.sessions.screen import Screens
    from bci.sessions.signal_check import Gate
    from bci.sessions.store import SessionStore
    from bci.sessions.visiting import Clinic

    if options["override"] and not options["by"]:
        raise click.UsageError(_("--override needs --by NAME: somebody answers for it."))
    with ExitStack() as stack:
        terminal = ClinicTerminal()
        person = terminal.person and not quiet
        store = stack.enter_context(SessionStore(options["store"]))
        user = options["user"]
        wearer = Wearer(
            seed=options["seed"],
            intent=options["intent"],
            movement=movement,
            day=10 * len(store.visits(user) if user else ()) + part,
            faults=tuple(parse_fault(text) for text in options["faults"]),
        )
        bench = stack.enter_context(
            Bench(options["port"], fast=options["fast"] or not person, wearer=wearer, baud=options["baud"])
        )
        screens: list[Screen] = [] if quiet else [stack.enter_context(terminal)]

        def say(text: str) -> None:
            if not quiet:
                terminal.say(text)

        if person and not options["no_page"]:
            _open_page(stack, screens, bench, title, options["lan"], say)
        gate = Gate(override=words(options["override"]), by=options["by"])
        clinic = Clinic(store, bench, Screens(*screens), user=user, person=person, gate=gate)
        if clinic.warning:
            say(clinic.warning)
        try:
            yield clinic, say
        except DeviceError:
            if report and clinic.begun:
                with suppress(BciError, OSError):  # the error itself must not be lost for it
                    path = clinic.report()
                    say(_("What was done until now is kept. Report: {path}").format(path=path))
            raise
        finally:
            if not user and clinic.user:
                say(_("New user {user}. Use it with --user from now on.").format(user=clinic.user))


def _open_page(
    stack: ExitStack, screens: list[Screen], bench: Bench, title: str, lan: bool, say: Callable[[str], None]
) -> None:
    """The page in the browser, if it can be had; without it the terminal is enough."""
    try:
        from bci.sessions.page_screen import PageScreen

        page = stack.enter_context(PageScreen(bench.info, title=title, lan=lan))
    except (ImportError, BciError) as err:
        say(_("There is no page in the browser ({reason}); this terminal is enough.").format(reason=err))
        return
    screens.append(page)
    say(_("Page: {url}").format(url=page.url))
    if page.second_screen_url:
        say(_("Second screen: {url}").format(url=page.second_screen_url))
