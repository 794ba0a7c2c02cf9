"""The safety monitor's process: ``python -m bci.prosthesis.monitor_process``, messages on stdin and stdout.

It turns messages, the hand's answers and a 20 ms tick into events for `Runner`. It loads neither numpy nor
numba, runs in a process group of its own, and a decoder that hangs, holds the interpreter lock or dies cannot
delay it: silence is stale after 200 ms, a closed pipe is a doubt at once, and then it holds (and opens, if
the profile says so) by itself before it ends.

Two clocks. "monotonic" is the machine's. "driven" is for accelerated replays into a simulated hand: time
passes only as messages say, in the same ticks of 20 ms, through the same step; a message "clock" changes over
to real time within a session, and a decoder that dies changes it too.
"""

from __future__ import annotations

import contextlib
import gc
import os
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from bci.prosthesis._pipe import MessageReader, pack
from bci.prosthesis.event_log import EventLog
from bci.prosthesis.events import Arm, Asked, Disarm, Heard, Rebased, Stop, Tick, Trouble
from bci.prosthesis.known_hands import make_hand
from bci.prosthesis.monitor_state import Mode, Rules
from bci.prosthesis.priority import ask_for_priority
from bci.prosthesis.profile_file import from_table
from bci.prosthesis.runner import Runner
from bci.prosthesis.safety import TICK_US
from bci.prosthesis.stop_lines import StopButton, StopListener
from bci.prosthesis.user_profile import Profile

__all__ = ["main"]

#: How often the host hears how things stand.
SNAPSHOT_NS = 40_000_000


class _Outbox(threading.Thread):
    """Writes to the host, so that a host that does not read never stops the monitor; only the newest view
    waits."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self._answers: deque[dict[str, Any]] = deque(maxlen=1000)
        self._view: dict[str, Any] | None = None
        self._wake = threading.Event()
        self._closing = False

    def run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            closing = self._closing
            with contextlib.suppress(OSError, ValueError):
                if (view := self._view) is not None:
                    self._view = None
                    self._stream.write(pack(view))
                while self._answers:
                    self._stream.write(pack(self._answers.popleft()))
                self._stream.flush()
            if closing:
                return

    def view(self, message: dict[str, Any]) -> None:
        self._view = message
        self._wake.set()

    def answer(self, message: dict[str, Any]) -> None:
        self._answers.append(message)
        self._wake.set()

    def finish(self) -> None:
        self._closing = True
        self._wake.set()
        self.join(timeout=1.0)


class _Inbox(threading.Thread):
    """Reads from the host. STOP overtakes everything that waits; the end of the stream comes last, as
    None."""

    def __init__(self, fd: int) -> None:
        super().__init__(daemon=True)
        self.messages: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self.stops: deque[dict[str, Any]] = deque()
        self._fd = fd

    def run(self) -> None:
        reader = MessageReader()
        try:
            while data := os.read(self._fd, 65536):
                for message in reader.feed(data):
                    if message.get("do") == "stop":
                        self.stops.append(message)
                    self.messages.put(message)
        except Exception as err:  # nobody would hear the host any more, so whatever it was, the host is gone
            self.messages.put({"do": "trouble", "cause": "decoder", "detail": str(err)})
        self.messages.put(None)

    def press(self, source: str) -> None:
        """STOP from a line of this process's own."""
        self.stops.append({"source": source})
        self.messages.put({"do": "stop"})


