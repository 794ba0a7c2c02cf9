"""From what lies at a board's inputs to its counts: multiplexer, amplifier, decimation and converter of a bench board.

Everything follows from the conversion number, the board's settings and what is connected: any cut of the stream gives
the same counts. Signals are computed as the decimation filter (sinc³ [1]) leaves them, so nothing is oversampled.

References
----------
.. [1] ADS1299 data sheet SBAS499C: 9.3.1.1 (multiplexer, test signal, sensors), 9.3.2.1 (sinc³), 9.3.2.4.3 (lead-off).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bci.acquisition.simulator._board_truth import VREF_UV, BoardTruth, noise_uv
from bci.acquisition.simulator._pages import NoisePages
from bci.chunks import F64
from firmware_protocol import LeadOff, TestSignal

__all__ = ["CONNECTIONS", "FrontEnd", "Setup"]

#: kind → options of `FrontEnd.connect` and their defaults
CONNECTIONS: dict[str, dict[str, float | str]] = {
    "nothing": {},
    "shorted": {},
    "generator": {"frequency_hz": 10.0, "amplitude_uv": 1000.0, "mode": "differential"},
    "resistors": {"kohm": 5.1},
    "vibration": {},
    "warming": {"from_c": 25.0, "to_c": 45.0, "seconds": 20.0},
    "supply": {"from_mv": 3300.0, "to_mv": 3000.0, "seconds": 10.0},
}
SUPPLY_MV = 3300.0
ROOM_C = 25.0
CLOCK_HZ = 2_048_000
TEST_DIVIDER = {TestSignal.SLOW: 21, TestSignal.FAST: 20}
#: Edges of the test signal against data-ready, in samples: the decimation filter's delay and a part of a sample.
TEST_DELAY = 1.7
SHORT, BIAS, SUPPLY, TEMPERATURE, TEST = 1, 2, 3, 4, 5
HOP = 4096  # samples of a noise page
FULL_SCALE = 2**23 - 1
OPEN_KOHM = 2000.0
HUM_UV = 4000.0  # of the mains, at an open input
DROP_S = (0.03, 0.15)  # how long a loose contact is open
FREE_S = 0.6  # after a connection was made, without drop-outs
AC_HARMONICS = (1, 3, 5, 7, 9)
START_RAD = 0.3  # phase of every sine at conversion 0
BENT_AT = 0.8  # share of full scale at which a channel's third harmonic is stated


class Setup(Protocol):
    """What the board's commands have set; `firmware_protocol.ReferenceDevice.setup` is one."""

    @property
    def rate(self) -> Fraction: ...
    @property
    def inputs(self) -> Sequence[tuple[int, int, bool]]: ...  # gain, mux, powered
    @property
    def lead_off(self) -> LeadOff: ...
    @property
    def test_signal(self) -> TestSignal: ...
    @property
    def test_amplitude(self) -> int: ...


