"""The fault drill: every fault is injected once into a running monitor process while the hand moves.

`run_drill` gives one `Drill` per fault: whether the hand was held (or the request refused), how fast, and what was
allowed. Two times are told: from the injection to the decision to hold, and from that decision to the frame that holds
being with the hand. Both are on this machine's monotonic clock, and a machine that is busy with other things is late
by what it is busy with.
"""

from __future__ import annotations

import json
import math
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bci.errors import ArmingRefusedError, NotCertifiedError
from bci.prosthesis.drill_session import PROFILE, WAIT_S, Session, certificate
from bci.prosthesis.event_log import read_log
from bci.prosthesis.events import Entered, Refused
from bci.prosthesis.hand_simulator import HandSimulator
from bci.prosthesis.monitor_state import CAUSES
from bci.prosthesis.stop_lines import send_stop
from bci.prosthesis.user_profile import Profile

__all__ = ["FRAME_MS", "Drill", "drills", "run_drill"]

#: Allowed from injection to the decision to hold: one tick, and this machine's scheduling.
AT_ONCE_MS = 40.0
STALE_MS = 260.0

#: What a hand answers has the time of its frame in the log, so a fault may seem to act before it came.
EARLY_MS = 100.0

#: Four unanswered frames, each perhaps a time-out.
UNANSWERED_MS = 200.0

#: A hand tells of its currents in its own time: the RH56 every half second.
TOLD_MS = 700.0

#: A profile that allows no longer movement, and when it must be over.
SHORT = replace(PROFILE, limits=replace(PROFILE.limits, movement_s=0.5))
LASTS_MS = 540.0

#: Allowed from the decision to the frame that holds.
FRAME_MS = 20.0

#: What the hand's own means may take when the monitor dies: its watchdog, or the last set point being reached.
BY_ITSELF_MS = {"simulated": 300.0, "ability": 300.0, "rh56": 150.0}


@dataclass(frozen=True, slots=True)
class Drill:
    """One fault and what came of it.

    Parameters
    ----------
    fault : str
    passed : bool
        The hand was held in time, or the request refused, and for this very reason.
    ms, limit_ms : float
        From the injection to the decision to hold, and what is allowed; NaN where nothing had to be timed.
    frame_ms : float
        From the decision to the frame that holds; at most `FRAME_MS`. NaN where nobody is left to say.
    outcome : str
        In words.
    """

    fault: str
    passed: bool
    ms: float
    limit_ms: float
    frame_ms: float
    outcome: str


def drills() -> dict[str, Callable[[Path, str], Drill]]:
    """Name of each fault → what injects it, given a path for the log and the name of a hand."""
    found: dict[str, Callable[[Path, str], Drill]] = {"no calibration certificate": _without_certificate}
    for fault in _INJECTED:
        if fault.inject is not _fill_disk or sys.platform == "linux":
            found[fault.name] = _holding(fault)
    for name, (values, reason) in _REFUSED.items():
        found[name] = _refused(name, values, reason)
    for name, (then, limit_ms) in _DECODERS.items():
        found[name] = _dying(name, then, limit_ms)
    found["decoder process killed"] = _dying("decoder process killed", _WAIT, AT_ONCE_MS, kill=True)
    found["hand does not answer"] = _hand_gone
    found["monitor process killed"] = _monitor_killed
    return found


def run_drill(
    *,
    hand: str = "simulated",
    faults: Sequence[str] | None = None,
    progress: Callable[[Drill], None] | None = None,
) -> list[Drill]:
    """Inject each fault once.

    Parameters
    ----------
    hand : str
        "simulated", "ability" or "rh56", as simulated hands on their real bytes.
    faults : sequence of str, optional
        Some of `drills`; by default all.
    progress : callable, optional
        Called with each result as it comes.

    Returns
    -------
    list of Drill

    Raises
    ------
    MonitorError
        The monitor's process cannot be started.
    """
    known = drills()
    results: list[Drill] = []
    with tempfile.TemporaryDirectory(prefix="bci-drill-") as folder:
        for name in known if faults is None else faults:
            results.append(known[name](Path(folder) / f"{len(results):02d}.jsonl", hand))
            if progress is not None:
                progress(results[-1])
    return results


def _held(
    name: str, log: Path, injected_ns: int, doubt: str, limit_ms: float, frames_ms: Sequence[float] = ()
) -> Drill:
    """From the injection to the HOLD that came of it, as the log tells; it must have come for this doubt."""
    zero_ns = 0
    frame_ms = frames_ms[-1] if frames_ms else math.nan
    outcome = "not held"
    for item in read_log(log):
        if isinstance(item, dict):
            zero_ns = item["zero_monotonic_ns"]
        elif isinstance(item, Entered):
            ms = (zero_ns + item.t_us * 1000 - injected_ns) * 1e-6
            if ms < -EARLY_MS:
                outcome = f"held before the fault: {item.cause}" if item.mode == "hold" else "not held"
            elif item.mode == "hold" != item.before:
                passed = CAUSES[doubt] in item.cause and ms <= limit_ms and not frame_ms > FRAME_MS
                return Drill(name, passed, max(ms, 0.0), limit_ms, frame_ms, f"held: {item.cause}")
    return Drill(name, False, math.nan, limit_ms, frame_ms, outcome)