class Monitor:
    """The loop. `now_ns` is the machine's monotonic clock, injected; time 0 of the session is at `zero_ns`."""

    def __init__(
        self,
        runner: Runner,
        inbox: _Inbox,
        outbox: _Outbox,
        *,
        driven: bool,
        zero_ns: int,
        now_ns: Callable[[], int],
    ) -> None:
        self._runner = runner
        self._inbox = inbox
        self._outbox = outbox
        self._driven = driven
        runner.due_ns = self._due_ns
        runner.wait_for_answers(driven=driven)
        self._now_ns = now_ns
        self._clock_us = 0  # driven: the time; monotonic: the time at `_zero_ns`
        self._zero_ns = zero_ns
        self._device_zero_us: int | None = None
        self._tick_us = TICK_US  # when the next tick is due
        self._viewed_ns = 0
        self._viewed_mode = runner.state.mode
        self._late_us = 0
        self._gone = False
        self._deadline_us = 0
        self._done = False

    def run(self) -> dict[str, Any]:
        """Until the host closes, or has gone and the hand has been held and opened; the session in
        numbers."""
        while not self._done:
            message, timed_out = self._next()
            if timed_out:
                self._tick_now()
            elif message is None:
                self._host_gone()
            else:
                self._take(message)
            news = self._runner.state.mode is not self._viewed_mode
            if news or self._now_ns() - self._viewed_ns >= SNAPSHOT_NS:
                self._show()
        summary = self._runner.summary()
        summary["worst_tick_late_ms"] = self._late_us / 1000
        return summary

    def _next(self) -> tuple[dict[str, Any] | None, bool]:
        messages = self._inbox.messages
        try:
            if self._driven:
                if messages.empty():  # the host may be waiting for us to get here
                    self._runner.idle()
                    self._show()
                return messages.get(), False
            left_us = self._tick_us - self._us()
            if left_us <= 0:
                return None, True
            if messages.empty():
                self._runner.idle()
            if self._gone:
                time.sleep(left_us * 1e-6)
                return None, True
            return messages.get(timeout=left_us * 1e-6), False
        except queue.Empty:
            return None, True

    # ---- time

    def _us(self) -> int:
        if self._driven:
            return self._clock_us
        return self._clock_us + (self._now_ns() - self._zero_ns) // 1000

    def _due_ns(self, t_us: int) -> int | None:
        """A moment of the session on the machine's clock; None while time is driven."""
        return None if self._driven else self._zero_ns + (t_us - self._clock_us) * 1000

    def _tick_now(self) -> None:
        now = self._us()
        late = now - self._tick_us
        if late < TICK_US:
            t = self._tick_us  # on the grid, so that equal ticks look equal in the log
        else:
            t = self._tick_us = now  # missed ones are not made up for: frames are decided for now
        self._late_us = max(self._late_us, late)
        self._stops()
        self._runner.feed(Tick(t))
        self._tick_us += TICK_US
        state = self._runner.state
        if self._gone and (
            t >= self._deadline_us or (state.mode is Mode.FAULT and not max(state.setpoint[:5]))
        ):
            self._done = True

    def _advance(self, device_us: int) -> None:
        """Driven time passes up to the board's clock, tick by tick."""
        if self._device_zero_us is None:
            self._device_zero_us = device_us - self._clock_us
        until = device_us - self._device_zero_us
        runner, stops = self._runner, self._inbox.stops
        while self._tick_us <= until:
            self._clock_us = self._tick_us
            if stops:
                self._stops()
            runner.feed(Tick(self._tick_us))
            self._tick_us += TICK_US
        self._clock_us = max(self._clock_us, until)

    def _use_clock(self, driven: bool) -> None:
        self._clock_us = self._us()
        self._zero_ns = self._now_ns()
        self._device_zero_us = None
        self._driven = driven
        self._runner.wait_for_answers(driven=driven)
        self._tick_us = self._clock_us + TICK_US
        self._runner.feed(Rebased(self._clock_us))

    # ---- messages

    def _stops(self) -> None:
        while self._inbox.stops:
            self._runner.feed(Stop(self._us(), str(self._inbox.stops.popleft().get("source", ""))))

    def _take(self, message: dict[str, Any]) -> None:
        self._stops()
        try:
            self._obey(message)
        except (KeyError, TypeError, ValueError, OverflowError) as err:
            detail = f"message {message.get('do')!r}: {err!r}"
            self._runner.feed(Trouble(self._us(), "decoder", detail))

    def _obey(self, message: dict[str, Any]) -> None:
        runner, do = self._runner, message["do"]
        if do == "heard":
            device_us = int(message["device_us"])
            if self._driven:
                self._advance(device_us)
            flags = {name: bool(message.get(name)) for name in ("lead_off", "saturated", "outlier")}
            sample, lost = int(message["sample"]), int(message.get("lost", 0))
            runner.heard(
                Heard(self._us(), sample, device_us, lost, **flags), _whole(message.get("last_byte_ns"))
            )
        elif do == "advance":
            if self._driven:
                self._advance(int(message["device_us"]))
        elif do == "intent":
            runner.heard(
                Asked(
                    self._us(),
                    int(message["number"]),
                    str(message["action"]),
                    int(message["sample_index"]),
                    int(message["expires_sample"]),
                    float(message["probability"]),
                    tuple(map(float, message.get("probabilities", ()))),
                ),
                _whole(message.get("last_byte_ns")),
            )
        elif do == "arm":
            runner.feed(Arm(self._us()))
            state = runner.state
            reason = "" if state.mode in (Mode.ARMED, Mode.MOVING) else self._refusal()
            self._answer(message, reason=reason)
        elif do == "disarm":
            runner.feed(Disarm(self._us()))
            self._answer(message)
        elif do == "clock":
            self._use_clock(bool(message["driven"]))
            self._answer(message)
        elif do == "trouble":
            runner.feed(Trouble(self._us(), str(message["cause"]), str(message.get("detail", ""))))
        elif do == "sync":
            self._answer(message)
        elif do == "close":
            runner.feed(Disarm(self._us()))
            runner.feed(Tick(self._us()))  # whatever moved is told to hold before its link is closed
            self._done = True
        elif do != "stop":  # STOP was taken before everything else
            raise ValueError("unknown request")

    def _refusal(self) -> str:
        refused = self._runner.last_refusal
        return "not armed" if refused is None else refused.reason

    def _answer(self, message: dict[str, Any], **values: Any) -> None:
        self._outbox.answer({"is": "answer", "id": message.get("id"), **self._runner.snapshot(), **values})

    def _show(self) -> None:
        self._viewed_ns = self._now_ns()
        self._viewed_mode = self._runner.state.mode
        self._outbox.view({"is": "view", **self._runner.snapshot()})

    def _host_gone(self) -> None:
        """The pipe is closed: hold now, go on in real time, and end when there is nothing left to do for the
        hand."""
        self._stops()
        if self._driven:
            self._use_clock(driven=False)
        now = self._us()
        self._runner.feed(Trouble(now, "gone"))
        self._gone = True
        opening = self._runner.state.rules.profile.opening
        opening_s = 1.0 / opening.rate_per_s + 1.0 if opening.allowed else 60.0
        self._deadline_us = now + int((opening.delay_s + opening_s) * 1e6)


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def main() -> int:
    """Entry point of the process. The first message opens the session, the last one closes it."""
    out = sys.stdout.buffer
    inbox, outbox = _Inbox(sys.stdin.fileno()), _Outbox(out)
    sys.stdout = sys.stderr  # nothing may print between the messages
    inbox.start()
    outbox.start()
    first = inbox.messages.get()
    if first is None:
        return 2
    try:
        profile = from_table(Profile, first["profile"])
        rules = Rules(profile, str(first["refusal"]), int(first["armable_until_us"]))
        buttons = [StopButton(spec, inbox.press) for spec in first["stop_buttons"]]
        hand = make_hand(first["hand"])
        header = {
            key: first[key] for key in ("profile", "refusal", "armable_until_us", "hand", "clock", "notes")
        }
        zero_ns = time.monotonic_ns()
        header["zero_monotonic_ns"] = zero_ns  # lets other clocks of this machine be compared with the log
        log = EventLog(Path(first["log_path"]), header)
    except Exception as err:
        outbox.answer({"is": "failed", "kind": type(err).__name__, "reason": str(err)})
        outbox.finish()
        return 2
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.winmm.timeBeginPeriod(1)  # else waits end on a grid of 15.6 ms
    ask_for_priority()
    gc.freeze()
    gc.disable()  # states are tuples of numbers without cycles, and no collection may delay a frame
    runner = Runner(rules, hand, log)
    lines: list[StopButton | StopListener] = list(buttons)
    stop_address = ""
    with contextlib.suppress(OSError):  # a machine that allows no sockets has its other ways to STOP
        lines.append(listener := StopListener(inbox.press))
        stop_address = listener.address
    for line in lines:
        line.start()
    outbox.answer({"is": "ready", "stop_address": stop_address})
    driven = first["clock"] == "driven"
    monitor = Monitor(runner, inbox, outbox, driven=driven, zero_ns=zero_ns, now_ns=time.monotonic_ns)
    try:
        summary = monitor.run()
    finally:
        runner.close()
        for line in lines:
            line.close()
    summary["log_complete"] = runner.summary()["log_complete"]
    outbox.answer({"is": "summary", **summary})
    outbox.finish()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
