"""What every prosthetic hand takes and answers: `Command`, `Reply`, and the protocol `Hand`.

Six degrees of freedom in one order everywhere. Closure is dimensionless: 0 is open, 1 is closed; for the
thumb's rotation 0 is beside the palm, 1 is opposed to the fingers. Adapters turn closures into degrees or
registers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["DOFS", "Closures", "Command", "Hand", "Reply"]

DOFS = ("thumb", "index", "middle", "ring", "little", "rotation")

#: One number per degree of freedom, in the order of `DOFS`.
Closures = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class Command:
    """One frame to the hand, decided anew at every tick.

    Parameters
    ----------
    number : int
        Counts the frames of a session.
    t_us : int
        Monitor time at which it was decided.
    kind : str
        "hold" (keep these set points), "move" (an accepted intent), "open" (the slow opening after a fault) or "look"
        (ask where the hand is and do not move it: it has just come up, or come back, and stands who knows where).
    setpoint : tuple of 6 float
        Closures, 0–1.
    """

    number: int
    t_us: int
    kind: str
    setpoint: Closures


@dataclass(frozen=True, slots=True)
class Reply:
    """What the hand says about itself. Nothing in it is believed before the safety monitor has checked it.

    Parameters
    ----------
    position : tuple of 6 float
        Measured closures, 0–1.
    current_a : tuple of 6 float
        Motor currents in A; 0 where the hand does not tell.
    force_n : tuple of 6 float
        Fingertip forces in N; 0 where the hand does not tell.
    contact : tuple of 6 bool
        The finger presses on something.
    temperature_c : float
        Hottest motor or board; 0 where the hand does not tell.
    error : str
        The hand's own error in plain words, "" for none.
    """

    position: Closures
    current_a: Closures
    force_n: Closures
    contact: tuple[bool, bool, bool, bool, bool, bool]
    temperature_c: float = 0.0
    error: str = ""


class Hand(Protocol):
    """One hand on one link. Entry point group `bci.hands`: a callable taking the link, returning one of
    these.

    A class whose hands give each answer with the next frame may have an attribute `answer_s`: how long `exchange` waits
    for the answer to its own frame, in s, 0 in real time. Accelerated sessions raise it, so that they repeat exactly.
    """

    name: str

    def exchange(self, command: Command) -> Reply | None:
        """Send this frame now and give the newest reply that has arrived, if any.

        Must return within about 15 ms whatever the hand does, and must never send a frame on its own account:
        a thread that repeats the last command would feed the hand's watchdog behind a hung monitor.

        Raises
        ------
        OSError
            The link is gone. Anything else that is raised counts as that, too.
        """
        ...

    def close(self) -> None:
        """Release the link. Twice is fine."""
        ...
