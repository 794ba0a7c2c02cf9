"""What is in every recording and comes from no neuron: eyes, muscles, mains, electrodes.

Amplitudes are those of an unremarkable session with wet electrodes on an ADS1299-class amplifier.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bci.acquisition.simulator._head import electrode_directions, lead_field
from bci.acquisition.simulator._pages import knots, wander
from bci.chunks import F64

__all__ = ["MUSCLE_SITES", "Blinks", "Electrodes", "Mains", "MuscleBursts"]

#: Temporal muscles and neck: bursts are drawn for each on its own.
MUSCLE_SITES = ("FT7", "FT8", "Iz")


def _poisson_times(rng: np.random.Generator, mean_gap_s: float, shortest_s: float, end_s: float) -> F64:
    """Onsets with exponential gaps, never closer than `shortest_s`."""
    n = int(2 * end_s / mean_gap_s) + 20
    times = np.cumsum(shortest_s + rng.exponential(mean_gap_s - shortest_s, n))
    return np.asarray(times[times < end_s])


class Blinks:
    """Lid closures: 0.3 s humps, frontal, up to 150 µV at Fp1 and Fp2.

    The eyes lie outside the sphere's brain, so a pair of dipoles at its frontal edge stands for them.
    """

    def __init__(self, montage: Sequence[str], *, end_s: float, rng: np.random.Generator) -> None:
        places = electrode_directions(["Fp1", "Fp2"]) * 0.85
        moments = np.tile([0.0, 1.0, 0.35], (2, 1))
        topography = lead_field(montage, places, moments).sum(axis=1)
        front = lead_field(["Fp1", "Fp2"], places, moments).sum(axis=1).mean()
        self._topography = topography / front
        self._onset_s = _poisson_times(rng, 4.0, 0.7, end_s)
        self._peak_uv = rng.uniform(70.0, 150.0, len(self._onset_s))
        self._length_s = rng.uniform(0.22, 0.4, len(self._onset_s))

    def add_to(self, uv: F64, t_s: F64) -> None:
        for k in np.flatnonzero((self._onset_s > t_s[0] - 0.5) & (self._onset_s < t_s[-1])):
            u = np.clip((t_s - self._onset_s[k]) / self._length_s[k], 0.0, 1.0)
            uv += np.outer(self._topography, self._peak_uv[k] * np.sin(np.pi * u**0.8) ** 2)


class MuscleBursts:
    """Jaw and neck: bursts of broad-band noise that fall off over the scalp around their muscle."""

    def __init__(self, montage: Sequence[str], *, end_s: float, rng: np.random.Generator) -> None:
        cosine = electrode_directions(montage) @ electrode_directions(MUSCLE_SITES).T
        self._topography = np.exp(-np.arccos(np.clip(cosine, -1.0, 1.0)) / 0.45)
        self._bursts = []
        for site in range(len(MUSCLE_SITES)):
            for onset_s in _poisson_times(rng, 25.0, 1.0, end_s):
                self._bursts.append((site, float(onset_s), rng.uniform(0.3, 1.5), rng.lognormal(2.5, 0.5)))

    def add_to(self, uv: F64, t_s: F64, noise: F64) -> None:
        """`noise`: one unit-variance row per site."""
        for site, onset_s, length_s, peak_uv in self._bursts:
            if onset_s < t_s[-1] and t_s[0] < onset_s + length_s:
                u = np.clip((t_s - onset_s) / length_s, 0.0, 1.0)
                uv += np.outer(self._topography[:, site], peak_uv * np.sin(np.pi * u) * noise[site])


class Mains:
    """The grid and its harmonics up to Nyquist, each electrode with its own coupling that drifts as the
    person moves.
    """

    def __init__(
        self, n_channels: int, *, mains_hz: float, rate_hz: int, n_knots: int, rng: np.random.Generator
    ) -> None:
        self._f_hz = mains_hz * (1.0 + rng.normal(0.0, 2e-4))
        n_lines = min(3, int((rate_hz / 2) // mains_hz)) if mains_hz > 0 else 0
        falling = np.array([1.0, 0.15, 0.3])[:n_lines]
        self._coupling_uv = rng.lognormal(0.7, 0.6, (n_channels, 1)) * falling
        self._phase = rng.uniform(-0.3, 0.3, (n_channels, n_lines)) + rng.uniform(0, 2 * np.pi, n_lines)
        self._drift = np.exp(wander(rng, (n_channels, n_knots), 0.3, 0.97))

    def add_to(self, uv: F64, t_s: F64, block: int) -> None:
        drift = knots(self._drift, block, len(t_s))
        for line in range(self._phase.shape[1]):
            # sin(a + b) apart into channel and time keeps this at two sine rows per line
            angle = 2 * np.pi * ((line + 1) * self._f_hz * t_s % 1.0)
            c, s = np.cos(self._phase[:, line]), np.sin(self._phase[:, line])
            wave = np.outer(c, np.sin(angle)) + np.outer(s, np.cos(angle))
            uv += self._coupling_uv[:, line, None] * drift * wave


class Electrodes:
    """Half-cell offsets of tens of millivolts, their slow drift, and the amplifier's own noise."""

    NOISE_UV = (
        0.4  # electrode and input noise together; the ADS1299 alone has 0.14 µV rms at 250 SPS, gain 24
    )

    def __init__(
        self, n_channels: int, *, n_knots: int, wearer: np.random.Generator, rng: np.random.Generator
    ) -> None:
        offset_uv = wearer.normal(0.0, 8_000.0, (n_channels, 1))  # the same in every run
        self._level_uv = offset_uv + np.cumsum(rng.normal(0.0, 6.0, (n_channels, n_knots)), axis=1)

    def add_to(self, uv: F64, block: int, rng: np.random.Generator) -> None:
        uv += knots(self._level_uv, block, uv.shape[1])
        uv += self.NOISE_UV * rng.standard_normal(uv.shape)
