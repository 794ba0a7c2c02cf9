"""More grips than classes: short sequences of intents stand for actions (`Sequences`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bci.decisions import Intent
from bci.errors import DesignError

__all__ = ["Sequences"]


class Sequences:
    """Intents in, fewer and richer intents out.

    Intents that follow each other within `within_s` belong together. A sequence that is the beginning of a
    longer one waits for it; one that is in no list is dropped, because a misheard sequence must not move
    anything.

    Parameters
    ----------
    meanings : mapping
        Tuple of actions → action, e.g. ``{("left",): "open", ("left", "right"): "pinch"}``.
    within_s, fs_hz : float
        Longest pause within a sequence, and the rate that sample numbers count.

    Raises
    ------
    DesignError
        No sequence, or an empty one.
    """

    def __init__(self, meanings: Mapping[tuple[str, ...], str], *, within_s: float, fs_hz: float) -> None:
        if not meanings or () in meanings:
            raise DesignError("expected at least one sequence of at least one action")
        self._meanings = dict(meanings)
        self._beginnings = {key[:n] for key in meanings for n in range(1, len(key))}
        self._within = round(within_s * fs_hz)
        self._number = 0
        self.reset()

    def reset(self) -> None:
        """Forget what was heard, as after an artefact. Numbers go on counting."""
        self._heard: tuple[str, ...] = ()
        self._last: Intent | None = None

    def update(self, sample_index: int, intent: Intent | None) -> Intent | None:
        """Call at every decision, with or without an intent; time passes by `sample_index`."""
        meant = None
        if self._last is not None and sample_index - self._last.sample_index > self._within:
            meant = self._finish(sample_index, self._last)
        if intent is not None:
            self._heard = (*self._heard, intent.action)
            self._last = intent
            if self._heard not in self._beginnings:
                meant = self._finish(sample_index, intent)
        return meant

    def _finish(self, sample_index: int, last: Intent) -> Intent | None:
        action = self._meanings.get(self._heard)
        self.reset()
        if action is None:
            return None
        self._number += 1
        expires = sample_index + last.expires_sample - last.sample_index
        return replace(
            last, number=self._number, action=action, sample_index=sample_index, expires_sample=expires
        )
