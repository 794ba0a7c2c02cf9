"""The fault drill: every fault is injected once into a running monitor process while the hand moves.

`run_drill` gives one `Drill` per fault: whether the hand was held (or the request refused), how fast, and what was
allowed. Times run from the injection to the frame that holds, both on this machine's monotonic clock.
"""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bci.decisions import Intent
from bci.errors import ArmingRefusedError, NotCertifiedError
from bci.prosthesis.certificate import Certificate
from bci.prosthesis.event_log import read_log
from bci.prosthesis.events import Entered
from bci.prosthesis.hand_simulator import DIALECTS, HandSimulator
from bci.prosthesis.monitor import SafetyMonitor
from bci.prosthesis.user_profile import Limits, Profile

__all__ = ["Drill", "run_drill"]

#: Slow enough that the hand is still moving whenever a fault comes.
PROFILE = Profile(limits=Limits(rate_per_s=0.2))

#: Allowed from injection to the frame that holds: one tick, and this machine's scheduling.
AT_ONCE_MS = 40.0
STALE_MS = 260.0

WAIT_S = 3.0


@dataclass(frozen=True, slots=True)
class Drill:
    """One fault and what came of it.

    `ms` is NaN where nothing had to be timed; `passed` says that the hand was held (or the request refused) within
    `limit_ms`.
    """

    fault: str
    passed: bool
    ms: float
    limit_ms: float
    outcome: str


class _Session:
    """A monitor whose hand moves, fed as a decoder would."""

    def __init__(self, log: Path, hand: dict[str, Any], certificate: Certificate | None) -> None:
        self.monitor = SafetyMonitor(PROFILE, log_path=log, certificate=certificate, hand=hand)
        self.log = log
        self._begun = time.monotonic()
        self.n = 0
        self.number = 0

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


