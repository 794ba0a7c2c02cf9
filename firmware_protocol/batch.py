"""Decoded wire as columns: what the bulk and the live decoder hand out.

`Batch` holds the events of one step in stream order, a row each (`EVENTS` names the columns). Samples of all DATA
frames lie one behind the other in `values`, so a run of frames of one shape is one array without a copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_protocol import _fields
from firmware_protocol._kernels_tables import EVENTS, KINDS
from firmware_protocol.cobs import cobs_decode
from firmware_protocol.codec import fault
from firmware_protocol.codes import FaultKind, Type
from firmware_protocol.errors import FrameError
from firmware_protocol.frames import Data, Fault, Frame, unpack

__all__ = ["EVENTS", "KINDS", "Batch", "Run"]

_FIELD = KINDS.index(FaultKind.FIELD)


@dataclass(frozen=True, slots=True)
class Run:
    """DATA frames of one shape, format and configuration with no other DATA between them.

    Parameters
    ----------
    events : ndarray, shape (n_frames,), dtype EVENTS
        Their rows: `sample_index`, `t_us`, `flags`, `config_id`, `link_seq`, `offset` …
    samples : ndarray, shape (n_samples, n_channels), int32
        ADC counts. float32, in counts too, where the frames hold that.
    status_words : ndarray, shape (n_samples, n_converters), int32
        24-bit status words; no columns where the frames have none.
    """

    events: NDArray[np.void]
    samples: NDArray[np.int32] | NDArray[np.float32]
    status_words: NDArray[np.int32]

    def sample_indices(self) -> NDArray[np.uint32]:
        """Low 32 bits of each sample's conversion number, shape (n_samples,)."""
        n = self.events["n_samples"].astype(np.int64)
        first = np.repeat(self.events["sample_index"], n)
        within = np.arange(len(first)) - np.repeat(np.cumsum(n) - n, n)
        return first + within.astype(np.uint32)

    def lead_off(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Electrodes off by the status words, positive and negative input: two of shape (n_samples, n_channels).

        ADS1299 datasheet SBAS499, 9.4.4.2: 1100, LOFF_STATP, LOFF_STATN, GPIO; bit 0 is the first channel.
        """
        n_samples, n_converters = self.status_words.shape
        per_converter = self.samples.shape[1] // max(n_converters, 1)
        bits = np.arange(per_converter if n_converters else 0)
        positive, negative = (
            (self.status_words[:, :, None] >> (low + bits) & 1).astype(bool).reshape(n_samples, -1)
            for low in (12, 4)
        )
        return positive, negative


@dataclass(frozen=True, slots=True)
class Batch:
    """Events of one step, in stream order.

    Parameters
    ----------
    events : ndarray, shape (n_events,), dtype EVENTS
        A row each. Column `kind`: 0 a frame, else `KINDS[kind]` is the kind of fault. Type of a packet:
        `head & 15`.
    values : ndarray, int32
        Samples of all DATA frames; 32 bits each, also of float32 samples.
    status : ndarray, int32
        Their status words.
    raw : ndarray, uint8
        Wire bytes of all events that are not DATA frames, delimiters left out.
    n_data, n_runs : int
        How many of the events are DATA frames, and how often these change in shape, plus one: the runs.
    end : int
        Stream position up to which these events account for the bytes.
    discarded : int
        Bytes of this step that were skipped behind an undelimited stretch.
    """

    events: NDArray[np.void]
    values: NDArray[np.int32]
    status: NDArray[np.int32]
    raw: NDArray[np.uint8]
    n_data: int
    n_runs: int
    end: int
    discarded: int

    @property
    def data(self) -> NDArray[np.void]:
        """Rows of the DATA frames."""
        if self.n_data == len(self.events):
            return self.events
        # As opaque rows: numpy picks rows of a structured array field by field, fifteen times slower.
        return self.events.view(f"V{EVENTS.itemsize}")[is_data(self.events)].view(EVENTS)

    @property
    def samples(self) -> NDArray[np.int32] | NDArray[np.float32]:
        """Samples of all DATA frames, shape (n_samples, n_channels).

        Raises
        ------
        FrameError
            If the frames differ in number of channels, format or configuration: `runs` gives them apart.
        """
        if self.n_runs > 1:
            raise FrameError(f"{self.n_runs} runs of DATA that differ in shape or configuration: take runs()")
        return next((run.samples for run in self.runs()), np.empty((0, 0), np.int32))

    def runs(self) -> Iterator[Run]:
        """DATA frames in stream order, cut where channels, format or configuration change; samples not copied."""
        data = self.data
        cuts = [0, len(data)] if self.n_data else []
        if self.n_runs > 1:
            unlike = np.zeros(len(data) - 1, bool)
            for name in ("n_channels", "format", "config_id"):
                unlike |= data[name][1:] != data[name][:-1]
            cuts[1:1] = (np.flatnonzero(unlike) + 1).tolist()
        for begin, end in pairwise(cuts):
            yield self._run(data[begin:end], data["first"][end] if end < len(data) else len(self.values))

    def _run(self, events: NDArray[np.void], last: int) -> Run:
        first, first_status = int(events["first"][0]), int(events["first_status"][0])
        n_channels = int(events["n_channels"][0])
        n_samples = (int(last) - first) // n_channels
        form = _fields.FORMATS[events["format"][0]]
        assert form is not None
        n_converters = n_channels // form.channels_per_converter if form.has_status else 0
        samples: Any = self.values[first : first + n_samples * n_channels].reshape(n_samples, n_channels)
        if form.sample_type == _fields.FLOAT32:
            samples = samples.view(np.float32)
        words = self.status[first_status : first_status + n_samples * n_converters]
        return Run(events, samples, words.reshape(n_samples, n_converters))

    def check_texts(self) -> None:
        """Mark INFO and LOG frames that hold an illegal value behind their header: faults of kind `field`."""
        events = self.events
        type_ = events["head"] & 15
        for k in np.flatnonzero((events["kind"] == 0) & ((type_ == Type.INFO) | (type_ == Type.LOG))):
            try:
                self._frame(events[k])
            except FrameError:
                events["kind"][k] = _FIELD

    def unpack(self) -> list[Frame | Fault]:
        """All events as objects: the list that `Decoder.feed` gives."""
        return [self._object(event) for event in self.events]

    def faults(self) -> list[Fault]:
        """The faults as objects."""
        return [self._fault(event) for event in self.events[self.events["kind"] != 0]]

    def other_frames(self) -> list[Frame]:
        """The frames that are not DATA, as objects."""
        events = self.events
        return [self._frame(event) for event in events[(events["kind"] == 0) & ~is_data(events)]]

    def _object(self, event: np.void) -> Frame | Fault:
        if event["kind"]:
            return self._fault(event)
        return self._data_frame(event) if event["head"] & 15 == Type.DATA else self._frame(event)

    def _wire(self, event: np.void) -> bytes:
        return self.raw[event["first"] :][: event["length"]].tobytes()

    def _fault(self, event: np.void) -> Fault:
        kind = KINDS[event["kind"]]
        assert kind is not None
        return fault(kind, self._wire(event), int(event["offset"]))

    def _frame(self, event: np.void) -> Frame:
        packet = cobs_decode(self._wire(event))
        assert packet is not None
        return unpack(packet, int(event["offset"]))

    def _data_frame(self, event: np.void) -> Data:
        last = event["first"] + int(event["n_channels"]) * int(event["n_samples"])
        run = self._run(event.reshape(1), last)
        form = _fields.FORMATS[event["format"]]
        assert form is not None
        offset, _, flags, link_seq, index, t_us, n_channels, n_samples, _, config_id, *_ = event.item()
        return Data(
            link_seq,
            flags,
            index,
            t_us,
            n_channels,
            n_samples,
            config_id,
            _payload(run),
            form.sample_type,
            form.has_status,
            form.channels_per_converter,
            offset,
        )


def is_data(events: NDArray[np.void]) -> NDArray[np.bool_]:
    """Which rows are DATA frames."""
    found: NDArray[np.bool_] = (events["kind"] == 0) & (events["head"] & 15 == Type.DATA)
    return found


def _payload(run: Run) -> bytes:
    """Samples and status words as they stand in DATA packets."""
    n_samples, n_converters = run.status_words.shape
    is_float = run.samples.dtype == np.float32
    samples = run.samples.astype("<f4").view(np.uint8) if is_float else _int24(run.samples)
    if not n_converters:
        return samples.tobytes()
    words = _int24(run.status_words).reshape(n_samples, n_converters, -1)
    return np.concatenate((words, samples.reshape(n_samples, n_converters, -1)), axis=2).tobytes()


def _int24(x: NDArray[Any]) -> NDArray[np.uint8]:
    """Lower three bytes of int32, big-endian."""
    return x.astype(">i4").view(np.uint8).reshape(-1, 4)[:, 1:]
