"""A chunk in the making: flows of one layout that follow each other without a gap, scaled to µV in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.acquisition._flows import Flow
from bci.acquisition.configuration import Configuration
from bci.chunks import F64, Chunk, Marker

__all__ = ["Pieces"]


class Pieces:
    """Samples from number `first` on. They are views until `chunk` makes the chunk of them."""

    __slots__ = ("_configuration", "_layout", "_samples", "_status", "first", "lost", "n_samples", "restart")

    def __init__(
        self, configuration: Configuration, layout: tuple[object, ...], first: int, lost: int, restart: bool
    ) -> None:
        self._configuration = configuration
        self._layout = layout
        self._samples: list[NDArray[Any]] = []
        self._status: list[NDArray[np.int32]] = []
        self.first = first
        self.lost = lost
        self.restart = restart
        self.n_samples = 0

    def takes(self, data: Flow, configuration: Configuration) -> bool:
        return configuration is self._configuration and data.layout == self._layout

    def add(self, data: Flow, begin: int, end: int) -> None:
        """Append samples `begin` to `end` of a flow."""
        self._samples.append(data.samples[begin:end])
        self._status.append(data.status[begin:end])
        self.n_samples += end - begin

    def chunk(self, markers: tuple[Marker, ...]) -> Chunk:
        counts = self._samples[0] if len(self._samples) == 1 else np.concatenate(self._samples)
        scale = np.array(self._configuration.signal.uv_per_count)
        data_uv: F64 = np.multiply(counts, scale, dtype=np.float64)  # count times scale, rounded once
        words = None
        if self._status[0].shape[1]:
            words = np.concatenate(self._status).T
        return Chunk(data_uv.T, self.first, self.lost, self.restart, markers, words)
