"""The truth about one board on the bench: what its front end does to a signal, and what a fault makes of it.

A good board is drawn from its seed with the spread that the converter's data sheet calls typical: what is typical there
is one standard deviation here, cut at three. Applying a fault returns the size that a perfect instrument would find, so
that a bench can be held against it.

References
----------
.. [1] ADS1299 data sheet SBAS499C, Texas Instruments 2017: sections 7.5 (electrical characteristics) and 8.1 (noise).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from bci.acquisition.simulator._bench_faults import BENCH_FAULT_FORMS, BENCH_FAULTS
from bci.chunks import F64

__all__ = ["BoardTruth", "noise_uv"]

VREF_UV = 4.5e6
#: gain → input-referred noise at 250 SPS, µV rms [1, 8.1, tables 1 to 4].
NOISE_UV = {1: 1.08, 2: 0.57, 4: 0.31, 6: 0.23, 8: 0.20, 12: 0.16, 24: 0.14}


def noise_uv(gain: int, rate_hz: float = 250.0) -> float:
    """Typical input-referred noise with shorted inputs, µV rms over the converter's whole band."""
    return NOISE_UV[gain] * math.sqrt(rate_hz / 250.0)


@dataclass(slots=True)
class BoardTruth:
    """Numbers behind one board; all arrays are of shape (n_channels,) unless said otherwise.

    Parameters
    ----------
    gain : ndarray
        Factor; 1 is nominal.
    reference : float
        What the reference voltage's error makes of every reading: a factor.
    test_source : float
        Factor on the internal test signal.
    offset_uv, noise_factor, extra_noise_uv, corner_hz
        Input-referred; the 1/f corner is where flicker equals white noise.
    pole_hz : ndarray, Hz
        Of the input network, first order.
    third : ndarray
        Third harmonic of a sine of 80 % of full scale, as a share of it.
    common : ndarray
        What of a common-mode voltage shows as a difference.
    crosstalk : ndarray, shape (n_channels, n_channels)
        Share of the row's voltage in the column's channel.
    current_na : ndarray
        Lead-off current.
    gain_per_c, offset_uv_per_c, offset_uv_per_v
        Drift with temperature and with the supply.
    top : ndarray
        Share of full scale that the channel reaches.
    order : ndarray of int
        Which converter channel comes out where.
    loose : dict of int to float
        Drop-outs per minute of vibration.
    """

    gain: F64
    reference: float
    test_source: float
    offset_uv: F64
    noise_factor: F64
    extra_noise_uv: F64
    corner_hz: F64
    pole_hz: F64
    third: F64
    common: F64
    crosstalk: F64
    current_na: F64
    gain_per_c: F64
    offset_uv_per_c: F64
    offset_uv_per_v: F64
    top: F64
    order: Any
    dead: set[int]
    railed: set[int]
    loose: dict[int, float]
    clock_ppm: float
    jitter_us: float = 1.0
    drops_per_min: float = 0.0

    @classmethod
    def draw(cls, n_channels: int, seed: int) -> BoardTruth:
        """A good board: typical figures of [1], section 7.5.

        Gains spread by 0.07 %, with which the typical eight channels are 0.2 % apart. Figures of which only a bound is
        stated (reference, test signal) lie anywhere within it, the lead-off current within half of it.
        """
        rng = np.random.default_rng((seed, 20))
        n = n_channels
        crosstalk = 10.0 ** (rng.normal(-110.0, 2.0, (n, n)) / 20)
        np.fill_diagonal(crosstalk, 0.0)
        chip_na = 6.0 * (1.0 + rng.uniform(-0.1, 0.1))
        return cls(
            gain=1.0 + rng.normal(0.0, 0.0007, n).clip(-0.0021, 0.0021),
            reference=1.0 + rng.uniform(-0.002, 0.002),
            test_source=1.0 + rng.uniform(-0.02, 0.02),
            offset_uv=rng.normal(0.0, 60.0, n).clip(-180, 180),
            noise_factor=rng.normal(1.0, 0.02, n).clip(0.92, 1.08),
            extra_noise_uv=np.zeros(n),
            corner_hz=rng.uniform(0.05, 0.2, n),
            pole_hz=rng.normal(4800.0, 100.0, n),
            third=10.0 ** (rng.normal(-99.0, 2.0, n) / 20),
            common=10.0 ** (rng.normal(-117.0, 1.5, n).clip(-120, -112) / 20) * rng.choice([-1.0, 1.0], n),
            crosstalk=crosstalk,
            current_na=chip_na * (1.0 + rng.normal(0.0, 0.01, n).clip(-0.03, 0.03)),
            gain_per_c=rng.normal(0.0, 3e-6, n).clip(-9e-6, 9e-6),
            offset_uv_per_c=rng.normal(0.0, 0.08, n).clip(-0.24, 0.24),
            offset_uv_per_v=rng.normal(0.0, 16.0, n).clip(-48, 48),
            top=np.ones(n),
            order=np.arange(n),
            dead=set(),
            railed=set(),
            loose={},
            clock_ppm=float(rng.normal(0.0, 6.0)),
        )

    def apply(self, fault: dict[str, Any], channels: Sequence[str]) -> dict[str, Any]:
        """Let the board have a fault; returns what a perfect instrument would say of it.

        Raises
        ------
        ValueError
            If there is no such fault, channel or size.
        """
        kind = str(fault.get("kind"))
        if kind not in BENCH_FAULTS:
            raise ValueError(f"no fault {kind!r} of a board on the bench; there are {BENCH_FAULT_FORMS}")
        where, unit = BENCH_FAULTS[kind]
        needed = {"kind", *({"amount"} if unit else ()), *({"channel"} if where != "board" else ())}
        needed |= {"other"} if where == "pair" else set()
        if set(fault) != needed:
            raise ValueError(
                f"fault {kind!r} takes {', '.join(sorted(needed))}, got {', '.join(sorted(fault))}"
            )
        amount = float(fault.get("amount", 0.0))
        k = channel_number(fault["channel"], channels) if where != "board" else -1
        other = channel_number(fault["other"], channels) if where == "pair" else -1
        size = self._spoil(kind, k, other, amount)
        truth: dict[str, Any] = {"fault": kind, "size": size, "unit": unit}
        if k >= 0:
            truth["channel"] = channels[k]
        if other >= 0:
            truth["other"] = channels[other]
        return truth

    def _spoil(self, kind: str, k: int, other: int, amount: float) -> float:
        """Change the numbers; returns the size there is now, in the unit of the fault."""
        positive = ("noise", "flicker", "bandwidth", "loose", "jitter", "drops")
        if kind in positive and amount <= 0:
            raise ValueError(f"{kind} is greater than 0, got {amount:g}")
        match kind:
            case "gain":
                self.gain[k] *= 1.0 + amount / 100
                return (float(self.gain[k]) - 1.0) * 100
            case "offset":
                self.offset_uv[k] += amount
                return float(self.offset_uv[k])
            case "noise":
                self.extra_noise_uv[k] = amount
            case "flicker":
                self.corner_hz[k] = amount
            case "bandwidth":
                self.pole_hz[k] = pole_for(amount)
            case "nonlinear":
                self.third[k] = 10.0 ** (amount / 20)
            case "cmrr":
                self.common[k] = 10.0 ** (amount / 20)
            case "leadoff":
                self.current_na[k] = 6.0 * (1.0 + amount / 100)
            case "gaindrift":
                self.gain_per_c[k] = amount * 1e-6
            case "offsetdrift":
                self.offset_uv_per_c[k] = amount
            case "supply":
                self.offset_uv_per_v[k] = amount
            case "range":
                self.top[k] = 1.0 + amount / 100
            case "loose":
                self.loose[k] = amount
            case "dead":
                self.dead.add(k)
            case "railed":
                self.railed.add(k)
            case "swap":
                self.order[[k, other]] = self.order[[other, k]]
            case "crosstalk":
                self.crosstalk[k, other] = 10.0 ** (amount / 20)
            case "clock":
                self.clock_ppm = amount
            case "jitter":
                self.jitter_us = amount
            case "reference":
                self.reference = 1.0 + amount / 100
            case "testsource":
                self.test_source = 1.0 + amount / 100
            case "drops":
                self.drops_per_min = amount
        return amount


def channel_number(name: object, channels: Sequence[str]) -> int:
    """`ch3`, counted from 1, or a channel's label -> its place, counted from 0."""
    text = str(name)
    if text in channels:
        return list(channels).index(text)
    if text.lower().startswith("ch") and text[2:].isdigit() and 1 <= int(text[2:]) <= len(channels):
        return int(text[2:]) - 1
    raise ValueError(f"the board has no channel {text}; it has ch1 to ch{len(channels)}")


def pole_for(corner_hz: float, rate: Fraction = Fraction(250)) -> float:
    """The input pole with which the whole channel, its sinc³ decimation included, is down 3 dB at `corner_hz`."""
    sinc = float(np.sinc(corner_hz / float(rate))) ** 3
    share = 0.5 / sinc**2
    if not 0.0 < share < 1.0:
        raise ValueError(
            f"a channel at {float(rate):g} Hz ends at {0.262 * float(rate):.1f} Hz, not {corner_hz:g} Hz"
        )
    return corner_hz / math.sqrt(1.0 / share - 1.0)
