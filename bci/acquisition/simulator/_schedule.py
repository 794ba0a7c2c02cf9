"""When things are asked of the wearer, and how the sensorimotor rhythms answer.

A cue for a hand lowers the amplitude of the mu and beta rhythms (event-related desynchronisation, ERD),
mostly in the hemisphere opposite the hand, less in the one on its side; when the movement ends, beta comes
back higher than before (rebound). Depths and times follow Pfurtscheller & Lopes da Silva, Clin. Neurophysiol.
110:1842-1857, 1999. A rest cue changes nothing but what every cue changes: the eyes look, occipital alpha
drops for a second.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bci.acquisition.simulator._config import CLASS_CODES, CuedRun
from bci.chunks import F64

__all__ = ["Schedule", "Trial", "cue_drop", "rhythm_gain"]

_FIXATION_S = 3.0
_PAUSE_S = (1.5, 3.0)
_LEAD_IN_S = 2.0

#: Share of the amplitude that is lost at full depth by (mu, beta), opposite the hand and on its side.
_DEPTH_CONTRALATERAL = {"mu": 0.70, "beta": 0.55}
_DEPTH_IPSILATERAL = {"mu": 0.25, "beta": 0.18}
_REBOUND = 0.6
#: Imagined or intended movement moves the same sources less than an executed one.
_STRENGTH = {"executed": 1.0, "intended": 0.8}


@dataclass(frozen=True, slots=True)
class Trial:
    """One cue. `effort` and `latency_s` differ from trial to trial, as a wearer's attention does."""

    cue_s: float
    label: str
    effort: float
    latency_s: float
    task_s: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """The trials of one run and its length in samples."""

    trials: tuple[Trial, ...]
    n_samples: int
    rate_hz: int

    @classmethod
    def draw(cls, run: CuedRun, *, rate_hz: int, intent: float, rng: np.random.Generator) -> Schedule:
        if run.asked_s:
            return cls((), round(run.asked_s * rate_hz), rate_hz)
        order = rng.permutation(np.repeat(run.classes, run.trials_per_class))
        trials = []
        now_s = _LEAD_IN_S
        for label in order:
            cue = round((now_s + _FIXATION_S) * rate_hz)
            effort, latency_s = _attention(rng)
            trials.append(
                Trial(
                    cue / rate_hz,
                    str(label),
                    intent * _STRENGTH[run.movement] * effort,
                    latency_s,
                    run.task_s,
                )
            )
            now_s = cue / rate_hz + run.task_s + rng.uniform(*_PAUSE_S)
        return cls(tuple(trials), round(now_s * rate_hz), rate_hz)

    def asked(
        self,
        run: CuedRun,
        at: int,
        *,
        label: str,
        task_s: float,
        intent: float,
        rng: np.random.Generator,
    ) -> Schedule:
        """The same with one more trial, whose cue is shown at sample `at`."""
        if label not in CLASS_CODES:
            raise ValueError(f"the wearer knows {', '.join(CLASS_CODES)}, not {label!r}")
        effort, latency_s = _attention(rng)
        effort *= intent * _STRENGTH[run.movement]
        trial = Trial(at / self.rate_hz, label, effort, latency_s, task_s)
        return replace(self, trials=(*self.trials, trial))

    @property
    def cues(self) -> list[tuple[int, int]]:
        """(sample of the run, code) of each cue, in order."""
        return [(round(t.cue_s * self.rate_hz), CLASS_CODES[t.label]) for t in self.trials]


def _attention(rng: np.random.Generator) -> tuple[float, float]:
    """How hard somebody tries this time, and how long after the cue it begins, s."""
    return float(np.clip(rng.normal(1.0, 0.3), 0.0, 1.6)), float(np.clip(rng.normal(0.35, 0.08), 0.15, 0.6))


def _step(x: F64) -> F64:
    """Smooth rise from 0 at x <= 0 to 1 at x >= 1."""
    x = np.clip(x, 0.0, 1.0)
    return np.asarray(x * x * (3.0 - 2.0 * x))


def rhythm_gain(schedule: Schedule, t_s: F64, *, band: str, hemisphere: str) -> F64:
    """Amplitude factor of one sensorimotor rhythm ("mu" or "beta") of one hemisphere at the times `t_s`."""
    gain = np.ones_like(t_s)
    for trial in schedule.trials:
        end_s = trial.cue_s + trial.task_s
        if trial.label == "rest" or t_s[-1] < trial.cue_s or t_s[0] > end_s + 3.0:
            continue
        opposite = (trial.label == "right") == (hemisphere == "left")
        depth = (_DEPTH_CONTRALATERAL if opposite else _DEPTH_IPSILATERAL)[band] * trial.effort
        since = t_s - trial.cue_s - trial.latency_s
        moving = _step(since / 0.4) - _step((since - trial.task_s) / 0.6)
        gain *= 1.0 - min(depth, 0.95) * moving
        if band == "beta" and opposite:
            after = np.clip((since - trial.task_s - 0.4) / 1.4, 0.0, 1.0)
            gain *= 1.0 + _REBOUND * trial.effort * np.sin(np.pi * after) ** 2
    return gain


def cue_drop(schedule: Schedule, t_s: F64) -> F64:
    """Amplitude factor of occipital alpha: every cue, whatever it asks, is looked at."""
    gain = np.ones_like(t_s)
    for trial in schedule.trials:
        if trial.cue_s <= t_s[-1] and t_s[0] <= trial.cue_s + 1.6:
            since = t_s - trial.cue_s
            gain *= 1.0 - 0.35 * (_step((since - 0.15) / 0.3) - _step((since - 0.8) / 0.6))
    return gain
