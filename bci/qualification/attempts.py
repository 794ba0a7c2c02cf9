"""Which attempt a serial number gets: a new one, the one that was interrupted, or none without being asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bci._version import __version__
from bci.acquisition.port_lock import PortLock
from bci.errors import DeviceBusyError, SerialNumberError
from bci.language import _
from bci.qualification.limits import Limits
from bci.qualification.measurements.endurance import endurance
from bci.qualification.records import Attempt, Board
from bci.qualification.result import Measurement
from bci.qualification.store import Batch

__all__ = ["Opened", "alone", "chosen", "open_attempt", "verdict_word"]


@dataclass(frozen=True, slots=True)
class Opened:
    """An attempt to go on with. `resumed`: it had begun before; `aborted`: an older one that could not go on."""

    attempt: Attempt
    resumed: bool = False
    aborted: Attempt | None = None


def chosen(
    measurements: Sequence[Measurement],
    *,
    only: Sequence[str] = (),
    generator: bool = True,
    hours: float | None = None,
) -> list[Measurement]:
    """What a board goes through, in the bench's order, by which an operator connects each thing once.

    Parameters
    ----------
    only : sequence of str
        Names; without them all that are not optional.
    generator : bool
        Whether the bench has one.
    hours : float, optional
        Endurance for so long, with the others or alone.

    Raises
    ------
    ValueError
        If a name is not known; the message lists those that are.
    """
    known = {m.name: m for m in measurements}
    if unknown := [name for name in only if name not in known]:
        raise ValueError(
            _("no measurement is called {name!r}; there are {known}").format(
                name=unknown[0], known=", ".join(known)
            )
        )
    wanted = set(only) or {m.name for m in measurements if not m.optional}
    if hours is not None:
        known["endurance"] = endurance(hours)
        wanted.add("endurance")
        measurements = list(known.values())
    return [m for m in measurements if m.name in wanted and (generator or m.needs != "generator")]


def open_attempt(
    batch: Batch,
    serial: str,
    planned: Sequence[str],
    *,
    limits: Limits,
    operator: str,
    at: str,
    device: str = "",
    repeat: bool = False,
    partial: bool = False,
    simulated: bool = False,
) -> Opened:
    """The attempt that a board goes on with, or a new one.

    Parameters
    ----------
    device : str
        What the board on the port calls itself; an attempt goes on with the board it began with only.

    Raises
    ------
    SerialNumberError
        If the board was tested to its end already, or its test began with another board, and nobody asked for a repeat.
    """
    board = batch.board(serial)
    aborted = None
    if board.open is not None:
        same = [done.name for done in batch.measurements(board.open)] == list(planned)
        same = same and (board.open.limits_sha256, board.open.simulated) == (limits.sha256, simulated)
        other = _others(board.open, device)
        if same and not other:
            return Opened(board.open, resumed=True)
        if same and not repeat:
            raise SerialNumberError(
                _(
                    "The test of {serial} was interrupted. It began with the board {began}, and {came} is on the port. "
                    "Put that board back, or check the serial number; to begin anew with this one, add --repeat"
                ).format(serial=serial, began=other, came=device),
                serial=serial,
            )
        why = (
            _("Another board was put in before it was finished.")
            if same
            else _("Limits or measurements were changed before it was finished.")
        )
        aborted = batch.abort(board.open, why, at=at)
    elif board.latest is not None and not repeat:
        raise SerialNumberError(_already(board, device), serial=serial)
    attempt = batch.begin(
        serial,
        planned,
        operator=operator,
        software=f"bci {__version__}",
        limits_name=limits.name,
        limits_sha256=limits.sha256,
        at=at,
        partial=partial,
        simulated=simulated,
    )
    return Opened(attempt, aborted=aborted)


@contextmanager
def alone(batch: Batch, serial: str) -> Iterator[None]:
    """No second bench tests a board of this number meanwhile; it would go on with the attempt that this one has open.

    Raises
    ------
    SerialNumberError
        If one does.
    """
    try:
        lock = PortLock(str(batch.folder.resolve() / "boards" / serial))
    except DeviceBusyError as err:
        raise SerialNumberError(
            _(
                "Board {serial} is being tested at this moment, on another bench or in another window. Check the "
                "serial number, or wait until that test is over"
            ).format(serial=serial),
            serial=serial,
        ) from err
    try:
        yield
    finally:
        lock.release()


def verdict_word(verdict: str) -> str:
    """A verdict as people say it."""
    return {"pass": _("PASS"), "fail": _("FAIL"), "not measured": _("INCOMPLETE")}.get(verdict, _("OPEN"))


def _others(attempt: Attempt, device: str) -> str:
    """What the board of an attempt calls itself, if it is another one than `device`."""
    return attempt.device if attempt.device and device and attempt.device != device else ""


def _already(board: Board, device: str) -> str:
    assert board.latest is not None
    said = _(
        "Board {serial} was tested already on {date}: {verdict}. If this is another board, check its serial number; to "
        "test it again, add --repeat"
    ).format(serial=board.serial, date=board.latest.started[:10], verdict=verdict_word(board.latest.verdict))
    if other := _others(board.latest, device):
        said += _(". It called itself {then} then, and {now} is on the port").format(then=other, now=device)
    return said
