"""From predictions to intents: `IntentPolicy`. Time is the sample number; nothing here reads a clock.

1. Artefact freeze: an invalid or outlying prediction wipes the evidence, and for `freeze_s` after it none is
taken. 2. Evidence: per class the log-odds of its probability, clipped, then averaged over the last `smooth_s`
("mean"), or by
   a leaky integrator of that time constant ("leaky"). Overlapping windows make neighbouring predictions say
   much the same twice; the mean takes that out without adding more delay than its length.
3. Hysteresis: a class fires at `threshold`, and may fire again only after its evidence has fallen below
`release`. 4. Dwell: the evidence must stay above the threshold for `dwell_s`.
5. Refractory: after an intent nothing fires for `refractory_s`.

A class named "rest" moves nothing. On doubt (NaN, sums that are not 1, samples that go backwards) nothing
fires.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bci.decisions import Intent, Prediction
from bci.errors import DesignError

__all__ = ["REST", "IntentPolicy", "PolicyParameters", "Sequences"]

REST = "rest"

#: One prediction never says more than this (p = 0.982): an overconfident decoder must not outvote its own
#: past.
CLIP = 4.0


@dataclass(frozen=True, slots=True)
class PolicyParameters:
    """Operating point of a policy. Evidence in natural log-odds, times in seconds.

    Parameters
    ----------
    threshold, release : float
        Evidence at which a class fires, and below which it must fall before it can fire again.
    dwell_s, refractory_s, freeze_s, smooth_s : float
        See the module's rules.
    expiry_s : float
        How long after its last sample an intent may still be acted on.
    smoothing : str
        "mean" or "leaky".
    control : str
        "switch": one intent when a class fires. "proportional": while it stays above `release`, an intent at
        every prediction, whose probability sets the speed.
    """

    threshold: float = 1.5
    release: float = 0.0
    dwell_s: float = 0.5
    refractory_s: float = 1.0
    freeze_s: float = 0.5
    smooth_s: float = 0.5
    expiry_s: float = 0.5
    smoothing: str = "mean"
    control: str = "switch"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.threshold) and self.release <= self.threshold):
            raise DesignError(
                f"threshold {self.threshold} and release {self.release}: expected release ≤ threshold"
            )
        for name in ("dwell_s", "refractory_s", "freeze_s", "smooth_s", "expiry_s"):
            if not 0.0 <= getattr(self, name) <= 60.0:
                raise DesignError(f"{name} = {getattr(self, name)!r}: expected 0 to 60 s")
        if self.smoothing not in ("mean", "leaky"):
            raise DesignError(f"smoothing = {self.smoothing!r}: expected 'mean' or 'leaky'")
        if self.control not in ("switch", "proportional"):
            raise DesignError(f"control = {self.control!r}: expected 'switch' or 'proportional'")

    def to_dict(self) -> dict[str, Any]:
        """JSON values; `PolicyParameters(**d)` is the inverse."""
        return asdict(self)


class Evidence:
    """Steps 1 and 2: smoothed log-odds per class, or None while there is nothing to go by."""

    def __init__(self, parameters: PolicyParameters, *, fs_hz: float) -> None:
        self._span = round(parameters.smooth_s * fs_hz)
        self._freeze = round(parameters.freeze_s * fs_hz)
        self._leaky = parameters.smoothing == "leaky"
        self._past: deque[tuple[int, tuple[float, ...]]] = deque()
        self._frozen_until = -(1 << 62)
        self._newest = -(1 << 62)
        self._since = 0

    def update(self, prediction: Prediction) -> tuple[float, ...] | None:
        """Evidence of each class in the prediction's order; the mean needs a full `smooth_s` of them
        first."""
        sample, p = prediction.sample_index, prediction.probabilities
        if not prediction.valid or prediction.outlier or sample <= self._newest or not _distribution(p):
            self._frozen_until = max(sample, self._newest) + self._freeze
            self._newest = max(sample, self._newest)
            self._past.clear()
            return None
        self._newest = sample
        if sample < self._frozen_until:
            return None
        odds = tuple(_log_odds(x) for x in p)
        past = self._past
        if not past:
            self._since = sample
        if self._leaky and past:
            before, level = past.pop()
            keep = math.exp((before - sample) / self._span) if self._span else 0.0
            odds = tuple(keep * a + (1.0 - keep) * b for a, b in zip(level, odds, strict=True))
        past.append((sample, odds))
        while past[0][0] <= sample - self._span and len(past) > 1:
            past.popleft()
        if sample - self._since < self._span:
            return None
        if self._leaky:
            return odds
        return tuple(math.fsum(column) / len(past) for column in zip(*(o for _, o in past), strict=True))


class Firing:
    """Steps 3 to 5 on evidence; shared by the running policy and by the search for its parameters."""

    def __init__(self, parameters: PolicyParameters, *, fs_hz: float) -> None:
        self._threshold = parameters.threshold
        self._release = parameters.release
        self._dwell = round(parameters.dwell_s * fs_hz)
        self._refractory = round(parameters.refractory_s * fs_hz)
        self._candidate = -1
        self._since = 0
        self._quiet_until = -(1 << 62)
        self.active = -1

    def update(self, sample: int, evidence: tuple[float, ...] | None, moving: tuple[int, ...]) -> int:
        """Index of the class that fires at this sample, -1 for none. `active` is the class not yet
        released."""
        if evidence is None:
            self._candidate = -1
            return -1
        if self.active >= 0:
            if evidence[self.active] > self._release:
                return -1
            self.active = -1
        best = max(moving, key=evidence.__getitem__)
        if evidence[best] < self._threshold:
            self._candidate = -1
            return -1
        if best != self._candidate:
            self._candidate, self._since = best, sample
        if sample - self._since < self._dwell or sample < self._quiet_until:
            return -1
        self.active = best
        self._candidate = -1
        self._quiet_until = sample + self._refractory
        return best


class IntentPolicy:
    """Predictions in, intents out.

    Parameters
    ----------
    parameters : PolicyParameters
        Chosen on training runs by `choose_policy`.
    fs_hz : float
        Sampling rate that sample numbers count.
    actions : mapping, optional
        Class name → action, where they differ.
    """

    def __init__(
        self, parameters: PolicyParameters, *, fs_hz: float, actions: Mapping[str, str] | None = None
    ) -> None:
        if not fs_hz > 0.0:
            raise DesignError(f"fs_hz = {fs_hz}: expected a positive rate")
        self.parameters = parameters
        self._fs_hz = fs_hz
        self._actions = dict(actions or {})
        self._expiry = round(parameters.expiry_s * fs_hz)
        self._number = 0
        self._classes: tuple[str, ...] = ()
        self._moving: tuple[int, ...] = ()
        self.reset()

    def reset(self) -> None:
        """Forget all evidence. Numbers go on counting: the monitor refuses those it has seen."""
        self._evidence = Evidence(self.parameters, fs_hz=self._fs_hz)
        self._firing = Firing(self.parameters, fs_hz=self._fs_hz)
        #: Newest evidence per class, None while frozen; for displays.
        self.evidence: dict[str, float] | None = None

    def update(self, prediction: Prediction) -> Intent | None:
        """Take the next prediction.

        Raises
        ------
        DesignError
            If no class but "rest" is there, or the classes changed midway.
        """
        if prediction.classes != self._classes:
            self._adopt(prediction.classes)
        sample = prediction.sample_index
        evidence = self._evidence.update(prediction)
        self.evidence = None if evidence is None else dict(zip(self._classes, evidence, strict=True))
        fired = self._firing.update(sample, evidence, self._moving)
        if fired < 0 and self.parameters.control == "proportional" and evidence is not None:
            fired = self._firing.active
        if fired < 0 or evidence is None:
            return None
        self._number += 1
        name = self._classes[fired]
        return Intent(
            number=self._number,
            action=self._actions.get(name, name),
            sample_index=sample,
            expires_sample=sample + self._expiry,
            probability=1.0 / (1.0 + math.exp(-evidence[fired])),
        )

    def _adopt(self, classes: tuple[str, ...]) -> None:
        if self._classes:
            raise DesignError(f"classes were {self._classes}, now {classes}: a policy serves one decoder")
        self._classes = classes
        self._moving = tuple(i for i, name in enumerate(classes) if name != REST)
        if not self._moving:
            raise DesignError(f"classes {classes}: none of them moves anything")


class Sequences:
    """More grips than classes: short sequences of intents stand for actions.

    Intents that follow each other within `within_s` belong together. A sequence that is the beginning of a
    longer one waits for it; one that is in no list is dropped, because a misheard sequence must not move
    anything.

    Parameters
    ----------
    meanings : mapping
        Tuple of actions → action, e.g. ``{("left",): "open", ("left", "right"): "pinch"}``.
    within_s, fs_hz : float
        Longest pause within a sequence, and the rate that sample numbers count.
    """

    def __init__(self, meanings: Mapping[tuple[str, ...], str], *, within_s: float, fs_hz: float) -> None:
        if not meanings or () in meanings:
            raise DesignError("expected at least one sequence of at least one action")
        self._meanings = dict(meanings)
        self._beginnings = {key[:n] for key in meanings for n in range(1, len(key))}
        self._within = round(within_s * fs_hz)
        self._heard: tuple[str, ...] = ()
        self._last: Intent | None = None
        self._number = 0

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
        self._heard, self._last = (), None
        if action is None:
            return None
        self._number += 1
        expires = sample_index + (last.expires_sample - last.sample_index)
        return Intent(self._number, action, sample_index, expires, last.probability)


def _log_odds(p: float) -> float:
    if p <= 0.0:
        return -CLIP
    if p >= 1.0:
        return CLIP
    return min(CLIP, max(-CLIP, math.log(p / (1.0 - p))))


def _distribution(p: tuple[float, ...]) -> bool:
    return all(0.0 <= x <= 1.0 for x in p) and abs(math.fsum(p) - 1.0) < 1e-6
