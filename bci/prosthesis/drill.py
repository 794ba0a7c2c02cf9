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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bci.decisions import Intent
from bci.errors import ArmingRefusedError, NotCertifiedError
from bci.prosthesis.certificate import Certificate
from bci.prosthesis.event_log import read_log
from bci.prosthesis.events import Entered
from bci.prosthesis.hand_simulator import HandSimulator
from bci.prosthesis.monitor import SafetyMonitor
from bci.prosthesis.stop_lines import send_stop
from bci.prosthesis.user_profile import Limits, Profile

__all__ = ["FRAME_MS", "Drill", "drills", "run_drill"]

#: Slow enough that the hand is still moving whenever a fault comes.
PROFILE = Profile(limits=Limits(rate_per_s=0.2))

#: Allowed from injection to the decision to hold: one tick, and this machine's scheduling.
AT_ONCE_MS = 40.0
STALE_MS = 260.0

#: Four unanswered frames, each perhaps a time-out.
UNANSWERED_MS = 200.0

#: Allowed from the decision to the frame that holds.
FRAME_MS = 20.0

#: What the hand's own means may take when the monitor dies: its watchdog, or the last set point being reached.
BY_ITSELF_MS = {"simulated": 300.0, "ability": 300.0, "rh56": 150.0}

WAIT_S = 3.0


