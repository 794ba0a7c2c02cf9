"""What a decoder concludes and what the hand is asked to do: `Prediction`, `Intent`."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Intent", "Prediction"]


@dataclass(frozen=True, slots=True)
class Prediction:
    """Calibrated probabilities for one window, bound to the last sample they rest on.

    Parameters
    ----------
    sample_index : int
        Conversion number of the window's last sample.
    classes : tuple of str
        Names in the order of `probabilities`; "rest" is the class that moves nothing.
    probabilities : tuple of float
        Non-negative, sum 1. Meaningless where `valid` is False.
    valid : bool
        False where the window touches a gap, an artefact or anything else no decision may rest on.
    reason : str
        Plain words for `valid == False`.
    outlier : bool
        The window lies far from everything seen in training.
    """

    sample_index: int
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]
    valid: bool = True
    reason: str = ""
    outlier: bool = False


@dataclass(frozen=True, slots=True)
class Intent:
    """A numbered request to move, which expires.

    Parameters
    ----------
    number : int
        1, 2, 3 … within a session; the monitor refuses numbers it has seen.
    action : str
        What is meant, e.g. "close" or "open".
    sample_index : int
        Conversion number of the last sample the intent rests on.
    expires_sample : int
        Conversion number after which it must not be acted on.
    probability : float
        Smoothed probability that led to it.
    probabilities : tuple of float
        Smoothed probability of every class, in the decoder's order; each for itself, they need not sum to 1.
    """

    number: int
    action: str
    sample_index: int
    expires_sample: int
    probability: float
    probabilities: tuple[float, ...] = ()
