"""Where to set a policy for a stated budget of false activations: `choose_policy`, on training runs only.

Idle in later runs is not idle in training runs, so a threshold that just meets the budget in training
overshoots afterwards. Therefore the exact Poisson upper limit of the training's false activations must lie
within the budget, not their mean; of the operating points that pass, the one with most hits is taken. Shapes
(smoothing and dwell) are few on purpose: with few of them the best is not merely the luckiest. Thresholds are
dense, because a coarse step leaves part of the budget unused.

What may be expected of later runs is told apart from what the search reached: each run is scored with the
operating point that the other runs alone would have given.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bci.decisions import Prediction
from bci.errors import PolicyRefusedError, ShapeError
from bci.language import _
from bci.prosthesis.policy import CLIP, REST, Evidence, Firing, PolicyParameters

if TYPE_CHECKING:
    from bci.evaluation import EventScore, Interval, TaskEvent

__all__ = ["PolicyChoice", "choose_policy"]

SMOOTHING = (("mean", 0.5), ("mean", 1.0), ("leaky", 0.5))
DWELL_S = (0.0, 0.5, 1.0)
#: From strict to lenient, in natural log-odds.
THRESHOLDS = tuple(n / 10 for n in range(round(10 * CLIP) - 1, -11, -1))
HYSTERESIS = 0.5

#: Two-sided; its upper limit is exceeded by chance once in twenty.
CONFIDENCE = 0.90

#: Below a threshold whose upper limit is so many times the budget, no lower one is looked at.
HOPELESS = 4.0

#: Hits must not be explained by firing at random at the upper limit's rate, the best of all variants being taken.
LUCK = 0.05 / (len(SMOOTHING) * len(DWELL_S) * len(THRESHOLDS))


@dataclass(frozen=True, slots=True)
class PolicyChoice:
    """An operating point, what it did on the training runs, and what to expect of it.

    Parameters
    ----------
    parameters : PolicyParameters
    training : EventScore
        Hits, false activations and latencies on the runs it was chosen on; later runs will be worse.
    expected : EventScore or None
        The same, each run scored with the operating point that the other runs alone give: the hit rate to
        promise. None where the other runs alone cannot show the budget.
    upper_per_min : float
        Poisson upper limit of the training's false activations, which was held against the budget.
    variants : int
        How many operating points were tried.
    """

    parameters: PolicyParameters
    training: EventScore
    expected: EventScore | None
    upper_per_min: float
    variants: int

    @property
    def expected_hit_rate(self) -> float:
        """Share of meant movements that will be made; NaN where nothing can be promised."""
        return math.nan if self.expected is None else self.expected.true_positive_rate

    @property
    def expected_hit_interval(self) -> Interval | None:
        """Wilson's 95 % interval of `expected_hit_rate`."""
        from bci.evaluation import wilson_interval

        return None if self.expected is None else wilson_interval(self.expected.hits, self.expected.n_events)


def choose_policy(
    predictions_per_run: Sequence[Sequence[Prediction]],
    cues_per_run: Sequence[Sequence[TaskEvent]],
    *,
    fs_hz: float,
    budget_per_min: float,
    refractory_s: float = 1.0,
) -> PolicyChoice:
    """The operating point with most hits whose false activations stay within the budget.

    Parameters
    ----------
    predictions_per_run : list of lists of Prediction
        Out of fold (from models that did not see the run), in time order, over whole runs.
    cues_per_run : list of lists of TaskEvent
        Cued movements of each run; rest cues are none.
    fs_hz : float
        Rate that sample numbers count.
    budget_per_min : float
        False activations per minute of idle time that the user accepts.
    refractory_s : float
        Pause after an intent.

    Returns
    -------
    PolicyChoice

    Raises
    ------
    PolicyRefusedError
        The runs cannot show the budget (too little idle time), or no operating point keeps it and does better
        than firing at random as often; the message says which.
    ShapeError
        The lists differ in length or hold nothing.
    """
    if not predictions_per_run or len(predictions_per_run) != len(cues_per_run):
        got = f"{len(predictions_per_run)} and {len(cues_per_run)}"
        raise ShapeError(f"expected predictions and cues of the same runs, got {got} runs")
    runs = [list(run) for run in predictions_per_run]
    if any(len(run) < 2 for run in runs):
        raise ShapeError("expected at least 2 predictions in every run")
    tried = list(_try_all(runs, cues_per_run, fs_hz, refractory_s, HOPELESS * budget_per_min))
    everything = range(len(runs))
    best = _best(tried, everything, budget_per_min)
    if best is None:
        raise PolicyRefusedError(_why_not(_total(tried[0], everything).idle_s / 60.0, budget_per_min))
    expected = None
    folds = [_best(tried, [i for i in everything if i != run], budget_per_min) for run in everything]
    if len(runs) > 1 and all(fold is not None for fold in folds):
        expected = _total(_Tried(best.parameters, [fold.scores[i] for i, fold in enumerate(folds) if fold]))
    total = _total(best, everything)
    return PolicyChoice(best.parameters, total, expected, _upper(total), len(tried))


@dataclass(frozen=True, slots=True)
class _Tried:
    """One operating point and its score in each run."""

    parameters: PolicyParameters
    scores: list[EventScore]


def _total(tried: _Tried, runs: Sequence[int] | None = None) -> EventScore:
    from bci.evaluation import EventScore

    scores = tried.scores if runs is None else [tried.scores[i] for i in runs]
    return sum(scores, EventScore())