class FrontEnd:
    """One board's analogue half.

    Parameters
    ----------
    channels : sequence of str
    seed : int
        Of the board: same seed, same board and same noise.
    """

    def __init__(self, channels: Sequence[str], *, seed: int) -> None:
        self.channels = tuple(channels)
        self.truth = BoardTruth.draw(len(self.channels), seed)
        self.connection: dict[str, float | str] = {"kind": "nothing"}
        self._seed = seed
        self._since = 0  # conversion at which the connection was made
        self._next = 0
        self._noise: tuple[tuple[float, ...], NoisePages] | None = None
        self._waves: dict[tuple[Any, ...], F64] = {}

    def connect(self, kind: str, *, at: int | None = None, **options: float | str) -> None:
        """Put something at the inputs, from conversion `at` on (default: the next).

        Raises
        ------
        ValueError
            If there is no such thing, or it has no such option.
        """
        if kind not in CONNECTIONS:
            raise ValueError(f"nothing called {kind!r} can be connected; there are {', '.join(CONNECTIONS)}")
        if unknown := sorted(set(options) - set(CONNECTIONS[kind])):
            raise ValueError(f"{kind} has no option {', '.join(unknown)}")
        self.connection = {"kind": kind, **CONNECTIONS[kind], **options}
        self._since = self._next if at is None else at

    def fault(self, fault: Mapping[str, Any]) -> dict[str, Any]:
        """Let the board have a fault from now on; returns its true size."""
        truth = self.truth.apply(dict(fault), self.channels)
        self._noise = None
        self._waves.clear()
        return truth

    # ---- what the board measures of itself ----

    def temperature_c(self, sample: int, rate: Fraction) -> float:
        return float(self._ramp("warming", "from_c", "to_c", ROOM_C, np.array([sample]), rate)[0])

    def supply_mv(self, sample: int, rate: Fraction) -> float:
        return float(self._ramp("supply", "from_mv", "to_mv", SUPPLY_MV, np.array([sample]), rate)[0])

    # ---- conversions ----

    def convert(self, first: int, n: int, setup: Setup) -> NDArray[np.int32]:
        """Counts of conversions `first` to `first + n`, shape (n_channels, n)."""
        truth, rate = self.truth, setup.rate
        index = np.arange(first, first + n, dtype=np.int64)
        self._next = first + n
        gains = np.array([float(gain) for gain, _, _ in setup.inputs])
        full_uv = VREF_UV / gains
        warm = self._ramp("warming", "from_c", "to_c", ROOM_C, index, rate) - ROOM_C
        brown = (self._ramp("supply", "from_mv", "to_mv", SUPPLY_MV, index, rate) - SUPPLY_MV) / 1000.0
        uv = self._at_inputs(index, setup)
        uv = uv + truth.crosstalk.T @ uv
        uv += truth.offset_uv[:, None] + truth.offset_uv_per_c[:, None] * warm
        uv += truth.offset_uv_per_v[:, None] * brown
        uv += self._noise_of(index, gains, rate)
        uv *= (truth.gain[:, None] * (1.0 + truth.gain_per_c[:, None] * warm)) / truth.reference
        limit = (truth.top * full_uv)[:, None]
        counts = np.rint(np.clip(uv, -limit, limit) / (full_uv[:, None] / FULL_SCALE))
        counts = np.clip(counts, -FULL_SCALE - 1, FULL_SCALE).astype(np.int32)
        for k in truth.dead:
            counts[k] = 0
        for k in truth.railed:
            counts[k] = FULL_SCALE
        for k, (_, _, powered) in enumerate(setup.inputs):
            if not powered:
                counts[k] = 0
        return np.asarray(counts[truth.order])

    def lead_off_bits(self, sample: int, setup: Setup) -> int:
        """Comparators of the positive inputs at a conversion, bit k for channel k."""
        if setup.lead_off == LeadOff.OFF:
            return 0
        kind = self.connection["kind"]
        if kind == "nothing":
            return (1 << len(self.channels)) - 1
        return sum(
            1 << self._place(k)
            for k in self.truth.loose
            if self._open(k, np.array([sample]), setup.rate).any()
        )

    def edges(self, first: int, stop: int, setup: Setup) -> list[int]:
        """Conversions within `first` to `stop` at which a comparator changes."""
        found = []
        for k in self.truth.loose:
            for begin, end in self._drops(k, setup.rate, stop):
                found += [at for at in (begin, end) if first < at < stop]
        return sorted(set(found))

    def missed(self, first: int, stop: int, rate: Fraction) -> int:
        """Conversions that the processor does not fetch behind `first` to `stop`."""
        if not self.truth.drops_per_min:
            return 0
        every = 60.0 / self.truth.drops_per_min * float(rate)
        return math.floor((stop - self._since) / every) - math.floor((first - self._since) / every)

    def stamped(self, times_us: list[int], first: int) -> list[int]:
        """Data-ready as the board's clock stamps it, with its jitter; never backwards."""
        rng = np.random.default_rng((self._seed, 24, first))
        late = np.rint(rng.normal(0.0, self.truth.jitter_us, len(times_us))).astype(int)
        stamps = np.maximum.accumulate(np.array(times_us) + late)
        return [int(stamp) for stamp in stamps]

    def _place(self, k: int) -> int:
        return int(np.flatnonzero(self.truth.order == k)[0])

    # ---- what lies at the inputs ----

    def _at_inputs(self, index: NDArray[np.int64], setup: Setup) -> F64:
        """Voltage behind the multiplexer, decimated, µV."""
        uv = np.zeros((len(self.channels), len(index)))
        outside = None
        for k, (_, mux, _) in enumerate(setup.inputs):
            if setup.test_signal != TestSignal.OFF and mux in (0, TEST):
                uv[k] = self._test_uv(index, setup, float(self.truth.pole_hz[k]))
            elif mux == 0:
                if outside is None:
                    outside = self._outside(index, setup)
                uv[k] = outside[k]
            elif mux == SUPPLY:
                uv[k] = 2.5e6
            elif mux == TEMPERATURE:  # 145.3 mV at 25 °C and 490 µV for each °C [1, 9.3.1.1.3]
                celsius = self._ramp("warming", "from_c", "to_c", ROOM_C, index, setup.rate)
                uv[k] = 145_300.0 + 490.0 * (celsius - 25.0)
        return uv

    def _outside(self, index: NDArray[np.int64], setup: Setup) -> F64:
        """What the operator has put at the electrode inputs."""
        truth, what, rate = self.truth, self.connection, setup.rate
        n = len(self.channels)
        uv = np.zeros((n, len(index)))
        kohm = np.zeros((n, len(index)))
        kind = what["kind"]
        hum = _sine(index, 50.0, rate, truth.clock_ppm)
        if kind == "nothing":
            kohm[:] = OPEN_KOHM
            uv += HUM_UV * (1.0 + 0.1 * np.arange(n)[:, None]) * hum
        elif kind == "resistors":
            kohm[:] = float(what["kohm"])
        elif kind == "generator":
            # A cubic bend: small signals pass as they are, a large sine gets a third harmonic and loses thrice that.
            f_hz, amplitude = float(what["frequency_hz"]), float(what["amplitude_uv"])
            share = truth.common if what["mode"] == "common" else np.ones(n)
            for k, (gain, _, _) in enumerate(setup.inputs):
                ratio = truth.third[k] * (share[k] * amplitude / (BENT_AT * VREF_UV / gain)) ** 2
                bent = ratio / (1.0 + 3.0 * ratio)
                for order, part in ((1, 1.0 - 3.0 * bent), (3, bent)):
                    through, phase = _through(order * f_hz, float(truth.pole_hz[k]), rate)
                    sine = _sine(index, order * f_hz, rate, truth.clock_ppm, order * START_RAD + phase)
                    uv[k] += share[k] * amplitude * part * through * sine
        elif kind == "vibration":
            for k in truth.loose:
                open_now = self._open(k, index, rate)
                kohm[k, open_now] = OPEN_KOHM
                uv[k, open_now] += 3.0 * HUM_UV * (1.0 + hum[open_now])
        return uv + kohm * self._excitation(index, setup)

    def _excitation(self, index: NDArray[np.int64], setup: Setup) -> F64:
        """Lead-off voltage over 1 kΩ, µV, shape (n_channels, n): 1 nA through 1 kΩ is 1 µV."""
        current = self.truth.current_na[:, None]
        if setup.lead_off == LeadOff.DC:
            return np.asarray(current * np.ones(len(index)))
        if setup.lead_off == LeadOff.OFF:
            return np.zeros((len(self.channels), 1))
        quarter = setup.lead_off == LeadOff.AC_QUARTER_RATE
        cycles = Fraction(1, 4) if quarter else Fraction(125, 4) / setup.rate
        tone = np.zeros(len(index))
        for h in AC_HARMONICS:
            turns = (h * cycles).numerator * index % (h * cycles).denominator / (h * cycles).denominator
            tone += 4 / np.pi / h * np.sinc(float(h * cycles)) ** 3 * np.sin(2 * np.pi * turns)
        return np.asarray(current * tone)

    def _test_uv(self, index: NDArray[np.int64], setup: Setup, pole_hz: float) -> F64:
        """The internal test signal as pole and decimation leave it."""
        level = setup.test_amplitude * VREF_UV / 2400 * self.truth.test_source * self.truth.reference
        if setup.test_signal == TestSignal.DC:
            return np.full(len(index), level)
        period = setup.rate * 2 ** TEST_DIVIDER[setup.test_signal] / CLOCK_HZ
        key = (setup.test_signal, setup.rate, pole_hz)
        if key not in self._waves:
            self._waves[key] = _square(int(period), pole_hz, float(setup.rate))
        return level * self._waves[key][index % int(period)]

    # ---- noise, loose contacts, slow changes ----

    def _noise_of(self, index: NDArray[np.int64], gains: F64, rate: Fraction) -> F64:
        """Noise, µV rms as the data sheet has it; pages are seeded, so any cut gives the same."""
        truth, n = self.truth, len(self.channels)
        key = (float(rate), *truth.corner_hz)
        if self._noise is None or self._noise[0] != key:
            f = np.arange(HOP + 1) / (2 * HOP)  # of the rate
            white = np.sinc(f) ** 6 + np.sinc(1 - f) ** 6 + np.sinc(1 + f) ** 6
            flicker = (truth.corner_hz[:, None] / float(rate)) / np.maximum(f, f[1])
            spectra = np.sqrt(np.vstack([white * (1.0 + flicker), np.tile(white, (n, 1))]))
            self._noise = key, NoisePages(spectra, seed=(self._seed, 21))
            # Pages have unit variance whatever their spectrum; flicker comes on top of the white noise.
            self._more = np.sqrt((white[1:-1] * (1.0 + flicker[:, 1:-1])).sum(axis=1) / white[1:-1].sum())
        blocks = range(int(index[0]) // HOP, int(index[-1]) // HOP + 1)
        drawn = np.hstack([self._noise[1].block(k) for k in blocks])
        drawn = drawn[:, index[0] - blocks[0] * HOP : index[-1] + 1 - blocks[0] * HOP]
        typical = np.array([noise_uv(int(gain), float(rate)) for gain in gains])
        own = (truth.noise_factor * typical * self._more)[:, None] * drawn[:n]
        return np.asarray(own + truth.extra_noise_uv[:, None] * drawn[n:])

    def _ramp(
        self, kind: str, low: str, high: str, rest: float, index: NDArray[np.int64], rate: Fraction
    ) -> F64:
        if self.connection["kind"] != kind:
            return np.full(len(index), rest)
        what = self.connection
        course = (index - self._since) / float(rate) / float(what["seconds"])
        start, end = float(what[low]), float(what[high])
        return np.asarray(start + (end - start) * np.clip(course, 0.0, 1.0))

    def _drops(self, k: int, rate: Fraction, stop: int) -> list[tuple[int, int]]:
        """First and last conversion of each drop-out of a loose contact until `stop`."""
        if self.connection["kind"] != "vibration":
            return []
        every = 60.0 / self.truth.loose[k]
        many = math.ceil((stop - self._since) / float(rate) / every)
        spans = []
        for event in range(max(many, 0)):
            rng = np.random.default_rng((self._seed, 22, k, event))
            at_s = max((event + 0.5 + rng.uniform(-0.2, 0.2)) * every, FREE_S)
            begin = self._since + round(at_s * float(rate))
            spans.append((begin, begin + max(2, round(min(rng.uniform(*DROP_S), every / 4) * float(rate)))))
        return spans

    def _open(self, k: int, index: NDArray[np.int64], rate: Fraction) -> NDArray[np.bool_]:
        is_open = np.zeros(len(index), dtype=np.bool_)
        for begin, end in self._drops(k, rate, int(index[-1]) + 1):
            is_open |= (index >= begin) & (index < end)
        return is_open


def _through(f_hz: float, pole_hz: float, rate: Fraction) -> tuple[float, float]:
    """Amplitude and phase of a sine behind the input's pole and the decimation filter."""
    return float(np.sinc(f_hz / float(rate))) ** 3 / math.hypot(1.0, f_hz / pole_hz), -math.atan(
        f_hz / pole_hz
    )


def _sine(index: NDArray[np.int64], f_hz: float, rate: Fraction, ppm: float, phase: float = START_RAD) -> F64:
    """A sine of real time, sampled by the board's own clock."""
    return np.asarray(np.sin(2 * np.pi * f_hz / (float(rate) * (1.0 + ppm * 1e-6)) * index + phase))


def _square(period: int, pole_hz: float, rate_hz: float) -> F64:
    """One period of the test signal, ±1, behind pole and decimation: its Fourier series, to eight times the rate."""
    k = np.arange(1, 8 * period, 2)
    f_hz = k * rate_hz / period
    line = 4 / np.pi / k * np.sinc(f_hz / rate_hz) ** 3 / (1.0 + 1j * f_hz / pole_hz)
    folded = np.zeros(period, dtype=np.complex128)  # sampled, harmonics a period apart are the same
    np.add.at(folded, k % period, line * np.exp(-2j * np.pi * k * TEST_DELAY / period))
    return np.asarray(period * np.fft.ifft(folded).imag)
