"""`SafetyMonitor`: the decoder's handle of the monitor's process.

Everything it does is to write small messages into a pipe and to keep the newest view that comes back. When
this process hangs, raises or is killed, the monitor notices by itself; nothing here is needed for the hand to
stop.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from bci.decisions import Intent
from bci.errors import ArmingRefusedError, MonitorError, NotCertifiedError
from bci.language import _, system_reason
from bci.processes import own_group
from bci.prosthesis._pipe import MessageReader, PipeError, pack
from bci.prosthesis.certificate import Certificate
from bci.prosthesis.hand import Closures
from bci.prosthesis.monitor_state import say_cause
from bci.prosthesis.user_profile import Profile

__all__ = ["SafetyMonitor", "Snapshot"]

START_S = 10.0
ANSWER_S = 5.0

#: With a driven clock, how far the host may run ahead of the monitor before it waits, in µs of device time.
AHEAD_US = 2_000_000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How things stood when the monitor last said so; at most about 40 ms old while it runs.

    `mode` is one of disarmed, idle, armed, moving, hold, fault; `cause` says in words why it holds,
    `stopped` that a STOP is among the reasons. Positions
    are closures, 0 open … 1 closed, in the order of `DOFS`.
    """

    mode: str = "disarmed"
    cause: str = ""
    stopped: bool = False
    t_us: int = 0
    sample: int = -1
    grip: str = ""
    position: Closures = (0.0,) * 6
    contact: tuple[bool, ...] = (False,) * 6
    command: Mapping[str, Any] | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


