"""Faults that the bench is held against: as they are shown in the documentation, and at twice their limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bci.acquisition.simulator import parse_bench_fault
from bci.qualification.desk import Desk
from bci.qualification.diagnosis import Finding, diagnose
from bci.qualification.measurements import MEASUREMENTS
from bci.qualification.result import Measurement

__all__ = ["KNOWN_FAULTS", "KnownFault", "Trial", "deviation", "try_fault"]


@dataclass(frozen=True, slots=True)
class KnownFault:
    """One kind of fault.

    Parameters
    ----------
    shown : str
        As the documentation injects it.
    twice : str
        The same at twice the shipped limit; what has no size (swapped, dead) as it is.
    tests : tuple of str
        Measurements that find it.
    sized_by : tuple of str
        Measurements on demand without which its size is not found within 5 %: half a minute of noise says that there
        is 1/f noise, and minutes of it say how much.
    """

    shown: str
    twice: str
    tests: tuple[str, ...]
    sized_by: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return self.shown.partition(":")[0]

    @property
    def measurements(self) -> list[Measurement]:
        return [m for m in MEASUREMENTS if m.name in self.tests]

    @property
    def sizing(self) -> list[Measurement]:
        """The whole bench, and what its size takes on top."""
        return [m for m in MEASUREMENTS if not m.optional or m.name in self.sized_by]


KNOWN_FAULTS = (
    KnownFault("gain:ch3:+4%", "gain:ch3:+1.0%", ("gain",)),
    KnownFault("noise:ch4:0.5uV", "noise:ch4:0.351uV", ("noise",)),
    KnownFault("flicker:ch2:20Hz", "flicker:ch2:8Hz", ("noise",), sized_by=("flicker",)),
    KnownFault("swap:ch2:ch5", "swap:ch2:ch5", ("crosstalk",)),
    KnownFault("crosstalk:ch1>ch2:-60dB", "crosstalk:ch1>ch2:-84dB", ("crosstalk",)),
    KnownFault("clock:+80ppm", "clock:-100ppm", ("clock",)),
    KnownFault("loose:ch5:6/min", "loose:ch5:2/min", ("contact",)),
    KnownFault("nonlinear:ch7:-60dB", "nonlinear:ch7:-74dB", ("linearity",)),
    KnownFault("offset:ch6:+500uV", "offset:ch6:-600uV", ("offset",)),
    KnownFault("range:ch1:-30%", "range:ch1:-2%", ("linearity",)),
    KnownFault("bandwidth:ch2:30Hz", "bandwidth:ch2:60.5Hz", ("response",)),
    KnownFault("cmrr:ch8:-70dB", "cmrr:ch8:-94dB", ("common-mode",)),
    KnownFault("leadoff:ch3:+45%", "leadoff:ch3:-40%", ("leads",)),
    KnownFault("gaindrift:ch1:+60ppm/C", "gaindrift:ch1:-30ppm/C", ("warmth",)),
    KnownFault("offsetdrift:ch1:+2uV/C", "offsetdrift:ch1:+0.8uV/C", ("warmth",)),
    KnownFault("supply:ch2:+150uV/V", "supply:ch2:-160uV/V", ("supply",)),
    KnownFault("jitter:250us", "jitter:200us", ("clock",)),
    KnownFault("reference:+4%", "reference:-3.4%", ("linearity",)),
    KnownFault("testsource:+6%", "testsource:-5%", ("gain",)),
    KnownFault("drops:60/min", "drops:36/min", ("link",)),
    KnownFault("dead:ch1", "dead:ch1", ("noise",)),
    KnownFault("railed:ch2", "railed:ch2", ("offset",)),
)


@dataclass(frozen=True, slots=True)
class Trial:
    """One board with one fault: the truth, and what was found; `found` is None if nothing of its kind was."""

    truth: dict[str, Any]
    found: Finding | None
    others: tuple[Finding, ...]

    @property
    def named(self) -> bool:
        """The kind and the channels are right."""
        if self.found is None:
            return False
        injected = {self.truth.get("channel"), self.truth.get("other")} - {None}
        return {self.found.channel, self.found.other} - {None} == injected


def try_fault(text: str, seed: int, measurements: Sequence[Measurement] = ()) -> Trial:
    """Put a fault into a good board and send it over the bench; all measurements by default."""
    desk = Desk(seed=seed, faults=[parse_bench_fault(text)])
    findings = diagnose(desk.run(measurements))
    truth = desk.truths[0]
    found = next((finding for finding in findings if finding.fault == truth["fault"]), None)
    return Trial(truth, found, tuple(finding for finding in findings if finding is not found))


def deviation(trial: Trial) -> float:
    """How far the size found is from the truth, as a share of it; of decibels, the share of the ratio behind them."""
    if trial.found is None:
        return float("inf")
    true, found = float(trial.truth["size"]), trial.found.size
    if trial.truth["unit"] == "dB":
        return abs(float(10.0 ** ((found - true) / 20)) - 1.0)
    return abs(found / true - 1.0) if true else 0.0
