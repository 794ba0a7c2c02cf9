"""Whether a trial may count: samples lost, an electrode off, or artefacts while it ran."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bci.chunks import Chunk, SignalInfo
from bci.dsp import ArtefactDetector, Mark, Marks
from bci.pipeline import MOTOR_CHANNELS

__all__ = ["TrialWatch"]

#: Of any channel that the decoder takes, these spoil a trial; large waves and muscle only over motor cortex.
ANYWHERE = frozenset({"saturation", "flat", "step"})
#: Share of a trial that may hold muscle before it is spoilt: a swallow is no reason to ask again.
MUSCLE_SHARE = 0.25
KEPT_S = 60.0


class TrialWatch:
    """Follows the raw signal and judges trials once they are over.

    Parameters
    ----------
    info : SignalInfo
    left_out : sequence of str
        Electrodes that the decoder will not take; they spoil nothing.
    """

    def __init__(self, info: SignalInfo, *, left_out: Sequence[str] = ()) -> None:
        self.info = info
        self._rows = [i for i, name in enumerate(info.channels) if name not in left_out]
        motor = [i for i in self._rows if info.channels[i] in MOTOR_CHANNELS]
        self._motor = set(motor or self._rows)
        self._detector = ArtefactDetector(info.n_channels, fs_hz=info.fs_hz, channels=info.channels)
        self._marks = Marks()

    def process(self, chunk: Chunk) -> None:
        """Take the next chunk, raw."""
        if chunk.lost_before:
            self._marks.add(
                [
                    Mark(
                        chunk.first_sample - chunk.lost_before,
                        chunk.first_sample,
                        "lost",
                        "samples were lost",
                    )
                ]
            )
        if chunk.n_samples == 0:
            return
        if (inputs := chunk.lead_off) is not None:
            off: NDArray[np.bool_] = np.asarray(inputs[0] | inputs[1]).max(axis=1)
            names = [self.info.channels[row] for row in self._rows if off[row]]
            if names:
                self._marks.add(
                    [Mark(chunk.first_sample, chunk.end_sample, "lead-off", f"{' '.join(names)} off")]
                )
        self._marks.add(self._detector.process(chunk.data_uv, chunk.first_sample))
        self._marks.forget_before(chunk.end_sample - round(KEPT_S * self.info.fs_hz))

    def verdict(self, first: int, end: int) -> str:
        """Why samples `[first, end)` may not count: "lost", "lead-off", "artefact (KIND CHANNEL)"; "" if they may."""
        muscle = 0
        for mark in self._marks.touching(first, end):
            if mark.kind in ("lost", "lead-off"):
                return mark.kind
            concerned = set(mark.channels) & set(self._rows) if mark.channels else set(self._rows)
            if mark.kind in ANYWHERE and concerned:
                return f"artefact ({mark.kind} {self._names(concerned)})"
            over_motor = concerned & self._motor
            if mark.kind == "amplitude" and over_motor:
                return f"artefact (amplitude {self._names(over_motor)})"
            if mark.kind == "muscle" and over_motor:
                muscle += min(mark.end_sample, end) - max(mark.first_sample, first)
        return "artefact (muscle)" if muscle > MUSCLE_SHARE * (end - first) else ""

    def _names(self, rows: set[int]) -> str:
        return " ".join(self.info.channels[row] for row in sorted(rows)[:3])
