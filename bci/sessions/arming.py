"""Arming the hand: by a person's key, and by the operator of a demonstration.

In a clinic a person arms, with a hand on STOP. In a demonstration it is a rule, which after a fault has passed
acknowledges it and arms again, so that a minute of artefacts does not end it; how often it had to act stands in the
summary. A STOP it leaves alone.
"""

from __future__ import annotations

from bci.errors import ArmingRefusedError, NotCertifiedError
from bci.prosthesis import SafetyMonitor

__all__ = ["Operator", "arm"]


def arm(monitor: SafetyMonitor) -> None:
    """Arm; what holds the hand now, a fault or a STOP, is acknowledged first.

    Raises
    ------
    NotCertifiedError, ArmingRefusedError
        As of `SafetyMonitor.arm`.
    """
    state = monitor.sync()
    if state.mode == "fault" or state.stopped:
        monitor.disarm()
    monitor.arm()


class Operator:
    """Looks at the monitor once a second of device time, so that a session is the same whatever the computer's load.

    Parameters
    ----------
    monitor : SafetyMonitor
    fs_hz : float
    refusal : str
        Why there is no certificate; then nothing is tried.
    """

    def __init__(self, monitor: SafetyMonitor, *, fs_hz: float, refusal: str = "") -> None:
        self.refusal = refusal
        self.armed = False
        self.rearmed = 0
        self.stopped = False
        self._monitor = monitor
        self._second = round(fs_hz)
        self._next = 0
        self._gave_up = bool(refusal)

    def look(self, sample_index: int) -> None:
        """Call with each valid decision."""
        if self._gave_up or sample_index < self._next:
            return
        self._next = sample_index + self._second
        state = self._monitor.sync()
        mode = state.mode
        if state.stopped:  # somebody meant it: nothing arms again by itself
            self.refusal, self._gave_up, self.stopped = state.cause, True, True
        if self._gave_up or mode in ("armed", "moving", "hold"):
            return
        try:
            arm(self._monitor)
        except NotCertifiedError as err:
            self.refusal, self._gave_up = str(err), True
        except ArmingRefusedError as err:  # something is still missing: look again in a second
            self.refusal = str(err)
        else:
            self.refusal = ""
            self.rearmed += self.armed
            self.armed = True
