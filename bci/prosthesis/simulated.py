"""`SimulatedHand`: five fingers and the thumb's rotation, with inertia, contact, current and a watchdog.

Every degree of freedom is a position servo, critically damped, whose speed the motor bounds. A finger that
meets the object stops there, and its current grows with the distance between set point and finger, as in a
hand without force control. Time comes with the commands; nothing here reads a clock, so a hand fed the same
frames does the same.
"""

from __future__ import annotations

import math

from bci.prosthesis.hand import DOFS, Closures, Command, Reply

__all__ = ["SimulatedHand"]

#: Natural frequency of the servos in rad/s: a set point moving at constant speed is followed 2/ω = 50 ms
#: late.
OMEGA = 60.0
#: What the motors can do, in closures per second.
TOP_SPEED = 2.5
#: Watchdog: without a frame for so long the motors stop by themselves.
WATCHDOG_US = 300_000
IDLE_A, DRIVE_A, STALL_A_PER_CLOSURE, FORCE_N_PER_A = 0.02, 0.15, 8.0, 12.0
#: Closer than this to rest a finger is at rest, exactly.
REST = 1e-7


class SimulatedHand:
    """A hand to practise on; satisfies `Hand` and lives in the monitor's process.

    Parameters
    ----------
    object_at : tuple of 6 float
        Closure at which each degree of freedom meets an object; 2 means there is none.
    position : tuple of 6 float
        Where it starts.
    """

    name = "simulated"

    def __init__(self, *, object_at: Closures = (2.0,) * 6, position: Closures = (0.0,) * 6) -> None:
        self._object_at = object_at
        self._x = list(position)
        self._v = [0.0] * len(DOFS)
        self._goal = list(position)
        self._contact = [False] * len(DOFS)
        self._t_us: int | None = None
        self._fed_us = 0
        self._decay = (0, 1.0)
        self.watchdog_trips = 0
        #: What each motor draws on top of everything, in A; for fault drills.
        self.overload_a = 0.0

    @property
    def position(self) -> Closures:
        return tuple(self._x)  # type: ignore[return-value]

    @property
    def moving(self) -> bool:
        return any(self._v)

    def exchange(self, command: Command) -> Reply | None:
        """Live until the command's time with the set points of the one before, then take the new ones."""
        self.advance(command.t_us)
        self._fed_us = command.t_us
        if command.kind != "look":
            self._goal = list(command.setpoint)
        return self.reply()

    def advance(self, t_us: int) -> None:
        """Let time pass; after 300 ms without a frame the motors stop where the fingers are."""
        if self._t_us is None:
            self._t_us = self._fed_us = t_us
        limit = self._fed_us + WATCHDOG_US
        if t_us > limit:
            self._run(max(limit - self._t_us, 0))
            if any(self._v) or self._goal != self._x:
                self.watchdog_trips += 1
            self._goal = list(self._x)
            self._v = [0.0] * len(DOFS)
        else:
            self._run(t_us - self._t_us)
        self._t_us = max(t_us, self._t_us)

    def _run(self, dt_us: int) -> None:
        if dt_us <= 0:
            return
        if self._decay[0] != dt_us:
            self._decay = (dt_us, math.exp(-OMEGA * dt_us * 1e-6))
        decay, dt = self._decay[1], dt_us * 1e-6
        for i, goal in enumerate(self._goal):
            x, v = self._x[i], self._v[i]
            if x == goal and v == 0.0:
                self._contact[i] = False
                continue
            e = x - goal  # exact solution of e'' + 2ωe' + ω²e = 0 over dt
            slope = v + OMEGA * e
            e, v = (e + slope * dt) * decay, (v - OMEGA * slope * dt) * decay
            new = goal + e
            if abs(new - x) > TOP_SPEED * dt:
                v = math.copysign(TOP_SPEED, new - x)
                new = x + v * dt
            touches = new >= self._object_at[i] and goal >= self._object_at[i]
            if touches:
                new, v = min(self._object_at[i], max(x, new)), 0.0
            elif abs(new - goal) < REST and abs(v) < REST:
                new, v = goal, 0.0
            self._contact[i] = touches
            self._x[i], self._v[i] = new, v

    def reply(self) -> Reply:
        current = [
            IDLE_A
            + self.overload_a
            + (STALL_A_PER_CLOSURE * abs(goal - x) if touches else DRIVE_A * min(1.0, abs(v)))
            for goal, x, v, touches in zip(self._goal, self._x, self._v, self._contact, strict=True)
        ]
        force = [
            FORCE_N_PER_A * (a - IDLE_A - self.overload_a) if c else 0.0
            for a, c in zip(current, self._contact, strict=True)
        ]
        return Reply(
            position=self.position,
            current_a=tuple(current),  # type: ignore[arg-type]
            force_n=tuple(force),  # type: ignore[arg-type]
            contact=tuple(self._contact),  # type: ignore[arg-type]
            temperature_c=30.0,
        )

    def close(self) -> None:
        """Nothing to release."""
