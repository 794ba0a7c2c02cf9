"""What the safety monitor makes of what it is told: doubts about signal and hand, refusals, and what an intent means.

Pure functions of the state and one event; they change nothing. `safety.step` draws the consequence.
"""

from __future__ import annotations

import math

from bci.prosthesis.events import Asked, Heard
from bci.prosthesis.hand import DOFS, Closures, Reply
from bci.prosthesis.monitor_state import ALREADY, DISARM_FIRST, NOT_READY, RUN_OUT, Mode, State
from bci.prosthesis.user_profile import TOGGLE, Limits

__all__ = [
    "arming_refusal",
    "goes_on",
    "grip_of",
    "intent_refusal",
    "plausible",
    "reply_doubts",
    "signal_doubts",
    "target_of",
]

#: Boards run up to 2 % off their nominal rate, so a device time derived from it may slip this much without
#: being late.
DRIFT = 32


# ---- signal and hand ---------------------------------------------------------------------------------------


def signal_doubts(s: State, e: Heard, t: int) -> tuple[frozenset[str], dict[str, int]]:
    """Doubts about a signal that has just been taken further, and what is known of it from here on."""
    settings = s.rules.profile.signal
    advanced = e.sample - s.sample
    lag = t - e.device_us
    base = lag if s.lag_us is None else min(lag, s.lag_us + max(t - s.heard_us, 0) // DRIFT)
    leaked = 0 if s.sample < 0 else int(advanced * 1000 * settings.loss_fraction)
    bucket = max(0, s.lost_milli - leaked) + 1000 * max(e.lost, 0)
    bucket = min(bucket, 2000 * settings.loss_burst_samples + 1000)  # a long loss is forgiven in the end
    now = {
        "stale": lag - base >= settings.stale_s * 1e6,
        "loss": bucket > 1000 * settings.loss_burst_samples,
        "lead-off": e.lead_off,
        "saturated": e.saturated,
        "outlier": e.outlier,
    }
    known = {"sample": e.sample, "heard_us": t, "lag_us": base, "lost_milli": bucket}
    return frozenset(name for name, bad in now.items() if bad), known


def plausible(reply: Reply) -> bool:
    """Six of each, and numbers that a hand could mean; a little outside 0–1 is calibration, more is nonsense."""
    return (
        all(len(six) == len(DOFS) for six in (reply.position, reply.current_a, reply.force_n, reply.contact))
        and all(-0.1 <= x <= 1.1 for x in reply.position)
        and all(map(math.isfinite, reply.current_a))
        and all(map(math.isfinite, reply.force_n))
        and math.isfinite(reply.temperature_c)
    )


def reply_doubts(reply: Reply, limits: Limits) -> frozenset[str]:
    """Doubts that a plausible answer of the hand gives rise to."""
    over = (
        max(map(abs, reply.current_a)) > limits.current_a
        or max(map(abs, reply.force_n)) > limits.force_n
        or reply.temperature_c > limits.temperature_c
    )
    found = {"hand-fault": bool(reply.error), "hand-limit": over}
    return frozenset(name for name, bad in found.items() if bad)


# ---- requests ----------------------------------------------------------------------------------------------


def arming_refusal(s: State) -> str:
    """Why the hand is not armed now, "" if it may be."""
    if s.rules.refusal:
        return s.rules.refusal
    if s.t_us > s.rules.armable_until_us:
        return RUN_OUT
    if s.mode is Mode.IDLE:
        return ""
    if s.mode is Mode.DISARMED:
        return s.cause or NOT_READY
    return ALREADY.get(s.mode) or f"{DISARM_FIRST}{s.cause}"


def intent_refusal(s: State, e: Asked) -> str:
    """Why this intent moves nothing, "" if it may."""
    if s.mode not in (Mode.ARMED, Mode.MOVING):
        return f"not armed ({s.mode.value})"
    if e.action not in s.rules.profile.actions:
        return f"the profile maps no grip to {e.action!r}"
    if e.sample_index > s.sample:
        return f"rests on sample {e.sample_index}, the newest known is {s.sample}"
    if s.sample > e.expires_sample:
        return f"expired at sample {e.expires_sample}, it is {s.sample}"
    return ""


def goes_on(s: State, e: Asked) -> bool:
    """Whether this intent only prolongs the one before it, as in proportional control each does until it is over."""
    kept_up = e.action == s.action and e.sample_index <= s.live_until
    return kept_up and s.rules.profile.control == "proportional"


def grip_of(s: State, e: Asked) -> str:
    """Name of the grip that an intent asks for. A toggle is decided by its first intent, and those that prolong it
    mean the same: else a finger would turn round whenever it crosses the middle."""
    grip = s.rules.profile.actions[e.action]
    if grip != TOGGLE:
        return grip
    if goes_on(s, e):
        return s.grip
    return "open" if _rather_closed(s) else s.rules.profile.closing


def target_of(s: State, grip: str) -> Closures:
    """Where a grip leads from here, within the user's range; what it leaves out stays where it is."""
    profile = s.rules.profile
    return tuple(  # type: ignore[return-value]
        here if wanted is None else min(max(wanted, low), high)
        for wanted, here, low, high in zip(
            profile.grips[grip].target, s.setpoint, profile.limits.lowest, profile.limits.highest, strict=True
        )
    )


def _rather_closed(s: State) -> bool:
    """Whether thumb and fingers have gone half the way from the open hand to the grip that a toggle closes into, or
    there is no way to go."""
    opened, closed = target_of(s, "open"), target_of(s, s.rules.profile.closing)
    gone = whole = 0.0
    for x, low, high in zip(s.setpoint[:5], opened[:5], closed[:5], strict=True):
        gone += (x - low) * (high - low)
        whole += (high - low) ** 2
    return 2.0 * gone >= whole