# ---- faults while the decoder lives


def _press_button(s: Session) -> None:
    s.press_button()


def _fill_disk(s: Session) -> None:
    """The monitor cannot lengthen any file: it must hold although, and because, it cannot write that it does."""
    import resource

    if sys.platform == "linux":
        resource.prlimit(s.monitor.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


@dataclass(frozen=True, slots=True)
class _Fault:
    """What is done to a session whose hand moves, and the doubt that must hold it. `goes_on`: the decoder goes on
    meanwhile as if nothing had been."""

    name: str
    inject: Callable[[Session], object]
    doubt: str
    limit_ms: float = AT_ONCE_MS
    goes_on: bool = False
    profile: Profile = PROFILE


_INJECTED = (
    _Fault("STOP by the program", lambda s: s.monitor.stop("drill"), "stop"),
    _Fault("STOP by a button on a line", _press_button, "stop"),
    _Fault("STOP by another program", lambda s: send_stop(s.monitor.stop_address, "drill"), "stop"),
    _Fault("electrode off", lambda s: s.feed(lead_off=True), "lead-off"),
    _Fault("amplifier saturated", lambda s: s.feed(saturated=True), "saturated"),
    _Fault("signal unlike the calibration", lambda s: s.feed(outlier=True), "outlier"),
    _Fault("samples lost over the limit", lambda s: s.feed(lost=1000), "loss"),
    _Fault("signal late by a second", lambda s: s.monitor.signal(s.n + 1, -1_000_000), "stale"),
    _Fault("decoder raised an exception", lambda s: s.monitor.trouble("drill"), "decoder"),
    _Fault("intent with NaN", lambda s: s.ask(probability=math.nan), "nan"),
    _Fault("message that makes no sense", lambda s: s.monitor._send({"do": "drill"}), "decoder"),
    _Fault("signal silent", lambda s: None, "stale", STALE_MS),
    _Fault("disk full", _fill_disk, "log", goes_on=True),
    _Fault("hand draws too much current", lambda s: s.overload(), "hand-limit", TOLD_MS, goes_on=True),
    _Fault("movement too long", lambda s: None, "time-limit", LASTS_MS, goes_on=True, profile=SHORT),
)

#: What is wrong with an intent, and how its refusal begins.
_REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "intent expired": ({"expires_sample": 0}, "expired"),
    "intent number used before": ({"number": 1}, "number not above"),
    "intent for samples nobody has seen": ({"sample_index": 10**9}, "rests on sample"),
    "intent the profile does not know": ({"action": "drill"}, "the profile maps no grip"),
}


def _holding(fault: _Fault) -> Callable[[Path, str], Drill]:
    def drill(log: Path, hand: str) -> Drill:
        with ExitStack() as stack:
            simulator = stack.enter_context(HandSimulator(hand))
            button = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            where = f"socket://127.0.0.1:{button.getsockname()[1]}"
            session = Session(log, simulator.spec, certificate(), (where,), profile=fault.profile)
            line, _ = button.accept()
            stack.callback(line.close)
            session.press_button = lambda: line.send(b"!")
            session.overload = lambda: simulator.overload(5.0)
            with session.monitor:
                session.start_moving()
                session.feed()
                injected_ns = time.monotonic_ns()
                fault.inject(session)
                held = session.until("hold", fresh=fault.goes_on)
                state = session.monitor.state()
                seen_ms = (time.monotonic_ns() - injected_ns) * 1e-6
                frames_ms = session.monitor.close().get("hold_frame_ms", [])
        if fault.inject is not _fill_disk:
            return _held(fault.name, log, injected_ns, fault.doubt, fault.limit_ms, frames_ms)
        # the log ends before it, so what counts is when the host heard of it
        frame_ms = frames_ms[-1] if frames_ms else math.nan
        in_time = seen_ms <= fault.limit_ms + FRAME_MS and frame_ms <= FRAME_MS
        passed = held and CAUSES[fault.doubt] in state.cause and in_time
        outcome = f"held: {state.cause}" if held else "not held"
        return Drill(fault.name, passed, seen_ms, fault.limit_ms, frame_ms, outcome)

    return drill