class SafetyMonitor:
    """Start the monitor's process and talk to it. A context manager.

    Parameters
    ----------
    profile : Profile
        The user's limits and grips.
    log_path : path
        Event log to write; must not exist yet.
    certificate : Certificate or None
        Without a valid one the hand cannot be armed.
    hand : str or mapping
        "simulated", or a mapping with "name" and that hand's options (JSON values); see `known_hands.make_hand`.
    stop_buttons : sequence of mapping
        Lines on which every byte is STOP; see `stop_lines.StopButton`. They are read by the monitor's process.
    clock : str
        "monotonic", or "driven" for accelerated replays into a simulated hand: time is then what `signal` and
        `advance` say, in device time.
    model, channels : str, tuple of str
        What is in use, to be compared with the certificate.
    notes : mapping
        Free facts for the log's header; no identity.

    Raises
    ------
    MonitorError
        The process could not be started or refused its settings.
    """

    def __init__(
        self,
        profile: Profile,
        *,
        log_path: str | Path,
        certificate: Certificate | None,
        hand: str | Mapping[str, Any] = "simulated",
        stop_buttons: Sequence[Mapping[str, Any]] = (),
        clock: str = "monotonic",
        model: str = "",
        channels: tuple[str, ...] = (),
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        spec = {"name": hand} if isinstance(hand, str) else dict(hand)
        if clock not in ("monotonic", "driven"):
            raise MonitorError(_("clock = {clock!r}: expected 'monotonic' or 'driven'").format(clock=clock))
        if clock == "driven" and not (spec.get("by_frames") or spec["name"] == "simulated"):
            raise MonitorError(
                _("a real hand ({name}) moves in real time: clock must be 'monotonic'").format(
                    name=spec["name"]
                )
            )
        now_s = time.time()
        if certificate is None:
            refusal, left_s = _("no calibration certificate: calibrate first"), 0.0
        else:
            refusal = certificate.refusal(now_s, model=model, channels=channels)
            left_s = certificate.left_s(now_s)
        self._refusal = refusal
        self.log_path = Path(log_path)
        self._write_lock = threading.Lock()
        self._news = threading.Condition()
        self._view = Snapshot()
        self._answers: dict[int, dict[str, Any]] = {}
        self._first: dict[str, Any] = {}
        self._summary: dict[str, Any] | None = None
        self._ended = False
        self._closed = False
        self._requests = 0
        self._driven = clock == "driven"
        self._device_zero_us: int | None = None
        self._process = _spawn()
        assert self._process.stdin is not None
        self._stdin = self._process.stdin
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._send(
            {
                "do": "open",
                "profile": json.loads(json.dumps(asdict(profile))),
                "refusal": refusal,
                "armable_until_us": int(max(left_s, 0.0) * 1e6) if math.isfinite(left_s) else 0,
                "hand": spec,
                "stop_buttons": [dict(button) for button in stop_buttons],
                "clock": clock,
                "log_path": str(self.log_path),
                "notes": {
                    **(notes or {}),
                    "certificate": None if certificate is None else asdict(certificate),
                },
            }
        )
        self._wait(lambda: bool(self._first), START_S, _("did not start"))
        if self._first["is"] != "ready":
            self.close()
            raise MonitorError(
                _("the safety monitor refused to start: {reason}").format(reason=self._first.get("reason"))
            )
        #: Where `send_stop` reaches this monitor from any process of this machine, "" if it cannot be reached.
        self.stop_address = str(self._first["stop_address"])

    @property
    def pid(self) -> int:
        return self._process.pid

    # ---- what the operator does

    def arm(self) -> None:
        """Let intents move the hand.

        Raises
        ------
        NotCertifiedError
            There is no valid calibration certificate.
        ArmingRefusedError
            Something else is missing; the message says what (a fresh signal, an electrode, the hand's
            answer).
        """
        reason = self._request("arm")["reason"]
        if reason:
            kind = NotCertifiedError if self._refusal or "certificate" in reason else ArmingRefusedError
            raise kind(_("the hand was not armed: {reason}").format(reason=say_cause(reason)))

    def disarm(self) -> None:
        """Hold, and take no intents. This also acknowledges a STOP or a fault."""
        self._request("disarm")

    def stop(self, source: str = "program") -> None:
        """STOP: the hand holds at once, whatever else waits, until it is disarmed and armed again."""
        self._send({"do": "stop", "source": source})

    # ---- what the decoder does

    def signal(
        self,
        sample_index: int,
        t_us: int,
        *,
        lost: int = 0,
        lead_off: bool = False,
        saturated: bool = False,
        outlier: bool = False,
        last_byte_ns: int | None = None,
    ) -> None:
        """Tell that the signal has been taken up to this sample; for every chunk, and before intents that
        rest on it.

        Parameters
        ----------
        sample_index : int
            Conversion number of the newest sample. One that was told before does not count as news.
        t_us : int
            The board's clock at that sample. A signal that falls behind the board by more than 200 ms is
            stale, even if messages keep coming.
        lost : int
            Conversions lost since the call before.
        lead_off, saturated, outlier : bool
            A needed electrode is off, an amplifier clips, the covariance is unlike the calibration's.
        last_byte_ns : int, optional
            time.monotonic_ns of the newest byte, where the time to the next frame to the hand is to be measured.
        """
        message: dict[str, Any] = {"do": "heard", "sample": int(sample_index), "device_us": int(t_us)}
        for name, value in (
            ("lost", int(lost)),
            ("lead_off", lead_off),
            ("saturated", saturated),
            ("outlier", outlier),
        ):
            if value:
                message[name] = int(value)
        if last_byte_ns is not None:
            message["last_byte_ns"] = int(last_byte_ns)
        self._send(message)
        self._keep_pace(int(t_us))

    def intent(self, intent: Intent, *, last_byte_ns: int | None = None) -> None:
        """Hand on an intent. `last_byte_ns` (time.monotonic_ns of the newest byte it rests on) is for
        statistics."""
        message = {"do": "intent", **asdict(intent)}
        if last_byte_ns is not None:
            message["last_byte_ns"] = int(last_byte_ns)
        self._send(message)

    def trouble(self, detail: str) -> None:
        """The decoder failed: hold until the operator disarms."""
        self._send({"do": "trouble", "cause": "decoder", "detail": detail})

    # ---- time

    def advance(self, t_us: int) -> None:
        """With a driven clock: the board's clock has reached `t_us`. Waits while the monitor is far
        behind."""
        if self._driven:
            self._send({"do": "advance", "device_us": int(t_us)})
            self._keep_pace(int(t_us))

    def use_clock(self, clock: str) -> None:
        """Change over between "driven" and "monotonic" within the session; time goes on where it stood."""
        driven = clock == "driven"
        self._request("clock", driven=driven)
        self._driven = driven
        self._device_zero_us = None

    def sync(self) -> Snapshot:
        """Wait until everything said so far has been taken, and give the state after it."""
        self._request("sync")
        return self.state()

    def state(self) -> Snapshot:
        """The newest view; never waits."""
        return self._view

    @property
    def alive(self) -> bool:
        return not self._ended

    # ---- end

    def kill(self) -> None:
        """End the process without a word, as a crash would; for fault drills. The hand's own means stop it."""
        self._process.kill()
        self._process.wait()

    def close(self) -> dict[str, Any]:
        """Disarm, end the process, and return the session in numbers ({} if the process was killed). Twice is
        fine."""
        if not self._closed:
            self._closed = True
            with contextlib.suppress(MonitorError):
                self._send({"do": "close"})
            with contextlib.suppress(MonitorError):
                self._wait(lambda: self._summary is not None, ANSWER_S, _("did not end"))
            with contextlib.suppress(OSError):
                self._stdin.close()
            try:
                self._process.wait(timeout=2.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._reader.join(timeout=1.0)
            assert self._process.stdout is not None
            self._process.stdout.close()
        return self._summary or {}

    def __enter__(self) -> SafetyMonitor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- the pipe

    def _send(self, message: dict[str, Any]) -> None:
        data = pack(message)
        try:
            with self._write_lock:
                self._stdin.write(data)
                self._stdin.flush()
        except (OSError, ValueError) as err:
            raise MonitorError(
                _("the safety monitor is gone ({err}); the hand's own watchdog holds it").format(err=err)
            ) from err

    def _request(self, do: str, **values: Any) -> dict[str, Any]:
        with self._news:
            self._requests += 1
            number = self._requests
        self._send({"do": do, "id": number, **values})
        self._wait(
            lambda: number in self._answers, ANSWER_S, _("did not answer {request!r}").format(request=do)
        )
        return self._answers.pop(number)

    def _keep_pace(self, t_us: int) -> None:
        if not self._driven:
            return
        if self._device_zero_us is None:
            self._device_zero_us = t_us - self._view.t_us
        need = t_us - self._device_zero_us - AHEAD_US
        if self._view.t_us < need:
            self._wait(lambda: self._view.t_us >= need, ANSWER_S, _("does not keep pace"))

    def _wait(self, done: Any, timeout_s: float, what: str) -> None:
        with self._news:
            self._news.wait_for(lambda: done() or self._ended, timeout_s)
            if not done():
                ended = (
                    _("it has ended") if self._ended else _("waited {seconds:g} s").format(seconds=timeout_s)
                )
                raise MonitorError(_("the safety monitor {what} ({ended})").format(what=what, ended=ended))

    def _read(self) -> None:
        reader = MessageReader()
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        with contextlib.suppress(OSError, PipeError, ValueError):
            while data := os.read(fd, 65536):
                for message in reader.feed(data):
                    with self._news:
                        self._took(message)
                        self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _took(self, message: dict[str, Any]) -> None:
        kind = message.pop("is")
        if kind in ("view", "answer"):
            number = message.pop("id", None)
            reason = message.pop("reason", "")
            view = {**message, "position": tuple(message["position"]), "contact": tuple(message["contact"])}
            self._view = Snapshot(**view)
            if number is not None:
                self._answers[number] = {"reason": reason}
        elif kind == "summary":
            self._summary = message
        else:
            self._first = {"is": kind, **message}


def _spawn() -> subprocess.Popen[bytes]:
    """The process in a group of its own: Ctrl-C in the terminal is for us, and the hand is held meanwhile."""
    command = [sys.executable, "-m", "bci.prosthesis.monitor_process"]
    try:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **own_group())
    except OSError as err:
        raise MonitorError(
            _("the safety monitor's process cannot be started: {err}").format(err=system_reason(err))
        ) from err
