"""What whoever watches a demonstration is shown of a control run."""

from __future__ import annotations

import time

from bci.chunks import Chunk
from bci.dsp import QualityWatch
from bci.prosthesis import SafetyMonitor
from bci.sessions.control import ControlLoop
from bci.sessions.observer import ControlView, Observer
from bci.sessions.run_trace import RunTrace
from bci.sessions.staging import Stage

__all__ = ["RunView"]

EVERY_NS = 100_000_000


class RunView:
    """Looks at one run for the observer, ten times a second at most."""

    def __init__(
        self,
        observer: Observer,
        trace: RunTrace,
        loop: ControlLoop,
        monitor: SafetyMonitor,
        *,
        stage: Stage,
        quality: QualityWatch,
        fs_hz: float,
    ) -> None:
        self._observer, self._trace, self._loop, self._monitor = observer, trace, loop, monitor
        self._stage, self._quality, self._fs_hz = stage, quality, fs_hz
        self._shown_ns = 0
        self._cue, self._cue_end = "", 0

    def show(self, chunk: Chunk, *, lost: int, live: bool) -> None:
        """Call with each chunk, after it was decided on."""
        self._quality.process(chunk.data_uv, chunk.first_sample)
        for marker in chunk.markers:
            if marker.label in self._stage.classes:
                self._cue = marker.label
                self._cue_end = marker.sample_index + round(self._stage.task_s * self._fs_hz)
        now_ns = time.monotonic_ns()
        if now_ns - self._shown_ns < EVERY_NS:
            return
        self._shown_ns = now_ns
        trace = self._trace
        newest = trace.predictions[-1] if trace.predictions else None
        shown = {}
        if newest is not None and newest.valid:
            shown = dict(zip(newest.classes, newest.probabilities, strict=True))
        self._observer.control(
            ControlView(
                run=trace.name,
                device_s=trace.seconds(chunk.end_sample),
                cue=self._cue if chunk.end_sample < self._cue_end else "",
                quality={look.channel: look for look in self._quality.look()},
                probabilities=shown,
                evidence=self._loop.policy.evidence or {},
                threshold=self._loop.model.policy.threshold,
                hand=self._monitor.state(),
                lost=lost,
                live=live,
            )
        )
