"""What a measurement of the bench asks for, is given, and says: `Take`, `Taken`, `Result`, `Measurement`.

A measurement is a list of takes and two pure functions. A take says how the board is set, what lies at its inputs and
for how long it is recorded; `evaluate` turns what was taken into results, `picture` draws it. Nothing here reads a
clock, a port or a file, so a recording of last year gives the same verdicts as the board did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64, SignalInfo
from firmware_protocol import LeadOff, Pattern, TestSignal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bci.qualification.limits import Limits

__all__ = [
    "Beat",
    "ClockTrack",
    "Measurement",
    "Needs",
    "Result",
    "Setting",
    "Take",
    "Taken",
    "Verdict",
    "Wire",
]

Verdict: TypeAlias = Literal["pass", "fail", "not measured"]
#: What somebody has to put at the board: nothing, a strap over all inputs, a generator, resistors, a shaker, warm air,
#: another supply voltage. "test-signal": nothing either, the board's own.
Needs: TypeAlias = Literal[
    "nothing", "test-signal", "shorted", "generator", "resistors", "vibration", "warming", "supply"
]
#: Facts of a failed result by which programs know the fault: see `Result.facts`.
Facts: TypeAlias = Mapping[str, float | str]


@dataclass(frozen=True, slots=True)
class Result:
    """One figure of one channel, or of the whole board.

    Parameters
    ----------
    test : str
        What was measured, the name of its limit: "noise-rms-gain-24".
    channel : str or None
        The channel's label; None for what belongs to the board.
    value, unit, uncertainty : float, str, float
        `uncertainty` is expanded, k = 2, in the same unit. Value NaN: nothing was measured.
    limit_low, limit_high : float or None
        The limits it was judged by.
    verdict : "pass", "fail" or "not measured"
        "not measured" is what a missing generator or a wrong resistor gives, with the reason; it never fails a board.
    reason : str
        A whole sentence in the language spoken: why it failed ("Gain of channel 3 is 4.0 % high."), or why nothing
        was measured. Empty for a pass.
    facts : mapping
        More numbers, units in their names. Of a failed result also "fault" (its kind, as `--fault` names it), "size"
        (how large) and "size_unit"; "other" where a second channel is part of it.
    """

    test: str
    channel: str | None
    value: float
    unit: str
    uncertainty: float
    limit_low: float | None
    limit_high: float | None
    verdict: Verdict
    reason: str = ""
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Setting:
    """How the board is set for a take.

    Parameters
    ----------
    gain, mux : int
        Of all channels; mux as SET_CHANNEL takes it: 0 electrode, 1 shorted, 3 supply, 4 temperature, 5 test signal.
    mux_of : mapping of int to int
        Channels, counted from 0, that are set to another input.
    test_signal, amplitude
        As TEST_SIGNAL takes them.
    lead_off : LeadOff
    pattern : Pattern
        Known numbers in place of samples.
    rate_hz : int
    """

    gain: int = 24
    mux: int = 0
    mux_of: Mapping[int, int] = field(default_factory=dict)
    test_signal: TestSignal = TestSignal.OFF
    amplitude: int = 1
    lead_off: LeadOff = LeadOff.OFF
    pattern: Pattern = Pattern.OFF
    rate_hz: int = 250


@dataclass(frozen=True, slots=True)
class Take:
    """One stretch of recording with one setting.

    Parameters
    ----------
    name : str
        Within its measurement: "gain 24", "channel 3".
    seconds : float
        Of signal, after `settle_s`, which is thrown away.
    setting : Setting
    connect : mapping
        What must lie at the inputs, as the simulated board's `connect` takes it, with "kind":
        {"kind": "generator", "frequency_hz": 10.0, "amplitude_uv": 1e5, "mode": "differential"}. Two takes with the
        same `connect` after each other need the operator once.
    instruction : str
        What the operator is told before it, a whole sentence; empty where there is nothing to do.
    settle_s : float
    after_s : float
        Seconds of signal before it, in a measurement that lasts for hours.
    """

    name: str
    seconds: float
    setting: Setting = field(default_factory=Setting)
    connect: Mapping[str, float | str] = field(default_factory=lambda: {"kind": "nothing"})
    instruction: str = ""
    settle_s: float = 0.2
    after_s: float = 0.0

    @property
    def n_samples(self) -> int:
        """What is recorded, that which is thrown away too."""
        return round((self.seconds + self.settle_s) * self.setting.rate_hz)


@dataclass(frozen=True, slots=True)
class Wire:
    """What the link did during a take. `capacity` is in bytes per second, 0 where it is not known."""

    n_bytes: int = 0
    n_packets: int = 0
    n_faults: int = 0
    n_wrong_samples: int = 0  #: of a test pattern
    capacity: float = 0.0


@dataclass(frozen=True, slots=True)
class Beat:
    """One HEARTBEAT: what the board says of itself. `supply_mv` 0 and `temperature_c` NaN: not measured."""

    sample: int
    supply_mv: int
    temperature_c: float


@dataclass(frozen=True, slots=True)
class ClockTrack:
    """How the board's clock ran against the host's.

    Parameters
    ----------
    sample : ndarray, shape (n,), int64
        Last conversion of each packet.
    arrived_ns : ndarray, shape (n,), int64
        Monotonic host time when it was there: late by the line and the system, never early. Empty where the board did
        not run in real time.
    device_us : ndarray, shape (n,), int64
        The board's own stamp of the packet's first sample.
    n_samples : ndarray, shape (n,), int64
    drift_ppm, drift_uncertainty_ppm : float
        What two-way probes say of the same clock; NaN where there were none.
    reference_sample, reference_ns : ndarray, shape (m,), int64
        Of a simulated board that did not run in real time: what `SimulatedBoard.reference` told at the end of the take.
        Where there are some, they count instead of arrivals.
    """

    sample: NDArray[np.int64]
    arrived_ns: NDArray[np.int64]
    device_us: NDArray[np.int64]
    n_samples: NDArray[np.int64]
    drift_ppm: float = float("nan")
    drift_uncertainty_ppm: float = float("nan")
    reference_sample: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    reference_ns: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of one take.

    Parameters
    ----------
    take : Take
    info : SignalInfo
        As it was during the take: the scale follows the gain.
    data_uv : ndarray, shape (n_channels, n_samples), float64, µV
        Input-referred. Lost conversions are NaN.
    first_sample : int
        Conversion number of the first column.
    lead_off : ndarray, shape (n_channels, n_samples), bool, or None
        Comparators of the positive inputs.
    lost_device, lost_link : int
        Conversions that the board could not send, and those that the link lost.
    """

    take: Take
    info: SignalInfo
    data_uv: F64
    first_sample: int = 0
    lead_off: NDArray[np.bool_] | None = None
    lost_device: int = 0
    lost_link: int = 0
    wire: Wire = field(default_factory=Wire)
    beats: tuple[Beat, ...] = ()
    clock: ClockTrack | None = None

    @property
    def fs_hz(self) -> float:
        return self.info.fs_hz

    @property
    def n_samples(self) -> int:
        return int(self.data_uv.shape[1])


