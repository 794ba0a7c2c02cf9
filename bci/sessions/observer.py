"""What a session tells whoever watches it. Sessions print nothing: a terminal, a page or a test listens here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from bci.dsp import ChannelQuality
from bci.prosthesis import Snapshot

__all__ = ["ControlView", "Observer", "Silent"]


@dataclass(frozen=True, slots=True)
class ControlView:
    """One look at a running session, made a few times a second; nothing in it is needed to go on.

    Parameters
    ----------
    run : str
        Name of the run that is streaming.
    device_s : float
        Device time since the run's start, s.
    cue : str
        Class asked for at this moment, "" between trials.
    quality : mapping of str to ChannelQuality
        Per channel, of the last two seconds; empty until they have come.
    probabilities : mapping of str to float
        Newest valid decision, empty before the first.
    evidence : mapping of str to float
        What the policy has gathered for each class, natural log-odds; empty while it is frozen.
    threshold : float
        Evidence at which an intent begins to count.
    hand : Snapshot
        The safety monitor's last word about itself and the hand.
    lost : int
        Conversions lost so far.
    live : bool
        True at real-time pace, False while the simulated world runs faster than life.
    """

    run: str
    device_s: float
    cue: str
    quality: Mapping[str, ChannelQuality]
    probabilities: Mapping[str, float]
    evidence: Mapping[str, float]
    threshold: float
    hand: Snapshot
    lost: int
    live: bool


class Observer(Protocol):
    """Called from the session's own thread; must return at once."""

    def stage(self, name: str, detail: str = "") -> None:
        """A part of the session begins."""
        ...

    def progress(self, done: float, total: float, unit: str) -> None:
        """So much of the current part is done."""
        ...

    def control(self, view: ControlView) -> None:
        """A new look at signal, decision and hand."""
        ...

    def note(self, text: str) -> None:
        """A sentence that must not be missed: a refusal, a warning, a result."""
        ...


class Silent:
    """An observer that says nothing."""

    def stage(self, name: str, detail: str = "") -> None: ...

    def progress(self, done: float, total: float, unit: str) -> None: ...

    def control(self, view: ControlView) -> None: ...

    def note(self, text: str) -> None: ...
