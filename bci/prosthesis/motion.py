"""Limits of motion: range, rate, growth of speed, and set points that never run away from the hand.

Pure functions over tuples of six closures; the safety monitor is their only caller. A set point lies at most
its `reach`, 90 ms of motion, ahead of where the finger really is, so that a hand without a watchdog of its own
stops by itself when the monitor dies. Stopping is never delayed: only the growth of speed is bounded.
"""

from __future__ import annotations

from bci.prosthesis.hand import Closures

__all__ = ["LOOK_AHEAD_S", "advance", "hold_at", "reach_of"]

#: 100 ms are allowed; a servo that lags and a frame that was just sent add up to 60 ms to what a dying monitor leaves
#: behind, and with 90 ms a hand without a watchdog still stands within 150 ms of it.
LOOK_AHEAD_S = 0.09

#: Closer than this to its target a degree of freedom has arrived; well below any hand's resolution.
NEAR = 1e-9


def reach_of(rate: Closures) -> Closures:
    """How far a set point may lie ahead of each finger at these rates (closures per second)."""
    return tuple(r * LOOK_AHEAD_S for r in rate)  # type: ignore[return-value]


def advance(
    setpoint: Closures,
    speed: Closures,
    target: Closures,
    actual: Closures,
    contact: tuple[bool, ...],
    *,
    rate: Closures,
    slew: Closures,
    reach: Closures,
    dt_s: float,
) -> tuple[Closures, Closures, bool]:
    """One tick towards `target`: new set points, signed speeds, and whether nothing is left to do.

    `rate` (per s), `slew` (per s²) and `reach` hold for each degree of freedom. One is done when its set point is
    at the target, or when its finger presses on something and the set point has run its whole reach ahead (that
    is what makes a grip firm, and what bounds its force).
    """
    points, speeds, done = [], [], True
    for s, v, goal, a, touches, fastest, growth, ahead in zip(
        setpoint, speed, target, actual, contact, rate, slew, reach, strict=True
    ):
        left = goal - s
        if -NEAR <= left <= NEAR:
            points.append(goal)
            speeds.append(0.0)
            continue
        toward = v if left > 0.0 else -v  # reversing starts from rest
        pace = min(fastest, (toward if toward > 0.0 else 0.0) + growth * dt_s)
        length = pace * dt_s
        if left > 0.0:
            stop = min(goal, max(s, a + ahead))
            new = s + length if s + length < stop else stop
        else:
            stop = max(goal, min(s, a - ahead))
            new = s - length if s - length > stop else stop
        if new != s or not touches:
            done = False
        points.append(new)
        speeds.append((new - s) / dt_s)
    return tuple(points), tuple(speeds), done  # type: ignore[return-value]


def hold_at(setpoint: Closures, actual: Closures, contact: tuple[bool, ...], *, reach: Closures) -> Closures:
    """Where to stop: never more closed than commanded before.

    A free finger that was closing stops where it is instead of running out its reach; a finger that presses
    on something keeps its set point, and with it the grip. What the hand reports can move a set point by
    its reach at most, so a lying hand opens a little and no more.
    """
    points = [
        s if touches else min(s, max(a, s - ahead, 0.0))
        for s, a, touches, ahead in zip(setpoint, actual, contact, reach, strict=True)
    ]
    return tuple(points)  # type: ignore[return-value]
