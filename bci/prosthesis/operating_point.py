"""Where to set a policy for a stated budget of false activations: `choose_policy`, on training runs only.

Idle in later runs is not idle in training runs, so a threshold that just meets the budget in training
overshoots afterwards. Therefore the exact Poisson upper limit of the training's false activations must lie
within the budget, not their mean; of the operating points that pass, the one with most hits is taken. The
grid is small on purpose: with few candidates the best of them is not merely the luckiest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bci.decisions import Prediction
from bci.errors import PolicyRefusedError, ShapeError
from bci.prosthesis.policy import CLIP, REST, Evidence, Firing, PolicyParameters

if TYPE_CHECKING:
    from bci.evaluation import EventScore, TaskEvent

__all__ = ["PolicyChoice", "choose_policy"]

SMOOTHING = (("mean", 0.5), ("mean", 1.0), ("leaky", 0.5))
DWELL_S = (0.0, 0.5, 1.0)
THRESHOLDS = tuple(float(x) for x in np.arange(-1.0, CLIP, 0.25))
HYSTERESIS = 0.5

#: Two-sided; its upper limit is exceeded by chance once in twenty.
CONFIDENCE = 0.90

#: Hits must not be explained by firing at random at the upper limit's rate, the best of all variants being taken.
LUCK = 0.05 / (len(SMOOTHING) * len(DWELL_S) * len(THRESHOLDS))


@dataclass(frozen=True, slots=True)
class PolicyChoice:
    """An operating point and what it did on the training runs.

    `training` holds hits, false activations and latencies there; `upper_per_min` is the Poisson upper limit
    that was held against the budget; `variants` is how many operating points were tried.
    """

    parameters: PolicyParameters
    training: EventScore
    upper_per_min: float
    variants: int


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
    from bci.evaluation import EventScore, match_events, poisson_interval

    if not predictions_per_run or len(predictions_per_run) != len(cues_per_run):
        got = f"{len(predictions_per_run)} and {len(cues_per_run)}"
        raise ShapeError(f"expected predictions and cues of the same runs, got {got} runs")
    runs = [list(run) for run in predictions_per_run]
    if any(len(run) < 2 for run in runs):
        raise ShapeError("expected at least 2 predictions in every run")
    samples = [[p.sample_index for p in run] for run in runs]
    classes = runs[0][0].classes
    names = np.array([*classes, REST])  # index -1 is off
    moving = tuple(i for i, name in enumerate(classes) if name != REST)

    best: tuple[tuple[float, ...], PolicyParameters, EventScore, float] | None = None
    variants, idle_min = 0, 0.0
    for smoothing, smooth_s in SMOOTHING:
        shape = PolicyParameters(smoothing=smoothing, smooth_s=smooth_s)
        evidence = [_evidence(run, shape, fs_hz) for run in runs]
        for dwell_s in DWELL_S:
            for threshold in THRESHOLDS:
                variants += 1
                parameters = PolicyParameters(
                    threshold=threshold,
                    release=threshold - HYSTERESIS,
                    dwell_s=dwell_s,
                    refractory_s=refractory_s,
                    smooth_s=smooth_s,
                    smoothing=smoothing,
                )
                total = EventScore()
                for at, evid, cues in zip(samples, evidence, cues_per_run, strict=True):
                    firing = Firing(parameters, fs_hz=fs_hz)
                    fired = [firing.update(t, e, moving) for t, e in zip(at, evid, strict=True)]
                    total = total + match_events(at, names[fired], list(cues), fs_hz=fs_hz, rest=REST)
                idle_min = total.idle_s / 60.0
                if idle_min <= 0.0 or total.n_events == 0:
                    raise PolicyRefusedError(
                        "the runs hold no idle time or no cued movement to choose a policy on"
                    )
                upper = float(poisson_interval(total.false_positives, idle_min, confidence=CONFIDENCE).high)
                if upper > budget_per_min:
                    continue
                blind = 1.0 - math.exp(-upper / 60.0 * total.hit_window_s / total.n_events)
                if _luck(total.hits, total.n_events, blind) > LUCK:
                    continue
                merit = (total.hits, -total.false_positives, -total.latency_s_median)
                if best is None or merit > best[0]:
                    best = (merit, parameters, total, upper)
    if best is None:
        none_seen = float(poisson_interval(0, 1.0, confidence=CONFIDENCE).high)
        needed_min = none_seen / budget_per_min
        if needed_min > idle_min:
            raise PolicyRefusedError(
                f"{idle_min:.1f} min of idle signal cannot show {budget_per_min:g} false activations a minute: "
                f"record at least {needed_min:.1f} min, or state a larger budget"
            )
        raise PolicyRefusedError(
            f"no operating point keeps {budget_per_min:g} false activations a minute over {idle_min:.1f} min "
            "of idle signal and clearly hits more than chance: improve the calibration, or state a larger budget"
        )
    _, parameters, training, upper = best
    return PolicyChoice(parameters, training, upper, variants)


def _luck(hits: int, n: int, p: float) -> float:
    """Probability of at least `hits` of `n` when each is hit with probability `p`."""
    return math.fsum(math.comb(n, k) * p**k * (1.0 - p) ** (n - k) for k in range(hits, n + 1))


def _evidence(
    run: Sequence[Prediction], shape: PolicyParameters, fs_hz: float
) -> list[tuple[float, ...] | None]:
    stage = Evidence(shape, fs_hz=fs_hz)
    return [stage.update(prediction) for prediction in run]
