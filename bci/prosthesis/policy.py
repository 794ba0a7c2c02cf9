"""From predictions to intents: `IntentPolicy`. Time is the sample number; nothing here reads a clock.

1. Artefact freeze: an invalid or outlying prediction wipes the evidence, and for `freeze_s` after it none is taken.
2. Evidence: per class the log-odds of its probability, clipped, then averaged over the last `smooth_s` ("mean"), or by
   a leaky integrator of that time constant ("leaky"). Overlapping windows make neighbouring predictions say much the
   same twice; the mean takes that out without adding more delay than its length.
3. Hysteresis: a class fires at `threshold`, and may fire again only after its evidence has fallen below `release`.
4. Dwell: the evidence must stay above the threshold for `dwell_s`.
5. Refractory: after an intent nothing fires for `refractory_s`.

A class named "rest" moves nothing. On doubt (NaN, sums that are not 1, a probability too
few or too many, samples that go backwards) nothing fires.

| control | intents |
| --- | --- |
| switch | one when a class fires; the profile says which grip it means, or that it toggles |
| hold | one when a class fires, and one named "release" when its evidence has fallen below `release` |
| proportional | one at every prediction from firing to release; its probability sets the speed |

With `Sequences` a switch reaches more grips than there are classes.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from bci.decisions import Intent, Prediction
from bci.errors import DesignError
from bci.prosthesis.sequences import Sequences
from bci.prosthesis.user_profile import CONTROLS, RELEASE, Profile

__all__ = ["REST", "IntentPolicy", "PolicyParameters"]

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
        "switch", "hold" or "proportional": see the module's table.
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
        if self.control not in CONTROLS:
            raise DesignError(f"control = {self.control!r}: expected one of {', '.join(CONTROLS)}")

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
        usable = prediction.valid and not prediction.outlier and sample > self._newest
        if not (usable and len(p) == len(prediction.classes) and _distribution(p)):
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
    sequences : Sequences, optional
        Codes for more grips than classes; only with control "switch".

    Raises
    ------
    DesignError
        No rate, or sequences with another control than "switch".
    """

    def __init__(
        self,
        parameters: PolicyParameters,
        *,
        fs_hz: float,
        actions: Mapping[str, str] | None = None,
        sequences: Sequences | None = None,
    ) -> None:
        if not fs_hz > 0.0:
            raise DesignError(f"fs_hz = {fs_hz}: expected a positive rate")
        if sequences is not None and parameters.control != "switch":
            raise DesignError(f"sequences are made of single intents: control is {parameters.control!r}")
        self.parameters = parameters
        self._fs_hz = fs_hz
        self._actions = dict(actions or {})
        self._sequences = sequences
        self._expiry = round(parameters.expiry_s * fs_hz)
        self._number = 0
        self._classes: tuple[str, ...] = ()
        self._moving: tuple[int, ...] = ()
        self.reset()

    @classmethod
    def for_profile(cls, parameters: PolicyParameters, profile: Profile, *, fs_hz: float) -> IntentPolicy:
        """The policy of one user: operating point from the training, control and sequences from the profile."""
        sequences = None
        if profile.sequences:
            meanings = {tuple(words.split()): words for words in profile.sequences}
            sequences = Sequences(meanings, within_s=profile.sequence_within_s, fs_hz=fs_hz)
        return cls(replace(parameters, control=profile.control), fs_hz=fs_hz, sequences=sequences)

    def reset(self) -> None:
        """Forget all evidence. Numbers go on counting: the monitor refuses those it has seen."""
        self._evidence = Evidence(self.parameters, fs_hz=self._fs_hz)
        self._firing = Firing(self.parameters, fs_hz=self._fs_hz)
        #: Newest evidence per class, None while frozen; for displays.
        self.evidence: dict[str, float] | None = None
        if self._sequences is not None:
            self._sequences.reset()

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
        before = self._firing.active
        fired = self._firing.update(sample, evidence, self._moving)
        intent = None if evidence is None else self._intent(sample, evidence, before, fired)
        if self._sequences is None:
            return intent
        if evidence is None:  # half a sequence before an artefact and half after it are no sequence
            self._sequences.reset()
        return self._sequences.update(sample, intent)

    def _intent(self, sample: int, evidence: tuple[float, ...], before: int, fired: int) -> Intent | None:
        """What this control makes of a class that fired, goes on or was released; -1 is none."""
        active = self._firing.active
        if fired < 0 and self.parameters.control == "proportional":
            fired = active
        released = self.parameters.control == "hold" and before >= 0 and active < 0
        if fired < 0 and not released:
            return None
        probabilities = tuple(1.0 / (1.0 + math.exp(-x)) for x in evidence)
        if fired >= 0:
            action, probability = self._classes[fired], probabilities[fired]
        else:
            action, probability = RELEASE, 1.0 - probabilities[before]
        self._number += 1
        return Intent(
            number=self._number,
            action=self._actions.get(action, action),
            sample_index=sample,
            expires_sample=sample + self._expiry,
            probability=probability,
            probabilities=probabilities,
        )

    def _adopt(self, classes: tuple[str, ...]) -> None:
        if self._classes:
            raise DesignError(f"classes were {self._classes}, now {classes}: a policy serves one decoder")
        self._classes = classes
        self._moving = tuple(i for i, name in enumerate(classes) if name != REST)
        if not self._moving:
            raise DesignError(f"classes {classes}: none of them moves anything")


def _log_odds(p: float) -> float:
    if p <= 0.0:
        return -CLIP
    if p >= 1.0:
        return CLIP
    return min(CLIP, max(-CLIP, math.log(p / (1.0 - p))))


def _distribution(p: tuple[float, ...]) -> bool:
    return all(0.0 <= x <= 1.0 for x in p) and abs(math.fsum(p) - 1.0) < 1e-6