def _refused(name: str, values: dict[str, Any], reason: str) -> Callable[[Path, str], Drill]:
    def drill(log: Path, hand: str) -> Drill:
        with HandSimulator(hand) as simulator:
            session = Session(log, simulator.spec, certificate())
            with session.monitor:
                session.arm()
                session.ask(expires_sample=0)  # number 1 is used up
                session.feed()
                session.ask(**values)
                accepted = session.monitor.sync().counts.get("intents accepted", 0)
        told = [item.reason for item in read_log(log) if isinstance(item, Refused)]
        if accepted or not told:
            return _untimed(name, False, "not refused")
        return _untimed(name, told[-1].startswith(reason), f"refused: {told[-1]}")

    return drill


def _untimed(name: str, passed: bool, outcome: str) -> Drill:
    return Drill(name, passed, math.nan, math.nan, math.nan, outcome)


def _without_certificate(log: Path, hand: str) -> Drill:
    name = "no calibration certificate"
    with HandSimulator(hand) as simulator:
        session = Session(log, simulator.spec, None)
        with session.monitor:
            session.until("idle")
            try:
                session.monitor.arm()
            except (NotCertifiedError, ArmingRefusedError) as err:
                return _untimed(name, True, f"refused: {err}")
    return _untimed(name, False, "armed")


def _hand_gone(log: Path, hand: str) -> Drill:
    with HandSimulator(hand) as simulator:
        session = Session(log, simulator.spec, certificate())
        with session.monitor:
            session.start_moving()
            injected_ns = time.monotonic_ns()
            simulator.close()
            session.until("hold")
    return _held("hand does not answer", log, injected_ns, "hand-link", UNANSWERED_MS)


def _monitor_killed(log: Path, hand: str) -> Drill:
    """Only the hand itself can stop now: by its watchdog, or because no set point lies far ahead."""
    with HandSimulator(hand) as simulator:
        session = Session(log, simulator.spec, certificate())
        with session.monitor:
            session.start_moving()
            killed_ns = time.monotonic_ns()
            session.monitor.kill()
            time.sleep(0.5)
            state = simulator.state()
    ms, limit_ms = max(0.0, (state["moved_ns"] - killed_ns) * 1e-6), BY_ITSELF_MS[hand]
    stopped = ms <= limit_ms and not state["moving"]
    return Drill("monitor process killed", stopped, ms, limit_ms, math.nan, "the hand stopped by itself")


# ---- a decoder process that fails

_WAIT = "time.sleep(60)"

#: PyDLL calls keep the interpreter lock, as a C extension does that never gives it back.
_HOLD_LOCK = """
import ctypes
if sys.platform == "win32":
    ctypes.PyDLL("kernel32").Sleep(1000)
else:
    ctypes.PyDLL(None).usleep(500000); ctypes.PyDLL(None).usleep(500000)
"""

_HANG = """
until = time.monotonic() + 1.0
while time.monotonic() < until:
    pass
"""

_COLLECT = """
import gc
rings = [[] for _ in range(200_000)]
for ring in rings:
    ring.append(ring)
until = time.monotonic() + 1.0
while time.monotonic() < until:
    gc.collect()
"""

_DECODERS = {
    "decoder hangs in an endless loop": (_HANG, STALE_MS),
    "decoder holds the interpreter lock in C code": (_HOLD_LOCK, STALE_MS),
    # the garbage is made first
    "decoder stands still for its garbage collector": (_COLLECT, STALE_MS + 100.0),
}

_DECODER = """
import json, sys, time
from pathlib import Path
from bci.prosthesis.drill_session import Session, certificate
session = Session(Path(sys.argv[1]), json.loads(sys.argv[2]), certificate())
session.start_moving()
session.feed()
print(time.monotonic_ns(), flush=True)
{then}
print(json.dumps(session.monitor.close()["hold_frame_ms"]), flush=True)
"""


def _dying(name: str, then: str, limit_ms: float, *, kill: bool = False) -> Callable[[Path, str], Drill]:
    def drill(log: Path, hand: str) -> Drill:
        with HandSimulator(hand) as simulator:
            code = [sys.executable, "-c", _DECODER.format(then=then), str(log), json.dumps(simulator.spec)]
            decoder = subprocess.Popen(code, stdout=subprocess.PIPE, text=True)
            assert decoder.stdout is not None
            with decoder.stdout:
                injected_ns = int(decoder.stdout.readline())
                if kill:
                    injected_ns = time.monotonic_ns()
                    decoder.kill()
                told = decoder.stdout.readline()
                decoder.wait()
            frames_ms = json.loads(told) if told else []
            limit = time.monotonic() + WAIT_S
            doubt = "gone" if kill else "stale"
            result = _held(name, log, injected_ns, doubt, limit_ms, frames_ms)
            while math.isnan(result.ms) and time.monotonic() < limit:
                time.sleep(0.02)
                result = _held(name, log, injected_ns, doubt, limit_ms, frames_ms)
        return result

    return drill
