"""Signal quality of each channel, 0 to 100, with its reasons in plain words: of a recording, or while it streams.

References
----------
.. [1] Urigüen & Garcia-Zapirain, J. Neural Eng. 12(3):031001, 2015: where artefacts lie in the spectrum.
   doi:10.1088/1741-2560/12/3/031001
.. [2] Goncharova et al., Clin. Neurophysiol. 114(9):1580-1593, 2003. doi:10.1016/S1388-2457(03)00093-2
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.dsp._stage import F64 as FLOAT64
from bci.dsp._stage import checked_channels, checked_signal, not_finite
from bci.dsp.design import design_bandpass
from bci.dsp.filters import SosFilter, zero_phase
from bci.dsp.spectrum import band_power, psd
from bci.errors import DesignError, ShapeError

__all__ = ["ChannelQuality", "QualityWatch", "assess_quality"]

#: Of blinks, sweat, breathing and a moving head [1]_.
SLOW_HZ = 7.0
#: Power of 1–30 Hz over that above 30 Hz, per hertz: 0 dB for white noise, at least 6 dB more where brains, blinks or
#: drift are what is seen; muscles of jaw and neck are loudest above 30 Hz [2]_.
NOISE_DB, MUSCLE_DB = 6.0, -1.5
TOLD = {
    "waves": "large slow waves",
    "mains": "strong mains hum",
    "muscle": "strong muscle",
    "noise": "broad-band noise",
}
#: Peak to peak from where points are taken, and where all are: steady noise covers brains sooner than waves that pass.
SWING_UV = {"waves": (150, 1000), "mains": (150, 1000), "muscle": (150, 1000), "noise": (100, 400)}
#: The same of noise over signal per hertz, dB.
RISE_DB = {"muscle": (-3, 6), "noise": (-6, 1.5)}
WEAK_UV = 3.0  # peak to peak: what comes from a head is more
FAST = {"muscle": "muscle", "noise": "high-frequency noise"}
RAIL_UV = 187_500.0  # end of an ADS1299's range at gain 24, data sheet SBAS499C, section 9.3.1.3.2


@dataclass(frozen=True, slots=True)
class ChannelQuality:
    """What some seconds of one channel say about its electrode.

    Parameters
    ----------
    channel : str
    score : int
        100 = as good as scalp EEG gets, below 50 = do not decode from it.
    reasons : tuple of str
        Why points were taken, the largest deduction first; empty for 100.
    causes : tuple of str
        One word for each reason: "railed", "flat", "lost", "waves" (slow: blinks, sweat, movement), "mains", "noise"
        (as strong at high frequencies as at low ones), "muscle" (stronger there), "offset", "weak".
    offset_uv : float, µV
        Median: the half-cell potential.
    noise_uvpp : float, µV
        Peak-to-peak within 0.5–50 Hz (to 0.45 · rate where that is lower), 99.9 % of samples.
    line_ratio : float
        Power within 1 Hz of the mains line over that of its neighbourhood of the same width.
    snr_db : float, dB
        Power of 1–30 Hz over that of 30 Hz up to 0.45 · rate, mains left out, per hertz.
    """

    channel: str
    score: int
    reasons: tuple[str, ...]
    causes: tuple[str, ...]
    offset_uv: float
    noise_uvpp: float
    line_ratio: float
    snr_db: float


def assess_quality(
    x_uv: F64,
    *,
    fs_hz: float,
    line_hz: float = 50.0,
    channels: Sequence[str] | None = None,
    rail_uv: float = RAIL_UV,
) -> list[ChannelQuality]:
    """Judge every channel of some seconds of raw signal.

    Parameters
    ----------
    x_uv : ndarray, shape (n_channels, n_samples), float64, µV
        Unfiltered, at least 4 s.
    fs_hz, line_hz : float, Hz
    channels : sequence of str, optional
        Labels; numbers otherwise.
    rail_uv : float, µV
        End of the converter's range.

    Returns
    -------
    qualities : list of ChannelQuality

    Raises
    ------
    ShapeError, NonFiniteError, DesignError
        If the signal is shorter than 4 s, not finite, or too slow for the mains line to show.
    """
    x = checked_signal(x_uv, None, FLOAT64)
    if x.shape[1] < 4 * fs_hz:
        raise ShapeError(f"quality needs at least 4 s of signal, got {x.shape[1] / fs_hz:.1f} s")
    if not np.isfinite(x).all():
        raise not_finite("signal quality")
    band = _display_band(fs_hz)
    settle = round(fs_hz)  # at both ends the 0.5 Hz edge shows a wave that is not there
    wave = zero_phase(band, x - np.median(x, axis=1, keepdims=True))[:, settle:-settle]
    return _judge(x, wave, 0.0, fs_hz, line_hz, _labels(channels, len(x)), rail_uv)


class QualityWatch:
    """Quality of each channel over the last seconds of a stream, asked whenever somebody looks.

    Lost samples, and those that are NaN, hold the value before them; their share is a reason of its own. So a bad link
    shows as what it is, and the time axis stays true.

    Parameters
    ----------
    n_channels : int
    fs_hz, line_hz : float, Hz
    channels : sequence of str, optional
        Labels; numbers otherwise.
    window_s : float, s
        Signal that a look rests on, at least 2 s.
    rail_uv : float, µV
        End of the converter's range.

    Raises
    ------
    ShapeError, DesignError
        If labels and channels differ in number, the window is too short or the rate too low.
    """

    _next: int | None
    _filled: int

    def __init__(
        self,
        n_channels: int,
        *,
        fs_hz: float,
        line_hz: float = 50.0,
        channels: Sequence[str] | None = None,
        window_s: float = 2.0,
        rail_uv: float = RAIL_UV,
    ) -> None:
        self.n_channels = checked_channels(n_channels)
        self.labels = _labels(channels, self.n_channels)
        if not window_s >= 2.0:
            raise DesignError(f"a look at signal quality rests on 2 s or more, got {window_s:g} s")
        self._filter = SosFilter(_display_band(fs_hz), n_channels=self.n_channels)
        self._fs, self._line, self._rail = float(fs_hz), float(line_hz), float(rail_uv)
        n = round(window_s * fs_hz)
        self._raw, self._wave = np.zeros((2, self.n_channels, n))
        self._lost = np.zeros(n, dtype=bool)
        self.reset()

    def process(self, x_uv: F64, first_sample: int) -> None:
        """Take the next samples.

        Parameters
        ----------
        x_uv : ndarray, shape (n_channels, n_samples), float64, µV
            Unfiltered. NaN and infinity count as lost.
        first_sample : int
            Conversion number of the first column. What is missing before it counts as lost; a jump back starts anew.

        Raises
        ------
        ShapeError
            If the chunk has another number of channels.
        """
        x = checked_signal(x_uv, self.n_channels, FLOAT64)
        if x.shape[1] == 0:
            return
        if self._next is None or first_sample < self._next:
            self.reset()
            self._next = first_sample
        n = self._raw.shape[1]
        missing = min(first_sample - self._next, n)
        bad = np.concatenate([np.ones((self.n_channels, missing), dtype=bool), ~np.isfinite(x)], axis=1)
        x = np.concatenate([np.zeros((self.n_channels, missing)), x], axis=1)
        if bad.any():
            x = _held(x, bad, self._raw[:, -1])
        wave = self._filter.process(x)
        self._raw, self._wave = (
            np.concatenate([a, b], axis=1)[:, -n:] for a, b in ((self._raw, x), (self._wave, wave))
        )
        self._lost = np.concatenate([self._lost, bad.any(axis=0)])[-n:]
        self._filled = min(n, self._filled + x.shape[1])
        self._next = first_sample + x.shape[1] - missing

    def look(self) -> list[ChannelQuality]:
        """Judge the last seconds; empty until they have come."""
        if self._filled < self._raw.shape[1]:
            return []
        lost = float(self._lost.mean())
        return _judge(self._raw, self._wave, lost, self._fs, self._line, self.labels, self._rail)

    def reset(self) -> None:
        """Forget the past."""
        self._filter.reset()
        self._raw[:, -1] = 0.0  # what stands before the first finite sample
        self._next, self._filled = None, 0

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays that `restore` takes, for saving in the middle of a stream."""
        place = np.array([-1 if self._next is None else self._next, self._filled], dtype=np.int64)
        own = {"raw": self._raw.copy(), "wave": self._wave.copy(), "lost": self._lost.copy(), "place": place}
        return own | {f"filter_{name}": value for name, value in self._filter.state().items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved `state`, bit for bit. ShapeError if it is of another shape."""
        if np.shape(state["raw"]) != self._raw.shape:
            raise ShapeError(
                f"the saved signal has shape {np.shape(state['raw'])}, expected {self._raw.shape}"
            )
        self._filter.restore({"z": state["filter_z"], "started": state["filter_started"]})
        self._raw, self._wave, self._lost = (np.array(state[k]) for k in ("raw", "wave", "lost"))
        after, self._filled = (int(v) for v in state["place"])
        self._next = None if after < 0 else after


def _held(x: F64, bad: NDArray[np.bool_], before: F64) -> F64:
    """Each bad value replaced by the last good one of its channel, `before` where there is none."""
    padded = np.concatenate([before[:, None], np.where(bad, 0.0, x)], axis=1)
    good = np.concatenate([np.ones((len(x), 1), dtype=bool), ~bad], axis=1)
    last = np.maximum.accumulate(np.where(good, np.arange(padded.shape[1]), 0), axis=1)
    out: F64 = np.take_along_axis(padded, last, axis=1)[:, 1:]
    return out


def _display_band(fs_hz: float) -> F64:
    if not fs_hz > 80:
        raise DesignError(
            f"quality compares 1–30 Hz with what lies above: {fs_hz:g} Hz is too slow, use above 80"
        )
    return design_bandpass(0.5, min(50.0, 0.45 * fs_hz), fs_hz=fs_hz, order=2)


def _labels(channels: Sequence[str] | None, n: int) -> list[str]:
    labels = [str(k) for k in range(n)] if channels is None else list(channels)
    if len(labels) != n:
        raise ShapeError(f"{len(labels)} labels for {n} channels")
    return labels


def _judge(
    x: F64, wave: F64, lost: float, fs_hz: float, line_hz: float, labels: list[str], rail_uv: float
) -> list[ChannelQuality]:
    """Scores of raw x and its 0.5–50 Hz part, of which the share `lost` is missing."""
    offset = np.median(x, axis=1)
    swing = np.diff(np.quantile(wave, [0.0005, 0.9995], axis=1), axis=0)[0]
    freqs, density = psd(x - offset[:, None], fs_hz=fs_hz, segment_samples=min(int(2 * fs_hz), x.shape[1]))
    line = _line_ratio(freqs, density, line_hz) if line_hz + 4 < fs_hz / 2 else np.ones(len(x))
    snr = 10 * np.log10(_signal_over_noise(freqs, density, fs_hz, line_hz))
    longest = _longest_constant_run(x) / fs_hz
    railed = (np.abs(x) > 0.95 * rail_uv).mean(axis=1)

    qualities = []
    for c, label in enumerate(labels):
        disturbance = _disturbance(freqs, density[c], line_hz, snr[c])
        fast = "muscle" if snr[c] < MUSCLE_DB else "noise"
        deductions = (
            (
                100.0 * (railed[c] > 0.001),
                "railed",
                f"at the end of the converter's range {100 * railed[c]:.1f} % of the time",
            ),
            (
                100.0 * (longest[c] > 0.5),
                "flat",
                f"flat for {longest[c]:.1f} s: electrode off or input shorted",
            ),
            (100.0 * _rise(lost, 0.0, 0.5), "lost", f"{100 * lost:.1f} % of the samples were lost"),
            (
                60.0 * _rise(swing[c], *SWING_UV[disturbance]),
                disturbance,
                f"{TOLD[disturbance]}: {swing[c]:.0f} µV peak to peak",
            ),
            (
                40.0 * _rise(np.log10(max(line[c], 1.0)), 1, 4),
                "mains",
                f"mains {line[c]:.0f} times above its surroundings",
            ),
            (
                40.0
                * _rise(-snr[c], *RISE_DB[fast])
                * (swing[c] > WEAK_UV),  # where there is a signal to cover
                fast,
                f"much {FAST[fast]}: signal only {snr[c]:.1f} dB above it",
            ),
            (
                30.0 * _rise(abs(offset[c]), 100_000, 180_000),
                "offset",
                f"offset {offset[c] / 1000:.0f} mV: electrode drying or loose",
            ),
            (
                60.0 * _rise(-swing[c], -WEAK_UV, -0.5),
                "weak",
                f"hardly any signal: {swing[c]:.1f} µV peak to peak",
            ),
        )
        taken = _once(d for d in deductions if d[0] >= 1.0)
        qualities.append(
            ChannelQuality(
                channel=label,
                score=max(0, round(100 - sum(points for points, _, _ in taken))),
                reasons=tuple(reason for _, _, reason in taken),
                causes=tuple(cause for _, cause, _ in taken),
                offset_uv=float(offset[c]),
                noise_uvpp=float(swing[c]),
                line_ratio=float(line[c]),
                snr_db=float(snr[c]),
            )
        )
    return qualities


def _once(deductions: Iterable[tuple[float, str, str]]) -> list[tuple[float, str, str]]:
    """Deductions, the largest first; two of one cause become one, with the reason of the larger."""
    found: dict[str, tuple[float, str, str]] = {}
    for points, cause, reason in sorted(deductions, key=lambda d: -d[0]):
        before = found.get(cause)
        found[cause] = (points, cause, reason) if before is None else (before[0] + points, cause, before[2])
    return sorted(found.values(), key=lambda d: -d[0])


def _disturbance(freqs: F64, density: F64, line_hz: float, snr_db: float) -> str:
    """What a large signal consists of: where most of its power of 0.5–50 Hz lies, and how its spectrum goes on."""
    mains = np.abs(freqs - line_hz) <= 2.0
    other = (freqs >= 0.5) & (freqs < 50.0) & ~mains
    total = density[other].sum()
    if 0.5 * density[mains].sum() > total:  # half of it is inside: the band's edge lies at 50 Hz
        return "mains"
    if density[other & (freqs < SLOW_HZ)].sum() > 0.5 * total or snr_db > NOISE_DB:
        return "waves"
    return "muscle" if snr_db < MUSCLE_DB else "noise"


def _rise(value: float, low: float, high: float) -> float:
    """0 at `low` and below, 1 at `high` and above, a straight line between."""
    return float(np.clip((value - low) / (high - low), 0.0, 1.0))


def _line_ratio(freqs: F64, density: F64, line_hz: float) -> F64:
    at = band_power(freqs, density, line_hz - 1.0, line_hz + 1.0)
    around = band_power(freqs, density, line_hz - 4.0, line_hz - 2.0) + band_power(
        freqs, density, line_hz + 2.0, line_hz + 4.0
    )
    out: F64 = 2.0 * at / np.maximum(around, 1e-12)
    return out


def _signal_over_noise(freqs: F64, density: F64, fs_hz: float, line_hz: float) -> F64:
    distance = np.abs((freqs + line_hz / 2) % line_hz - line_hz / 2)  # from the nearest multiple of the line
    signal = (freqs >= 1.0) & (freqs < 30.0)
    noise = (freqs >= 30.0) & (freqs < 0.45 * fs_hz) & (distance > 2.0)
    out: F64 = density[:, signal].mean(axis=1) / np.maximum(density[:, noise].mean(axis=1), 1e-12)
    return np.maximum(out, 1e-12)


def _longest_constant_run(x: F64) -> F64:
    """Samples in the longest stretch of equal values of each channel."""
    longest = np.ones(len(x))
    for c, row in enumerate(x):
        edges = np.flatnonzero(np.diff(row) != 0)
        longest[c] = np.diff(np.concatenate([[-1], edges, [len(row) - 1]])).max()
    return longest