def _upper(score: EventScore) -> float:
    """Poisson upper limit of false activations per minute."""
    from bci.evaluation import poisson_interval

    return float(poisson_interval(score.false_positives, score.idle_s / 60.0, confidence=CONFIDENCE).high)


def _try_all(
    runs: list[list[Prediction]],
    cues_per_run: Sequence[Sequence[TaskEvent]],
    fs_hz: float,
    refractory_s: float,
    hopeless_per_min: float,
) -> Iterator[_Tried]:
    """Every shape, with thresholds from strict to lenient until false activations are beyond hope."""
    from bci.evaluation import match_events

    samples = [[p.sample_index for p in run] for run in runs]
    classes = runs[0][0].classes
    names = np.array([*classes, REST])  # index -1 is off
    moving = tuple(i for i, name in enumerate(classes) if name != REST)
    for smoothing, smooth_s in SMOOTHING:
        shape = PolicyParameters(smoothing=smoothing, smooth_s=smooth_s)
        evidence = [_Evidences(run, shape, moving, fs_hz) for run in runs]
        for dwell_s in DWELL_S:
            for threshold in THRESHOLDS:
                parameters = PolicyParameters(
                    threshold=threshold,
                    release=threshold - HYSTERESIS,
                    dwell_s=dwell_s,
                    refractory_s=refractory_s,
                    smooth_s=smooth_s,
                    smoothing=smoothing,
                )
                scores = []
                for at, seen, cues in zip(samples, evidence, cues_per_run, strict=True):
                    output = names[seen.fired(parameters, at)]
                    scores.append(match_events(at, output, list(cues), fs_hz=fs_hz, rest=REST))
                tried = _Tried(parameters, scores)
                total = _total(tried)
                if total.idle_s <= 0.0 or total.n_events == 0:
                    raise PolicyRefusedError(
                        _("the runs hold no idle time or no cued movement to choose a policy on")
                    )
                yield tried
                if _upper(total) > hopeless_per_min:
                    break


class _Evidences:
    """What one smoothing makes of a run, and what an operating point makes of that."""

    def __init__(
        self, run: Sequence[Prediction], shape: PolicyParameters, moving: tuple[int, ...], fs_hz: float
    ) -> None:
        stage = Evidence(shape, fs_hz=fs_hz)
        self._evidence = [stage.update(prediction) for prediction in run]
        self._moving, self._fs_hz = moving, fs_hz
        nothing = (math.nan,) * len(moving)
        self._levels = np.array([nothing if e is None else [e[i] for i in moving] for e in self._evidence])

    def fired(self, parameters: PolicyParameters, at: Sequence[int]) -> NDArray[np.int64]:
        """Index of the class that fires at each decision, -1 for none: the running policy's own `Firing`, called only
        where its state can change."""
        firing = Firing(parameters, fs_hz=self._fs_hz)
        fired = np.full(len(at), -1)
        for i in self._moments(parameters).tolist():
            fired[i] = firing.update(at[i], self._evidence[i], self._moving)
        return fired

    def _moments(self, parameters: PolicyParameters) -> NDArray[np.int64]:
        """Decisions at or above the threshold, the one after each of them (which ends a dwell, also where it has no
        evidence), and the first of each stretch in which a class lies at or below `release`."""
        over: NDArray[np.bool_] = np.any(self._levels >= parameters.threshold, axis=1)
        below = self._levels <= parameters.release
        moments = over.copy()
        moments[1:] |= over[:-1] | (below[1:] & ~below[:-1]).any(axis=1)
        return np.flatnonzero(moments)


def _best(tried: list[_Tried], runs: Sequence[int], budget_per_min: float) -> _Tried | None:
    """Most hits in these runs within the budget, fewest false activations, shortest latency; in this order."""
    best: tuple[tuple[float, ...], _Tried] | None = None
    for candidate in tried:
        total = _total(candidate, runs)
        if not (total.idle_s > 0.0 and total.n_events) or (upper := _upper(total)) > budget_per_min:
            continue
        blind = 1.0 - math.exp(-upper / 60.0 * total.hit_window_s / total.n_events)
        if _luck(total.hits, total.n_events, blind) > LUCK:
            continue
        merit = (total.hits, -total.false_positives, -total.latency_s_median)
        if best is None or merit > best[0]:
            best = (merit, candidate)
    return None if best is None else best[1]


def _why_not(idle_min: float, budget_per_min: float) -> str:
    from bci.evaluation import poisson_interval

    none_seen = float(poisson_interval(0, 1.0, confidence=CONFIDENCE).high)
    needed_min = none_seen / budget_per_min
    if needed_min > idle_min:
        return _(
            "{idle_min:.1f} min of idle signal cannot show {budget:g} false activations a minute: record "
            "at least "
            "{needed_min:.1f} min, or state a larger budget"
        ).format(idle_min=idle_min, budget=budget_per_min, needed_min=needed_min)
    return _(
        "no operating point keeps {budget:g} false activations a minute over {idle_min:.1f} min of idle "
        "signal and "
        "clearly hits more than chance: improve the calibration, or state a larger budget"
    ).format(budget=budget_per_min, idle_min=idle_min)


def _luck(hits: int, n: int, p: float) -> float:
    """Probability of at least `hits` of `n` when each is hit with probability `p`."""
    return math.fsum(math.comb(n, k) * p**k * (1.0 - p) ** (n - k) for k in range(hits, n + 1))
