"""From failed figures to faults: each named once, with its size, and without what only follows from another.

One fault fails many figures: a wrong gain shows at every amplifier setting and with the generator again, a narrow band
also lets through less of the generator's tone and later. The figure that measures the fault itself says its size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bci.qualification.result import Result

__all__ = ["Finding", "diagnose"]

#: fault → the tests that measure it itself, best first
BEST: dict[str, tuple[str, ...]] = {
    "gain": ("gain-match-24", "gain-match-12", "gain-match-8", "gain-generator-match"),
    "noise": ("noise-rms-gain-24", "input-noise-rms"),
    "leadoff": ("leadoff-current",),
    "bandwidth": ("bandwidth", "bandwidth-sweep"),
    "cmrr": ("cmrr-50", "cmrr-60"),
    "loose": ("contact-dropouts",),
    "offset": ("offset",),
    "flip": ("link-errors",),
    "drops": ("loss-device",),
    "nonlinear": ("thd",),
}
#: fault → what of the same channel is only its shadow; "gain@generator": gain, where only the generator says so
ALL = (
    "gain",
    "noise",
    "flicker",
    "offset",
    "range",
    "leadoff",
    "loose",
    "skew",
    "cmrr",
    "nonlinear",
    "endurance",
)
HIDES: dict[str, tuple[str, ...]] = {
    "dead": ALL,
    "railed": ("dead", *ALL),
    "bandwidth": ("skew", "step", "gain@generator", "gaindrift"),
    "flicker": ("noise",),
    "range": ("nonlinear", "gain@generator"),
    "nonlinear": ("gain@generator",),
}
#: dB by which crosstalk stands above what the channel's noise alone would show; below it may be that noise.
ABOVE_NOISE_DB = 12.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault.

    Parameters
    ----------
    fault : str
        Its kind, as `bci qualify --fault` names it.
    channel, other : str or None
        Whom it concerns; of crosstalk the source and the channel that shows it, of a swap both.
    size, uncertainty, unit : float, float, str
    sentence : str
        For a person.
    tests : tuple of str
        All figures that failed by it.
    """

    fault: str
    channel: str | None
    other: str | None
    size: float
    uncertainty: float
    unit: str
    sentence: str
    tests: tuple[str, ...]


def diagnose(results: Sequence[Result]) -> tuple[Finding, ...]:
    """The faults behind the failed results, in the order in which the bench met them."""
    groups: dict[tuple[str, str | None, str | None], list[Result]] = {}
    for result in results:
        if result.verdict == "fail":
            groups.setdefault(_key(result), []).append(result)
    by_channel: dict[str | None, set[str]] = {}
    for kind, channel, _other in groups:
        by_channel.setdefault(channel, set()).add(kind)
    findings = []
    for (kind, channel, other), failed in groups.items():
        shadows = {
            shadow for cause in by_channel[channel] if cause != kind for shadow in HIDES.get(cause, ())
        }
        only_generator = all("generator" in r.test or "drift" in r.test for r in failed)
        if kind in shadows or (only_generator and f"{kind}@generator" in shadows):
            continue
        if kind == "crosstalk" and "noise" in by_channel.get(other, set()) and _is_noise(failed[0]):
            continue
        findings.append(_finding(kind, channel, other, failed))
    return tuple(findings)


def _key(result: Result) -> tuple[str, str | None, str | None]:
    kind = str(result.facts.get("fault", result.test))
    other = str(result.facts["other"]) if "other" in result.facts else None
    if kind == "crosstalk":
        return kind, other, result.channel
    if kind == "swap" and other is not None:
        one, two = sorted((str(result.channel), other))
        return kind, one, two
    if kind in ("testsource", "reference"):
        return kind, None, None  # of the board, though each channel shows it
    return kind, result.channel, other


def _is_noise(crosstalk: Result) -> bool:
    return crosstalk.value < float(crosstalk.facts.get("resolution_db", -300.0)) + ABOVE_NOISE_DB


def _finding(kind: str, channel: str | None, other: str | None, failed: list[Result]) -> Finding:
    best = BEST.get(kind, ())
    chosen = min(failed, key=lambda r: (best.index(r.test) if r.test in best else len(best), failed.index(r)))
    chosen = min((r for r in failed if r.test == chosen.test), key=lambda r: r.uncertainty)  # measured twice
    size = float(chosen.facts.get("size", chosen.value))
    unit = str(chosen.facts.get("size_unit", chosen.unit))
    share = abs(chosen.uncertainty / chosen.value) if chosen.value and unit != "dB" else 0.0
    uncertainty = chosen.uncertainty if unit in ("dB", chosen.unit) else share * abs(size)
    uncertainty = float(chosen.facts.get("size_u", uncertainty))
    return Finding(
        fault=kind,
        channel=channel,
        other=other,
        size=size,
        uncertainty=uncertainty,
        unit=unit,
        sentence=chosen.reason,
        tests=tuple(dict.fromkeys(r.test for r in failed)),
    )
