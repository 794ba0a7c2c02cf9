"""Band amplitudes of every channel for the page: a spectrum of the last seconds, cut into the bands people know."""

from __future__ import annotations

from typing import Any

import numpy as np

from bci.dsp import StreamingPsd, band_power
from bci.web._wire import Samples

__all__ = ["BAND_EDGES", "BandWatch"]

#: Name and edges of each band, Hz. Mu is alpha over the sensorimotor strip.
BAND_EDGES = {
    "delta": (1.0, 4.0),
    "theta": (4.0, 8.0),
    "alpha": (8.0, 13.0),
    "beta": (13.0, 30.0),
    "gamma": (30.0, 45.0),
}


class BandWatch:
    """RMS of each band over the last two seconds, µV.

    Parameters
    ----------
    n_channels : int
    fs_hz : float, Hz
        Bands above 0.45 times the rate are left out.
    """

    def __init__(self, n_channels: int, *, fs_hz: float) -> None:
        segment = max(8, round(fs_hz))
        self._psd = StreamingPsd(
            n_channels, fs_hz=fs_hz, segment_samples=segment, step_samples=max(1, segment // 2), average=3
        )
        self.bands = {name: edges for name, edges in BAND_EDGES.items() if edges[1] <= 0.45 * fs_hz}

    def process(self, samples: Samples) -> dict[str, Any] | None:
        """Take the next samples; the bands as the page shows them, whenever a spectrum became due."""
        if not self.bands or not np.isfinite(samples.data_uv).all():
            return None
        _, densities = self._psd.process(samples.data_uv, samples.first_sample)
        if len(densities) == 0:
            return None
        rms = [
            np.sqrt(band_power(self._psd.freqs_hz, densities[-1], *edges)).round(2)
            for edges in self.bands.values()
        ]
        return {
            "names": list(self.bands),
            "edges_hz": [list(edges) for edges in self.bands.values()],
            "rms_uv": np.array(rms).T.tolist(),
        }
