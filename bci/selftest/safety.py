"""Checks of the safety group: a fault drill, hands whose host dies, and random steps of the safety monitor.

Each fault is one check, injected into a running monitor process whose hand moves. The short form takes the hand with
the fastest wire, the nightly one all three.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import median

from bci.selftest._check import Check, Result

__all__ = ["CHECKS"]

HANDS = ("simulated", "ability", "rh56")

SHORT_STEPS, ALL_STEPS = 100_000, 10_000_000
SHORT_KILLS, ALL_KILLS = 2, 200


def _fault(name: str) -> Callable[[bool], Result]:
    def run(nightly: bool) -> Result:
        from bci.prosthesis import run_drill

        told, figures, passed = [], {}, True
        for hand in HANDS if nightly else ("ability",):
            if why := _missing(hand):
                told.append(f"{hand}: {why}")
                continue
            (drill,) = run_drill(hand=hand, faults=[name])
            words = drill.outcome
            if not math.isnan(drill.ms):
                words += f", {drill.ms:.1f} ms after the fault"
                figures[f"{hand}_ms"] = round(drill.ms, 3)
            if not math.isnan(drill.frame_ms):
                words += f", stop frame {drill.frame_ms:.1f} ms later"
                figures[f"{hand}_frame_ms"] = round(drill.frame_ms, 3)
            passed = passed and drill.passed
            told.append(f"{hand}: {words}" if nightly else words)
        return Result(passed, "; ".join(told), figures)

    return run


def _killed(hand: str) -> Callable[[bool], Result]:
    def run(nightly: bool) -> Result:
        from bci.prosthesis import run_drill

        if why := _missing(hand):
            return Result(False, "", skipped=why)
        drills = run_drill(
            hand=hand, faults=["monitor process killed"] * (ALL_KILLS if nightly else SHORT_KILLS)
        )
        times = [drill.ms for drill in drills]
        late = sum(not drill.passed for drill in drills)
        measured = (
            f"{len(times)} times: median {median(times):.0f} ms, longest {max(times):.0f} ms, {late} too late"
        )
        figures = {"times": len(times), "median_ms": median(times), "longest_ms": max(times), "late": late}
        return Result(late == 0, measured, figures)

    return run


def _random_steps(nightly: bool) -> Result:
    from bci.selftest._safety_steps import walk

    n = ALL_STEPS if nightly else SHORT_STEPS
    done = walk(n, seed=1)
    broken = ", ".join(f"{rule} {times} times" for rule, times in done.broken.items()) or "no rule broken"
    shares = ", ".join(f"{100 * done.modes[mode] / n:.1f} % {mode}" for mode in done.modes)
    return Result(
        not done.broken and len(done.modes) == 6,
        f"{n:,} steps, {broken} ({shares})",
        {"steps": n, "violations": done.broken.total()},
    )


def _missing(hand: str) -> str:
    """Why this hand cannot be had here, "" if it can."""
    if hand == "rh56":
        try:
            import pymodbus  # noqa: F401
        except ImportError:
            return "pymodbus is not installed: pip install 'bci-hand[rh56]'"
    return ""


def _checks() -> list[Check]:
    from bci.prosthesis.drill import (
        AT_ONCE_MS,
        BY_ITSELF_MS,
        FRAME_MS,
        LASTS_MS,
        STALE_MS,
        TOLD_MS,
        drills,
    )

    silent = ("signal silent", "decoder hangs", "decoder holds", "decoder stands")
    slow = dict.fromkeys(silent, STALE_MS) | {"hand draws": TOLD_MS, "movement too long": LASTS_MS}
    checks = []
    for name in drills():
        if name == "monitor process killed":
            continue  # the checks below repeat it
        if name.startswith(("no calibration", "intent ")) and "NaN" not in name:
            target = "refused"
        else:
            limit = next((ms for start, ms in slow.items() if name.startswith(start)), AT_ONCE_MS)
            target = f"held within {limit:.0f} ms, stop frame within {FRAME_MS:.0f} ms of the decision"
            if name == "hand does not answer":
                target = "held after four unanswered frames"
        slug = "fault-" + "-".join(name.lower().split())
        checks.append(Check(slug, "safety", name, target, _fault(name)))
    for hand in HANDS:
        what = f"host killed with -9 while moving, {hand} hand"
        target = f"no motion later than {BY_ITSELF_MS[hand]:.0f} ms after it, each time"
        checks.append(Check(f"host-killed-{hand}", "safety", what, target, _killed(hand)))
    what = "random and hostile steps of the safety monitor"
    checks.append(Check("random-steps", "safety", what, "0 violations, every mode visited", _random_steps))
    return checks


CHECKS: list[Check] = _checks()
