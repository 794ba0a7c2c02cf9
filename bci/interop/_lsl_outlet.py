"""A source's signal, markers, probabilities and commands for everybody on the network, over Lab Streaming Layer.

Rules
-----
- Time stamps are when a sample was taken, not when it was sent: the source's sample clock, on LSL's clock. A source
  without one has its arrivals fitted: a sample cannot come before it was taken.
- Lost samples are not sent; the stamps jump by their time, and whoever listens sees how many there were.
- Nothing here waits for a listener.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.acquisition import SampleClock
from bci.acquisition._clock_fit import TunnelFit
from bci.chunks import F64, Chunk, Marker, SignalInfo
from bci.decisions import Intent, Prediction
from bci.interop._lsl import Outlet, StreamFacts, clock_offset_s

__all__ = ["LslOutlets"]


class LslOutlets:
    """Streams NAME (signal), NAME-markers and, as they are used, NAME-filtered, -probabilities and -commands.

    Parameters
    ----------
    info : SignalInfo
    name : str
    clock : SampleClock, optional
        Of the source: `BoardSource.clock`.
    filtering : mapping of str to str, optional
        What the filtered stream went through, for its metadata: opens that stream.
    classes : sequence of str, optional
        Of the decoder: opens the streams of probabilities and commands.
    """

    def __init__(
        self,
        info: SignalInfo,
        *,
        name: str = "bci",
        clock: SampleClock | None = None,
        filtering: Mapping[str, str] | None = None,
        classes: Sequence[str] = (),
    ) -> None:
        self.info, self.name = info, name
        self._stamps = _Stamps(info.fs_hz, clock)
        n = info.n_channels
        manufacturer, _, model = info.device.partition(" ")
        about: dict[str, Any] = {
            "manufacturer": manufacturer or "unknown",
            "model": model or info.device,
            "reference": info.reference,
            "exact_stamps": True,
        }
        electrodes = {"channels": info.channels, "units": ("microvolts",) * n, "types": ("EEG",) * n}

        def facts(kind: str, lsl_type: str, n_channels: int, rate_hz: float, **more: Any) -> StreamFacts:
            full = f"{name}-{kind}" if kind else name
            source_id = f"bci:{info.device}:{full}"
            return StreamFacts(full, lsl_type, n_channels, rate_hz, source_id=source_id, **about, **more)

        words = {"channels": ("text",), "units": ("",), "types": ("Marker",), "words": True}
        self._signal = Outlet(facts("", "EEG", n, info.fs_hz, **electrodes))
        self._markers = Outlet(facts("markers", "Markers", 1, 0.0, **words))
        self._filtered = (
            Outlet(facts("filtered", "EEG", n, info.fs_hz, **electrodes), filtering=filtering)
            if filtering
            else None
        )
        self._probabilities = self._commands = None
        self.classes = tuple(classes)
        if classes:
            k = len(classes) + 1
            shown = {
                "channels": (*classes, "valid"),
                "units": ("",) * k,
                "types": ("Probability",) * (k - 1) + ("Flag",),
            }
            self._probabilities = Outlet(facts("probabilities", "Probabilities", k, 0.0, **shown))
            self._commands = Outlet(facts("commands", "Markers", 1, 0.0, **words))

    @property
    def heard(self) -> bool:
        """Somebody takes the signal."""
        return self._signal.heard

    def wait_for_listener(self, timeout_s: float) -> bool:
        """Whether somebody takes the signal, waiting for it; for those who must not miss the first samples."""
        return self._signal.wait_for_listener(timeout_s)

    def signal(self, chunk: Chunk, *, arrived_ns: int = 0) -> None:
        """Raw samples and their markers. `arrived_ns`: monotonic, when the chunk came; needed without a clock."""
        if chunk.n_samples:
            if chunk.restart:
                self._stamps.restart()
            if arrived_ns:
                self._stamps.arrived(chunk.end_sample - 1, arrived_ns)
            self._signal.push(_rows(chunk.data_uv), self._stamps.fixed(chunk.first_sample, chunk.n_samples))
        self.markers(chunk.markers)

    def filtered(self, data_uv: F64, first_sample: int) -> None:
        """The same samples behind filters."""
        if self._filtered is not None and data_uv.shape[1]:
            numbers = np.arange(first_sample, first_sample + data_uv.shape[1])
            self._filtered.push(_rows(data_uv), self._stamps.of(numbers))

    def markers(self, markers: Iterable[Marker]) -> None:
        """Cues and triggers by their names."""
        for marker in markers:
            self._markers.push(
                [marker.label or str(marker.code)], self._stamps.of(np.array([marker.sample_index]))
            )

    def prediction(self, prediction: Prediction) -> None:
        """Probabilities at the last sample they rest on; NaN and valid 0 where no decision may rest on the window."""
        if self._probabilities is None:
            return
        values = prediction.probabilities if prediction.valid else (np.nan,) * len(prediction.classes)
        row = np.array([[*values, float(prediction.valid)]], dtype=np.float32)
        self._probabilities.push(row, self._stamps.of(np.array([prediction.sample_index])))

    def command(self, command: Intent | str, *, sample_index: int | None = None) -> None:
        """What the hand is asked to do: an `Intent` as JSON, or words of a session."""
        if self._commands is None:
            return
        if isinstance(command, Intent):
            sample_index = command.sample_index
            command = json.dumps(asdict(command), ensure_ascii=False)
        at = self._stamps.newest if sample_index is None else sample_index
        self._commands.push([command], self._stamps.of(np.array([at])))


def _rows(data_uv: F64) -> NDArray[np.float32]:
    return np.ascontiguousarray(data_uv.T, dtype=np.float32)


class _Stamps:
    """LSL time of samples; those of the signal always rise."""

    def __init__(self, fs_hz: float, clock: SampleClock | None) -> None:
        self._fs_hz, self._clock = fs_hz, clock
        self._offset_s = clock_offset_s()
        self.restart()
        self.newest = 0

    def restart(self) -> None:
        self._fit = TunnelFit()
        self._last_s = -np.inf

    def arrived(self, sample: int, at_ns: int) -> None:
        if self._clock is None:
            self._fit.not_after(sample / self._fs_hz * 1e6, at_ns)

    def of(self, samples: NDArray[np.int64]) -> NDArray[np.float64]:
        if self._clock is not None and self._clock.known:
            ns = self._clock.time_of(samples).astype(np.float64)
        else:
            ns = np.array([self._fit.host_ns(sample / self._fs_hz * 1e6) for sample in samples.tolist()])
        return ns * 1e-9 + self._offset_s

    def fixed(self, first: int, n: int) -> NDArray[np.float64]:
        """Of the next samples of the signal."""
        stamps = self.of(np.arange(first, first + n))
        behind = self._last_s + 0.75 / self._fs_hz - stamps[0]
        if behind > 0:  # the fit was corrected by more than the step to these
            stamps = stamps + behind
        self._last_s = float(stamps[-1])
        self.newest = first + n - 1
        return stamps