@dataclass(frozen=True, slots=True)
class Measurement:
    """One step of the bench.

    Parameters
    ----------
    name : str
        Lower case with hyphens, unique.
    needs : Needs
        What somebody must bring.
    title, instruction : callable
        In the language spoken when they are asked for: a few words, and one sentence for the operator.
    takes : callable
        How many channels the board has -> the takes, in order.
    evaluate : callable
        All takes that came, and the limits -> results. Fewer takes than asked for give results of those.
    picture : callable
        The same takes and their results -> a matplotlib figure.
    until_failure : bool
        It lasts for hours (endurance). `evaluate` is asked after each take, with the first take and that one, and the
        first failed result ends the measurement. `picture` gets both and, before the last results, those of all takes.
    optional : bool
        Not part of a run unless it is asked for by name.
    real_time : bool
        A simulated board runs it at speed 1 unless it can tell its own reference clock.
    """

    name: str
    needs: Needs
    title: Callable[[], str]
    instruction: Callable[[], str]
    takes: Callable[[int], tuple[Take, ...]]
    evaluate: Callable[[Sequence[Taken], Limits], list[Result]]
    picture: Callable[[Sequence[Taken], Sequence[Result]], Figure]
    until_failure: bool = False
    optional: bool = False
    real_time: bool = False

    def seconds(self, n_channels: int) -> float:
        """Of signal that all takes together need."""
        return sum(take.seconds + take.settle_s for take in self.takes(n_channels))
