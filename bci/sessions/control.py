"""The online loop: chunks in, predictions, intents, and a safety monitor that is told of every sample.

The loop reads no clock. Chunks are handed on in pieces of at most one decision step, so that in accelerated time the
monitor's clock never jumps further than it would live.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bci.chunks import Chunk, SignalInfo
from bci.decisions import Intent, Prediction
from bci.pipeline import Model, OnlinePipeline
from bci.prosthesis import IntentPolicy, Profile, SafetyMonitor

__all__ = ["ControlLoop", "Decided", "lead_off", "pieces"]

#: Share of the converter's range beyond which a channel counts as saturated; an ADS1299 clips at ±187.5 mV at gain 24.
_NEAR_RAIL = 0.99
_FULL_SCALE_COUNTS = 2**23 - 1


@dataclass(frozen=True, slots=True)
class Decided:
    """One due decision and what the policy made of it."""

    prediction: Prediction
    intent: Intent | None


@dataclass(slots=True)
class ControlLoop:
    """Pipeline, policy and monitor of one session.

    Parameters
    ----------
    model : Model
    info : SignalInfo
        Of the stream.
    monitor : SafetyMonitor
        Armed or not; the loop only tells it what was heard and meant.
    profile : Profile
        How this user steers: control, sequences.
    """

    model: Model
    info: SignalInfo
    monitor: SafetyMonitor
    profile: Profile
    policy: IntentPolicy = field(init=False)
    _pipeline: OnlinePipeline = field(init=False)
    _rails_uv: np.ndarray = field(init=False)
    _needed: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self._pipeline = OnlinePipeline(self.model, self.info)
        self.policy = IntentPolicy.for_profile(self.model.policy, self.profile, fs_hz=self.info.fs_hz)
        scale = self.info.uv_per_count or (np.inf,) * self.info.n_channels
        self._needed = [self.info.channels.index(name) for name in self.model.chain.channels]
        self._rails_uv = _NEAR_RAIL * _FULL_SCALE_COUNTS * np.asarray(scale)[self._needed, None]

    def feed(self, chunk: Chunk, *, last_byte_ns: int | None = None) -> Iterator[Decided]:
        """Take the next chunk; yields each decision once the monitor has been told of it.

        Parameters
        ----------
        chunk : Chunk
        last_byte_ns : int, optional
            When its newest byte came (monotonic ns), where the time from there to the next frame to the hand is to be
            measured.

        Raises
        ------
        Exception
            Whatever the decoder raises, after the monitor was told and holds.
        """
        for piece in pieces(chunk, self.model.timing.step_samples):
            try:
                predictions = self._pipeline.step(piece)
            except Exception as err:
                self.monitor.trouble(f"{type(err).__name__}: {err}")
                raise
            if piece.n_samples:
                newest = predictions[-1] if predictions else None
                self.monitor.signal(
                    piece.end_sample - 1,
                    self._device_us(piece.end_sample - 1),
                    lost=piece.lost_before,
                    lead_off=lead_off(piece, self._needed),
                    saturated=bool((np.abs(piece.data_uv[self._needed]) >= self._rails_uv).any()),
                    outlier=newest is not None and newest.valid and newest.outlier,
                    last_byte_ns=last_byte_ns if newest is not None else None,
                )
            for prediction in predictions:
                intent = self.policy.update(prediction)
                if intent is not None:
                    self.monitor.intent(intent)
                yield Decided(prediction, intent)

    def _device_us(self, sample: int) -> int:
        """The board's clock at a sample, by its nominal rate; the monitor allows for the drift."""
        return int(sample * 1_000_000 / self.info.rate)


def lead_off(chunk: Chunk, rows: Sequence[int]) -> bool:
    """Whether an electrode of these channels was off in any sample; False where the board does not tell."""
    inputs = chunk.lead_off
    return inputs is not None and any(bool(off[list(rows)].any()) for off in inputs)


def pieces(chunk: Chunk, step: int) -> Iterator[Chunk]:
    """Cut a chunk at multiples of `step` samples; what was lost before it stands before the first piece."""
    if chunk.n_samples <= step:
        yield chunk
        return
    start = 0
    while start < chunk.n_samples:
        first = chunk.first_sample + start
        end = min(chunk.n_samples, start + step - first % step)
        status = None if chunk.status is None else chunk.status[:, start:end]
        part = replace(chunk, data_uv=chunk.data_uv[:, start:end], first_sample=first, status=status)
        yield part if start == 0 else replace(part, lost_before=0, restart=False, markers=())
        start = end
