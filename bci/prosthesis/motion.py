"""Limits of motion: range, rate, growth of speed, and set points that never run away from the hand.

Pure functions over tuples of six closures; the safety monitor is their only caller. A set point lies at most
`reach` = rate × 100 ms ahead of where the finger really is, so that a hand without a watchdog of its own
stops by itself when the monitor dies. Stopping is never delayed: only the growth of speed is bounded.
"""

from __future__ import annotations

from bci.prosthesis.hand import Closures

__all__ = ["LOOK_AHEAD_S", "advance", "hold_at"]

LOOK_AHEAD_S = 0.1

#: Closer than this to its target a degree of freedom has arrived; well below any hand's resolution.
NEAR = 1e-9


def advance(
    setpoint: Closures,
    speed: Closures,
    target: Closures,
    actual: Closures,
    contact: tuple[bool, ...],
    *,
    rate: float,
    slew: float,
    reach: float,
    dt_s: float,
) -> tuple[Closures, Closures, bool]:
    """One tick towards `target`: new set points, signed speeds, and whether nothing is left to do.

    A degree of freedom is done when its set point is at the target, or when its finger presses on something
    and the set point has run its whole reach ahead (that is what makes a grip firm, and what bounds its
    force).
    """
    points, speeds, done = [], [], True
    for s, v, goal, a, touches in zip(setpoint, speed, target, actual, contact, strict=True):
        left = goal - s
        if -NEAR <= left <= NEAR:
            points.append(goal)
            speeds.append(0.0)
            continue
        toward = v if left > 0.0 else -v  # reversing starts from rest
        pace = min(rate, (toward if toward > 0.0 else 0.0) + slew * dt_s)
        length = pace * dt_s
        if left > 0.0:
            stop = min(goal, max(s, a + reach))
            new = s + length if s + length < stop else stop
        else:
            stop = max(goal, min(s, a - reach))
            new = s - length if s - length > stop else stop
        if new != s or not touches:
            done = False
        points.append(new)
        speeds.append((new - s) / dt_s)
    return tuple(points), tuple(speeds), done  # type: ignore[return-value]


def hold_at(setpoint: Closures, actual: Closures, contact: tuple[bool, ...], *, reach: float) -> Closures:
    """Where to stop: never more closed than commanded before.

    A free finger that was closing stops where it is instead of running out its reach; a finger that presses
    on something keeps its set point, and with it the grip. What the hand reports can move a set point by
    `reach` at most, so a lying hand opens a little and no more.
    """
    points = [
        s if touches else min(s, max(a, s - reach, 0.0))
        for s, a, touches in zip(setpoint, actual, contact, strict=True)
    ]
    return tuple(points)  # type: ignore[return-value]