def run_drill(*, hand: str = "simulated", progress: Callable[[Drill], None] | None = None) -> list[Drill]:
    """Inject each fault once.

    Parameters
    ----------
    hand : str
        "simulated", "ability" or "rh56"; the latter two as simulated hands on their real bytes.
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
    results: list[Drill] = []
    with tempfile.TemporaryDirectory(prefix="bci-drill-") as folder:
        for name, drill in _drills():
            log = Path(folder) / f"{len(results):02d}.jsonl"
            result = drill(name, log, hand)
            if result is None:
                continue
            results.append(result)
            if progress is not None:
                progress(result)
    return results


def _drills() -> Iterator[tuple[str, Callable[[str, Path, str], Drill | None]]]:
    yield "no calibration certificate", _without_certificate
    for name, inject, limit_ms in (
        ("STOP", lambda s: s.monitor.stop("drill"), AT_ONCE_MS),
        ("electrode off", lambda s: s.feed(lead_off=True), AT_ONCE_MS),
        ("amplifier saturated", lambda s: s.feed(saturated=True), AT_ONCE_MS),
        ("signal unlike the calibration", lambda s: s.feed(outlier=True), AT_ONCE_MS),
        ("samples lost over the limit", lambda s: s.feed(lost=1000), AT_ONCE_MS),
        ("signal late by a second", lambda s: s.monitor.signal(s.n + 1, -1_000_000), AT_ONCE_MS),
        ("decoder raised an exception", lambda s: s.monitor.trouble("drill"), AT_ONCE_MS),
        ("intent with NaN", lambda s: s.ask(probability=math.nan), AT_ONCE_MS),
        ("message that makes no sense", lambda s: s.monitor._send({"do": "drill"}), AT_ONCE_MS),
        ("signal silent", lambda s: None, STALE_MS),
    ):
        yield name, _holding(inject, limit_ms)
    if sys.platform == "linux":
        yield "disk full", _disk_full
    for name, values in (
        ("intent expired", {"expires_sample": 0}),
        ("intent number used before", {"number": 1}),
        ("intent for samples nobody has seen", {"sample_index": 10**9}),
        ("intent the profile does not know", {"action": "drill"}),
    ):
        yield name, _refused(values)
    yield "decoder holds the interpreter lock in C code", _dying(_HOLD_LOCK, STALE_MS)
    yield "decoder process killed", _dying(_WAIT, AT_ONCE_MS, kill=True)
    yield "hand does not answer", _hand_gone
    yield "monitor process killed", _monitor_killed


@contextmanager
def _hand(name: str) -> Iterator[tuple[dict[str, Any], HandSimulator | None]]:
    if name in DIALECTS:
        with HandSimulator(name) as simulator:
            yield {"name": name, "port": simulator.port}, simulator
    else:
        yield {"name": name}, None


def _certificate() -> Certificate:
    return Certificate(lower=0.6, chance=0.5, runs=2, issued_s=time.time())


def _held(name: str, log: Path, injected_ns: int, limit_ms: float) -> Drill:
    """From the injection to the first HOLD in the log."""
    zero_ns = 0
    for item in read_log(log):
        if isinstance(item, dict):
            zero_ns = item["zero_monotonic_ns"]
        elif isinstance(item, Entered) and item.mode == "hold":
            ms = (zero_ns + item.t_us * 1000 - injected_ns) * 1e-6
            return Drill(name, ms <= limit_ms, ms, limit_ms, f"held: {item.cause}")
    return Drill(name, False, math.nan, limit_ms, "not held")


def _holding(inject: Callable[[_Session], object], limit_ms: float) -> Callable[[str, Path, str], Drill]:
    def drill(name: str, log: Path, hand: str) -> Drill:
        with _hand(hand) as (spec, _):
            session = _Session(log, spec, _certificate())
            with session.monitor:
                session.start_moving()
                session.feed()
                injected_ns = time.monotonic_ns()
                inject(session)
                session.until("hold", fresh=False)
        return _held(name, log, injected_ns, limit_ms)

    return drill


def _refused(values: dict[str, Any]) -> Callable[[str, Path, str], Drill]:
    def drill(name: str, log: Path, hand: str) -> Drill:
        with _hand(hand) as (spec, _):
            session = _Session(log, spec, _certificate())
            with session.monitor:
                session.until("idle")
                session.monitor.arm()
                session.ask(expires_sample=0)  # number 1 is used up
                session.feed()
                session.ask(**values)
                state = session.monitor.sync()
        refused = state.counts.get("intents refused", 0) == 2 and state.mode == "armed"
        return Drill(
            name, refused, math.nan, math.nan, "refused" if refused else f"not refused ({state.mode})"
        )

    return drill


def _without_certificate(name: str, log: Path, hand: str) -> Drill:
    with _hand(hand) as (spec, _):
        session = _Session(log, spec, None)
        with session.monitor:
            session.until("idle")
            try:
                session.monitor.arm()
            except (NotCertifiedError, ArmingRefusedError) as err:
                return Drill(name, True, math.nan, math.nan, str(err))
    return Drill(name, False, math.nan, math.nan, "armed")


def _disk_full(name: str, log: Path, hand: str) -> Drill:
    """The monitor cannot lengthen any file: it must hold although, and because, it cannot write that it does."""
    import resource

    with _hand(hand) as (spec, _):
        session = _Session(log, spec, _certificate())
        with session.monitor:
            session.start_moving()
            injected = time.monotonic()
            if sys.platform == "linux":
                resource.prlimit(session.monitor.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            held = session.until("hold")
            ms = (time.monotonic() - injected) * 1000.0
            cause = session.monitor.state().cause
    return Drill(name, held and ms <= AT_ONCE_MS, ms, AT_ONCE_MS, f"held: {cause}" if held else "not held")


def _hand_gone(name: str, log: Path, hand: str) -> Drill | None:
    with _hand(hand) as (spec, simulator):
        if simulator is None:
            return None
        session = _Session(log, spec, _certificate())
        with session.monitor:
            session.start_moving()
            injected_ns = time.monotonic_ns()
            simulator.close()
            session.until("hold")
    return _held(name, log, injected_ns, 200.0)  # four unanswered frames, each perhaps a time-out


def _monitor_killed(name: str, log: Path, hand: str) -> Drill | None:
    """Only the hand itself can stop now: by its watchdog, or because no set point lies far ahead."""
    with _hand(hand) as (spec, simulator):
        if simulator is None:
            return None
        session = _Session(log, spec, _certificate())
        with session.monitor:
            session.start_moving()
            killed_ns = time.monotonic_ns()
            session.monitor.kill()
            time.sleep(0.5)
            ms = max(0.0, (simulator.state()["moved_ns"] - killed_ns) * 1e-6)
    limit_ms = 150.0 if hand == "rh56" else 300.0
    return Drill(name, ms <= limit_ms, ms, limit_ms, "the hand stopped by itself")


# ---- a decoder process that fails

_WAIT = "time.sleep(60)"

#: PyDLL calls keep the interpreter lock, as a C extension does that never gives it back.
_HOLD_LOCK = """
import ctypes
if sys.platform == "win32":
    ctypes.PyDLL("kernel32").Sleep(1500)
else:
    ctypes.PyDLL(None).usleep(900000); ctypes.PyDLL(None).usleep(600000)
"""

_DECODER = """
import sys, time
from pathlib import Path
from bci.prosthesis import drill
session = drill._Session(Path(sys.argv[1]), {{"name": "simulated"}}, drill._certificate())
session.start_moving()
session.feed()
print(time.monotonic_ns(), flush=True)
{then}
session.monitor.close()
"""


def _dying(then: str, limit_ms: float, *, kill: bool = False) -> Callable[[str, Path, str], Drill]:
    def drill(name: str, log: Path, hand: str) -> Drill:
        code = _DECODER.format(then=then)
        decoder = subprocess.Popen([sys.executable, "-c", code, str(log)], stdout=subprocess.PIPE, text=True)
        assert decoder.stdout is not None
        with decoder.stdout:
            injected_ns = int(decoder.stdout.readline())
            if kill:
                injected_ns = time.monotonic_ns()
                decoder.kill()
            decoder.wait()
            limit = time.monotonic() + WAIT_S
            result = _held(name, log, injected_ns, limit_ms)
            while math.isnan(result.ms) and time.monotonic() < limit:
                time.sleep(0.02)
                result = _held(name, log, injected_ns, limit_ms)
        return result

    return drill
