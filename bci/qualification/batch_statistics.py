"""What a batch says: capability with its interval, gauge repeatability and reproducibility, yield, Pareto.

Pure functions of numbers. Whatever rests on too few boards says so: a capability index of eight boards is a rumour.

References
----------
.. [1] NIST/SEMATECH e-Handbook of Statistical Methods, 6.1.6 (capability, its interval) and 6.3.2.2 (moving range).
.. [2] Bissell, Appl. Stat. 39(3):331-340, 1990. doi:10.2307/2347383 (interval of Cpk).
.. [3] AIAG, Measurement Systems Analysis, 4th ed., 2010, chapter III B and appendix A (ANOVA method).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from bci.chunks import F64
from bci.errors import ShapeError
from bci.evaluation import Interval, wilson_interval

__all__ = [
    "ENOUGH_BOARDS",
    "Capability",
    "GaugeStudy",
    "Trial",
    "Yield",
    "capability",
    "first_pass_yield",
    "gauge_study",
    "histogram",
    "pareto",
]

#: Boards below which a capability index is an indication only: at 30 its 95 % interval is still ±27 %.
ENOUGH_BOARDS = 30
D2 = 1.128  # mean moving range of two, in standard deviations
MOVING_FREEDOM = 0.62  # of each moving range: neighbours share a board
#: Above this p the interaction of board and operator counts as none and is pooled with repeatability.
NO_INTERACTION = 0.05
ROUNDING = 1e-12  # of the largest value: what differs by less is the same
DISTINCT = 1.41  # √2: parts are told apart at 97 % (AIAG's number of distinct categories)


@dataclass(frozen=True, slots=True)
class Capability:
    """How the spread of a batch lies within its limits.

    Parameters
    ----------
    n : int
        Boards.
    mean, sd_within, sd_overall : float
        `sd_within` from moving ranges in order of testing, so a drift of the line does not widen it.
    cpk, ppk : float or None
        Of within and overall spread. None with fewer than two boards, without limits, or without any spread.
    cpk_interval, ppk_interval : Interval or None
        95 %, by Bissell's approximation.
    enough : bool
        At least `ENOUGH_BOARDS`.
    """

    n: int
    mean: float
    sd_within: float
    sd_overall: float
    cpk: float | None
    cpk_interval: Interval | None
    ppk: float | None
    ppk_interval: Interval | None

    @property
    def enough(self) -> bool:
        return self.n >= ENOUGH_BOARDS


def capability(values: Sequence[float], *, low: float | None, high: float | None) -> Capability:
    """Capability of a batch, values in order of testing.

    Parameters
    ----------
    values : sequence of float
        One per board, the first attempt of each; NaN is left out.
    low, high : float, optional
        Limits in the same unit; with one of them the index looks at that side alone.

    Examples
    --------
    >>> round(capability([9.0, 10.0, 11.0, 10.0, 10.0], low=7.0, high=13.0).ppk, 3)
    1.414
    """
    x = np.asarray(values, dtype=np.float64)
    x = x[np.isfinite(x)]
    n = len(x)
    if n < 2:
        return Capability(n, float(x.mean()) if n else math.nan, math.nan, math.nan, None, None, None, None)
    mean, overall = float(x.mean()), float(x.std(ddof=1))
    within = float(np.abs(np.diff(x)).mean() / D2)
    if np.ptp(x) <= ROUNDING * np.abs(x).max():
        overall = within = 0.0
    cpk, ppk = (_index(mean, sd, low, high) for sd in (within, overall))
    return Capability(
        n,
        mean,
        within,
        overall,
        cpk,
        _bissell(cpk, n, MOVING_FREEDOM * (n - 1)),
        ppk,
        _bissell(ppk, n, n - 1.0),
    )


def _index(mean: float, sd: float, low: float | None, high: float | None) -> float | None:
    sides = [
        side
        for side in (low is not None and mean - low, high is not None and high - mean)
        if side is not False
    ]
    return min(sides) / (3 * sd) if sides and sd > 0 else None


def _bissell(index: float | None, n: int, freedom: float) -> Interval | None:
    if index is None:
        return None
    half = NormalDist().inv_cdf(0.975) * math.sqrt(1 / (9 * n) + index**2 / (2 * freedom))
    return Interval(index - half, index + half)


@dataclass(frozen=True, slots=True)
class Trial:
    """One measurement of one board by one operator."""

    part: str
    operator: str
    value: float


@dataclass(frozen=True, slots=True)
class GaugeStudy:
    """Standard deviations of what the bench adds to a board's value, and what is left to the boards.

    Parameters
    ----------
    n_parts, n_operators, n_repeats : int
        What the study rests on; larger sets were cut to a balanced one.
    repeatability : float
        Same board, same operator ("equipment variation", EV).
    reproducibility : float or None
        Between operators, with their interaction with boards (AV); None with a single operator.
    gauge, parts, total : float
        GRR, PV, TV.
    percent : float
        GRR as a share of the total variation, %.
    percent_of_tolerance : float or None
        6 GRR as a share of the distance of the limits, %; None where one of them is missing.
    categories : int
        Number of distinct categories (ndc), 1.41 PV / GRR.
    """

    n_parts: int
    n_operators: int
    n_repeats: int
    repeatability: float
    reproducibility: float | None
    gauge: float
    parts: float
    total: float
    percent: float
    percent_of_tolerance: float | None
    categories: int


def gauge_study(
    trials: Iterable[Trial], *, low: float | None = None, high: float | None = None
) -> GaugeStudy | None:
    """Gauge repeatability and reproducibility by analysis of variance (random effects).

    Boards that every operator measured at least twice are used, each with as many repeats as the least measured of
    them; a single operator gives repeatability alone.

    Returns
    -------
    study : GaugeStudy or None
        None with fewer than two boards measured twice by everybody.

    References
    ----------
    .. [1] AIAG, Measurement Systems Analysis, 4th ed., 2010, chapter III B and appendix A.
    """
    table = _balanced(list(trials))
    if table is None:
        return None
    p, o, r = table.shape
    mean = table.mean()
    cell, by_part, by_operator = table.mean(axis=2), table.mean(axis=(1, 2)), table.mean(axis=(0, 2))
    ss_parts = o * r * float(((by_part - mean) ** 2).sum())
    ss_operators = p * r * float(((by_operator - mean) ** 2).sum())
    ss_cells = r * float(((cell - mean) ** 2).sum())
    ss_repeat = float(((table - cell[:, :, None]) ** 2).sum())
    ss_both = max(ss_cells - ss_parts - ss_operators, 0.0)
    ms_parts, ms_repeat = ss_parts / (p - 1), ss_repeat / (p * o * (r - 1))
    if o == 1:
        repeat, operators = ms_repeat, None
        parts = max((ms_parts - ms_repeat) / r, 0.0)
    else:
        repeat, operators, parts = _two_way(p, o, r, ms_parts, ss_operators, ss_both, ss_repeat)
    gauge = repeat + (operators or 0.0)
    total = gauge + parts
    span = high - low if high is not None and low is not None else 0.0
    sd = math.sqrt
    return GaugeStudy(
        n_parts=p,
        n_operators=o,
        n_repeats=r,
        repeatability=sd(repeat),
        reproducibility=None if operators is None else sd(operators),
        gauge=sd(gauge),
        parts=sd(parts),
        total=sd(total),
        percent=100 * sd(gauge / total) if total else 0.0,
        percent_of_tolerance=100 * 6 * sd(gauge) / span if span > 0 else None,
        categories=max(int(DISTINCT * sd(parts / gauge)), 1) if gauge else 1,
    )


def _two_way(
    p: int, o: int, r: int, ms_parts: float, ss_operators: float, ss_both: float, ss_repeat: float
) -> tuple[float, float, float]:
    """Variances of repeatability, operators (with interaction) and parts."""
    from scipy.special import fdtrc

    freedom_both, freedom_repeat = (p - 1) * (o - 1), p * o * (r - 1)
    ms_operators, ms_both, ms_repeat = (
        ss_operators / (o - 1),
        ss_both / freedom_both,
        ss_repeat / freedom_repeat,
    )
    chance = float(fdtrc(freedom_both, freedom_repeat, ms_both / ms_repeat)) if ms_repeat else 0.0
    if chance > NO_INTERACTION:  # no interaction to be seen: one estimate of repeatability from both
        repeat = (ss_both + ss_repeat) / (freedom_both + freedom_repeat)
        interaction, against = 0.0, repeat
    else:
        repeat, against = ms_repeat, ms_both
        interaction = max((ms_both - ms_repeat) / r, 0.0)
    operators = max((ms_operators - against) / (p * r), 0.0)
    return repeat, operators + interaction, max((ms_parts - against) / (o * r), 0.0)


def _balanced(trials: Sequence[Trial]) -> F64 | None:
    """(parts, operators, repeats) of what everybody measured equally often; first repeats are kept."""
    cells: dict[tuple[str, str], list[float]] = {}
    for trial in trials:
        if math.isfinite(trial.value):
            cells.setdefault((trial.part, trial.operator), []).append(trial.value)
    cells = {key: values for key, values in cells.items() if len(values) >= 2}
    everybody = sorted({operator for _, operator in cells})
    # An operator who repeated hardly anything would leave no board that all have measured: the busiest are taken.
    best: F64 | None = None
    busiest = sorted(everybody, key=lambda name: -sum(operator == name for _, operator in cells))
    for k in range(len(busiest), 0, -1):
        chosen = sorted(busiest[:k])
        parts = sorted({part for part, _ in cells if all((part, name) in cells for name in chosen)})
        if len(parts) >= 2:
            r = min(len(cells[part, name]) for part in parts for name in chosen)
            best = np.array([[cells[part, name][:r] for name in chosen] for part in parts])
            break
    return best


@dataclass(frozen=True, slots=True)
class Yield:
    """Boards that passed at the first attempt, of those that were finished."""

    passed: int
    n: int
    interval: Interval | None

    @property
    def share(self) -> float | None:
        return self.passed / self.n if self.n else None


def first_pass_yield(first_verdicts: Iterable[bool]) -> Yield:
    """First-pass yield with its 95 % Wilson interval."""
    verdicts = list(first_verdicts)
    return Yield(
        sum(verdicts), len(verdicts), wilson_interval(sum(verdicts), len(verdicts)) if verdicts else None
    )


def pareto(causes: Iterable[str]) -> list[tuple[str, int, float]]:
    """(cause, times, cumulated share) from the most frequent on."""
    counts = sorted(Counter(causes).items(), key=lambda item: (-item[1], item[0]))
    total, running = sum(n for _, n in counts), 0
    rows = []
    for cause, n in counts:
        running += n
        rows.append((cause, n, running / total))
    return rows


def histogram(values: Sequence[float]) -> tuple[F64, F64]:
    """(edges, counts): by Freedman and Diaconis' width, between 5 and 30 bins.

    Raises
    ------
    ShapeError
        Without any finite value.
    """
    x = np.asarray(values, dtype=np.float64)
    x = x[np.isfinite(x)]
    if not len(x):
        raise ShapeError("a histogram needs at least one finite value")
    first, last = float(x.min()), float(x.max())
    if last <= first:
        reach = abs(first) * 1e-3 or 1.0
        first, last = first - reach, last + reach
    quartiles = np.percentile(x, [25, 75])
    width = 2 * float(quartiles[1] - quartiles[0]) / len(x) ** (1 / 3)
    n_bins = int(np.clip(math.ceil((last - first) / width) if width > 0 else 8, 5, 30))
    counts, edges = np.histogram(x, bins=n_bins, range=(first, last))
    return edges, counts.astype(np.float64)
