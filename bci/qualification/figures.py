"""How figures are written: as many digits as their uncertainty allows, limits as people write them, a row per test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bci.qualification.diagnosis import diagnose
from bci.qualification.records import verdict_of
from bci.qualification.result import Result, Verdict
from bci.qualification.words import family

__all__ = ["Row", "limits_text", "number", "reasons_of", "rows_of", "sentences"]

DIGITS = 4  # where nothing is known of the uncertainty
MOST_DIGITS = 6
SMALLEST = 1e-4  # uncertainties below are written with an exponent
MOST_NAMES = 4  # channels that are named in a row


def number(value: float | None, uncertainty: float = math.nan) -> str:
    """A figure to the second digit of its uncertainty, and no more than six; a dash where there is none.

    Examples
    --------
    >>> number(1.23456, 0.012), number(0.14, 0.0), number(5321.7, 120.0), number(math.nan)
    ('1.235', '0.14', '5320', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    if not (math.isfinite(uncertainty) and uncertainty > 0):
        return f"{value:.{DIGITS}g}".replace("-", "−")
    most = MOST_DIGITS - 1 - (math.floor(math.log10(abs(value))) if value else 0)
    decimals = min(1 - math.floor(math.log10(uncertainty)), most)
    return f"{round(value, decimals):.{max(decimals, 0)}f}".replace("-", "−")


def limits_text(low: float | None, high: float | None) -> str:
    """Both limits, or the one there is."""
    if low is not None and high is not None:
        return f"{low:g} … {high:g}".replace("-", "−")
    if high is not None:
        return f"≤ {high:g}".replace("-", "−")
    return f"≥ {low:g}".replace("-", "−") if low is not None else "–"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure over all channels, or a family of them over all gains, shown by its worst.

    `channels` names those that failed, or were not measured; for a pass the worst, where there are several. `of` says
    how many figures of a family the row stands for, e.g. "7/7".
    """

    test: str
    worst: Result
    verdict: Verdict
    channels: str
    of: str = ""

    @property
    def value(self) -> str:
        return number(self.worst.value, self.worst.uncertainty)

    @property
    def uncertainty(self) -> str:
        u = self.worst.uncertainty
        return number(u, u) if u >= SMALLEST else f"{u:.0e}" if u > 0 else number(u)

    @property
    def limits(self) -> str:
        return limits_text(self.worst.limit_low, self.worst.limit_high)


def rows_of(results: Sequence[Result]) -> list[Row]:
    """A row per figure in the order of the results; of those that exist once per gain, one per verdict."""
    families: dict[str, dict[str, list[Result]]] = {}
    for result in results:
        families.setdefault(family(result.test)[0], {}).setdefault(result.test, []).append(result)
    rows = []
    for tests in families.values():
        verdicts = {test: verdict_of(found) for test, found in tests.items()}
        for verdict in dict.fromkeys(verdicts.values()):
            concerned = [r for test, found in tests.items() if verdicts[test] == verdict for r in found]
            n = sum(v == verdict for v in verdicts.values())
            rows.append(_row(concerned, verdict, of=f"{n}/{len(tests)}" if len(tests) > 1 else ""))
    return rows


def sentences(results: Sequence[Result]) -> list[str]:
    """Each fault once, with its size; then why something was not measured."""
    found = [finding.sentence for finding in diagnose(results) if finding.sentence]
    return list(dict.fromkeys([*found, *reasons_of(results, "not measured")]))


def reasons_of(results: Sequence[Result], verdict: Verdict) -> list[str]:
    """Why, a sentence per channel and family of figures: that of the worst."""
    worst: dict[tuple[str, str | None], Result] = {}
    for result in results:
        key = family(result.test)[0], result.channel
        if (
            result.verdict == verdict
            and result.reason
            and (key not in worst or _margin(result) < _margin(worst[key]))
        ):
            worst[key] = result
    return list(dict.fromkeys(result.reason for result in worst.values()))


def _row(results: Sequence[Result], verdict: Verdict, *, of: str) -> Row:
    concerned = [r for r in results if r.verdict == verdict]
    worst = min(concerned, key=_margin)
    names = list(dict.fromkeys(r.channel for r in concerned if r.channel))
    if verdict == "pass":
        names = [worst.channel] if worst.channel and len(names) > 1 else []
    more = "" if len(names) <= MOST_NAMES else f" +{len(names) - MOST_NAMES}"
    return Row(worst.test, worst, verdict, ", ".join(names[:MOST_NAMES]) + more, of)


def _margin(result: Result) -> float:
    """How far a figure is inside its limits, in units of them; negative outside, the last where there is none."""
    low, high, value = result.limit_low, result.limit_high, result.value
    if not math.isfinite(value):
        return math.inf
    scale = (
        (high - low) / 2
        if low is not None and high is not None
        else abs(high if high is not None else low or 1.0)
    )
    sides = [high - value] if high is not None else []
    sides += [value - low] if low is not None else []
    return min(sides) / (scale or 1.0) if sides else math.inf