@dataclass(frozen=True, slots=True)
class Drill:
    """One fault and what came of it.

    Parameters
    ----------
    fault : str
    passed : bool
        The hand was held (or the request refused) in time.
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
    for name, inject, limit_ms in _INJECTED:
        found[name] = _holding(name, inject, limit_ms)
    if sys.platform == "linux":
        found["disk full"] = _holding("disk full", _fill_disk, AT_ONCE_MS)
    for name, values in _REFUSED.items():
        found[name] = _refused(name, values)
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


# ---- a session that can be disturbed


class _Session:
    """A monitor whose hand moves, fed as a decoder would."""

    def __init__(
        self, log: Path, hand: dict[str, Any], certificate: Certificate | None, buttons: tuple[str, ...] = ()
    ) -> None:
        self.monitor = SafetyMonitor(
            PROFILE,
            log_path=log,
            certificate=certificate,
            hand=hand,
            stop_buttons=[{"port": port, "name": "button"} for port in buttons],
        )
        self.log = log
        self._begun = time.monotonic()
        self.n = 0
        self.number = 0
        self.press_button: Callable[[], object] = lambda: None

    def feed(self, **flags: Any) -> None:
        self.n += 1
        self.monitor.signal(self.n, int((time.monotonic() - self._begun) * 1e6), **flags)

    def ask(self, action: str = "close", **values: Any) -> None:
        self.number += 1
        wanted = {
            "number": self.number,
            "action": action,
            "sample_index": self.n,
            "expires_sample": self.n + 100,
        }
        self.monitor.intent(Intent(**{**wanted, "probability": 0.9, **values}))

    def until(self, mode: str, *, fresh: bool = True) -> bool:
        limit = time.monotonic() + WAIT_S
        while self.monitor.state().mode != mode:
            if time.monotonic() > limit:
                return False
            if fresh:
                self.feed()
            time.sleep(0.002)
        return True

    def start_moving(self) -> None:
        self.until("idle")
        self.monitor.arm()
        self.ask()
        self.until("moving")
        for _ in range(20):
            self.feed()
            time.sleep(0.005)


def _certificate() -> Certificate:
    return Certificate(lower=0.6, chance=0.5, runs=2, issued_s=time.time())


def _held(name: str, log: Path, injected_ns: int, limit_ms: float, frames_ms: Sequence[float] = ()) -> Drill:
    """From the injection to the first HOLD in the log."""
    zero_ns = 0
    frame_ms = frames_ms[0] if frames_ms else math.nan
    for item in read_log(log):
        if isinstance(item, dict):
            zero_ns = item["zero_monotonic_ns"]
        elif isinstance(item, Entered) and item.mode == "hold":
            ms = (zero_ns + item.t_us * 1000 - injected_ns) * 1e-6
            in_time = ms <= limit_ms and not frame_ms > FRAME_MS
            return Drill(name, in_time, ms, limit_ms, frame_ms, f"held: {item.cause}")
    return Drill(name, False, math.nan, limit_ms, frame_ms, "not held")


# ---- faults while the decoder lives


def _press_button(s: _Session) -> None:
    s.press_button()


def _fill_disk(s: _Session) -> None:
    """The monitor cannot lengthen any file: it must hold although, and because, it cannot write that it does."""
    import resource

    if sys.platform == "linux":
        resource.prlimit(s.monitor.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


_INJECTED: tuple[tuple[str, Callable[[_Session], object], float], ...] = (
    ("STOP by the program", lambda s: s.monitor.stop("drill"), AT_ONCE_MS),
    ("STOP by a button on a line", _press_button, AT_ONCE_MS),
    ("STOP by another program", lambda s: send_stop(s.monitor.stop_address, "drill"), AT_ONCE_MS),
    ("electrode off", lambda s: s.feed(lead_off=True), AT_ONCE_MS),
    ("amplifier saturated", lambda s: s.feed(saturated=True), AT_ONCE_MS),
    ("signal unlike the calibration", lambda s: s.feed(outlier=True), AT_ONCE_MS),
    ("samples lost over the limit", lambda s: s.feed(lost=1000), AT_ONCE_MS),
    ("signal late by a second", lambda s: s.monitor.signal(s.n + 1, -1_000_000), AT_ONCE_MS),
    ("decoder raised an exception", lambda s: s.monitor.trouble("drill"), AT_ONCE_MS),
    ("intent with NaN", lambda s: s.ask(probability=math.nan), AT_ONCE_MS),
    ("message that makes no sense", lambda s: s.monitor._send({"do": "drill"}), AT_ONCE_MS),
    ("signal silent", lambda s: None, STALE_MS),
)

_REFUSED: dict[str, dict[str, Any]] = {
    "intent expired": {"expires_sample": 0},
    "intent number used before": {"number": 1},
    "intent for samples nobody has seen": {"sample_index": 10**9},
    "intent the profile does not know": {"action": "drill"},
}


def _holding(
    name: str, inject: Callable[[_Session], object], limit_ms: float
) -> Callable[[Path, str], Drill]:
    def drill(log: Path, hand: str) -> Drill:
        with ExitStack() as stack:
            simulator = stack.enter_context(HandSimulator(hand))
            button = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            where = f"socket://127.0.0.1:{button.getsockname()[1]}"
            session = _Session(log, simulator.spec, _certificate(), (where,))
            line, _ = button.accept()
            stack.callback(line.close)
            session.press_button = lambda: line.send(b"!")
            with session.monitor:
                session.start_moving()
                session.feed()
                injected_ns = time.monotonic_ns()
                inject(session)
                held = session.until("hold", fresh=name == "disk full")
                state = session.monitor.state()
                seen_ms = (time.monotonic_ns() - injected_ns) * 1e-6
                frames_ms = session.monitor.close().get("hold_frame_ms", [])
        if name != "disk full":
            return _held(name, log, injected_ns, limit_ms, frames_ms)
        # the log ends before it, so what counts is when the host heard of it
        frame_ms = frames_ms[0] if frames_ms else math.nan
        in_time = held and seen_ms <= limit_ms + FRAME_MS and frame_ms <= FRAME_MS
        return Drill(
            name, in_time, seen_ms, limit_ms, frame_ms, f"held: {state.cause}" if held else "not held"
        )

    return drill


def _refused(name: str, values: dict[str, Any]) -> Callable[[Path, str], Drill]:
    def drill(log: Path, hand: str) -> Drill:
        with HandSimulator(hand) as simulator:
            session = _Session(log, simulator.spec, _certificate())
            with session.monitor:
                session.until("idle")
                session.monitor.arm()
                session.ask(expires_sample=0)  # number 1 is used up
                session.feed()
                session.ask(**values)
                state = session.monitor.sync()
        refused = state.counts.get("intents refused", 0) == 2 and state.mode == "armed"
        return _untimed(name, refused, "refused" if refused else f"not refused ({state.mode})")

    return drill


def _untimed(name: str, passed: bool, outcome: str) -> Drill:
    return Drill(name, passed, math.nan, math.nan, math.nan, outcome)


def _without_certificate(log: Path, hand: str) -> Drill:
    name = "no calibration certificate"
    with HandSimulator(hand) as simulator:
        session = _Session(log, simulator.spec, None)
        with session.monitor:
            session.until("idle")
            try:
                session.monitor.arm()
            except (NotCertifiedError, ArmingRefusedError) as err:
                return _untimed(name, True, f"refused: {err}")
    return _untimed(name, False, "armed")


def _hand_gone(log: Path, hand: str) -> Drill:
    with HandSimulator(hand) as simulator:
        session = _Session(log, simulator.spec, _certificate())
        with session.monitor:
            session.start_moving()
            injected_ns = time.monotonic_ns()
            simulator.close()
            session.until("hold")
    return _held("hand does not answer", log, injected_ns, UNANSWERED_MS)


def _monitor_killed(log: Path, hand: str) -> Drill:
    """Only the hand itself can stop now: by its watchdog, or because no set point lies far ahead."""
    with HandSimulator(hand) as simulator:
        session = _Session(log, simulator.spec, _certificate())
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
    "decoder stands still for its garbage collector": (
        _COLLECT,
        STALE_MS + 100.0,
    ),  # the garbage is made first
}

_DECODER = """
import json, sys, time
from pathlib import Path
from bci.prosthesis import drill
session = drill._Session(Path(sys.argv[1]), json.loads(sys.argv[2]), drill._certificate())
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
            result = _held(name, log, injected_ns, limit_ms, frames_ms)
            while math.isnan(result.ms) and time.monotonic() < limit:
                time.sleep(0.02)
                result = _held(name, log, injected_ns, limit_ms, frames_ms)
        return result

    return drill
