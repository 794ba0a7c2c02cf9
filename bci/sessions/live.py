"""The part of an accelerated session that runs at real-time pace."""

from __future__ import annotations

from dataclasses import dataclass

from bci.acquisition.simulator import SimulatedBoard
from bci.prosthesis import HandSimulator, SafetyMonitor

__all__ = ["LivePart", "plan_live"]

#: The live part begins this long before a cue for a movement, so that people see the hand at rest first.
LEAD_S = 2.0

#: What the board had sent ahead is taken in this time; latencies count from then.
SETTLE_S = 0.5


@dataclass(slots=True)
class LivePart:
    """From sample `first` of a run the board keeps real time; after `seconds` the world runs fast again.

    `hand` is the simulated hand, where it lives in a process of its own.
    """

    board: SimulatedBoard
    monitor: SafetyMonitor
    hand: HandSimulator | None
    first: int
    seconds: float
    began_ns: int | None = None
    ended: bool = False

    def advance(self, run_sample: int, now_ns: int) -> None:
        """Call with each chunk, before it is decided on: changes clocks over when the time has come."""
        if self.began_ns is None and run_sample >= self.first:
            self.began_ns = now_ns
            self.monitor.use_clock("monotonic")
            if self.hand is not None:
                self.hand.use_clock("wall")
        elif self.running and now_ns - (self.began_ns or 0) >= (SETTLE_S + self.seconds) * 1e9:
            self.end()

    def end(self) -> None:
        """Back to accelerated time, also where the run was over sooner than thought. Twice is fine."""
        if self.began_ns is not None and not self.ended:
            self.ended = True
            self.monitor.use_clock("driven")
            if self.hand is not None:
                self.hand.use_clock("frames")
            self.board.speed(0)

    @property
    def running(self) -> bool:
        return self.began_ns is not None and not self.ended

    def settled(self, now_ns: int) -> bool:
        """Latencies measured now are those of real time."""
        return self.running and now_ns - (self.began_ns or 0) >= SETTLE_S * 1e9


def plan_live(
    board: SimulatedBoard,
    monitor: SafetyMonitor,
    hand: HandSimulator | None,
    *,
    run: int,
    movements: tuple[str, ...],
    seconds: float,
) -> LivePart | None:
    """Have the board keep real time around the last cue for a movement that leaves room for `seconds`."""
    codes = [code for code, name in board.labels.items() if name in movements]
    cues, length = board.schedule(run)
    rate = float(board.rate)
    room = round((SETTLE_S + seconds) * rate)
    starts = [cue - round(LEAD_S * rate) for cue, code in cues if code in codes]
    fitting = [start for start in starts if start >= 0 and start + room <= length]
    if seconds <= 0 or not fitting:
        return None
    board.speed(1.0, run=run, at_sample=fitting[-1])
    return LivePart(board, monitor, hand, fitting[-1], seconds)
