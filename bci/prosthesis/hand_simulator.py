"""Simulated hands that speak their real bytes: ``python -m bci.prosthesis.hand_simulator simulated|ability|rh56``.

A process of its own with one of the dialects of `hand_dialects`, on ``socket://127.0.0.1`` or a raw pseudo-terminal.
It prints its port as one JSON line; each line on stdin is answered with the posture; the end of stdin ends it.
`HandSimulator` is its handle.

Two clocks. "wall" is the machine's, in which watchdogs count. With "frames" each set point is worth 20 ms and nothing
else lets time pass: that is for accelerated sessions, whose monitor ticks by the board's time.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any

from bci.processes import own_group
from bci.prosthesis.hand_dialects import DIALECTS, Dialect
from bci.prosthesis.priority import ask_for_priority

__all__ = ["HandSimulator"]

#: Half a step of the coarsest position register (1/1000 of closing): less than that is no motion.
STILL = 5e-4

#: Steps in which the mechanics are looked at, so that the end of a motion is known as exactly although the machine may
#: let this process run only every now and then.
LOOK_US = 1000

FRAME_US = 20_000


class Simulation:
    """A dialect and the time it lives in. `now_ns` is the machine's monotonic clock."""

    def __init__(self, dialect: Dialect, now_ns: Callable[[], int]) -> None:
        self.dialect = dialect
        self.moved_ns = now_ns()  # when the hand last moved, on the machine's clock
        self._now_ns = now_ns
        self._zero_ns = now_ns()
        self._lived_us = 0
        self._by_frames = False
        self._first_frame = 0
        self._where = dialect.hand.position

    def use_clock(self, clock: str) -> None:
        """Change over between "wall" and "frames"; time goes on where it stood."""
        self.live()
        self._by_frames = clock == "frames"
        self._first_frame = self.dialect.frames - self._lived_us // FRAME_US
        self._zero_ns = self._now_ns() - self._lived_us * 1000

    def receive(self, data: bytes) -> bytes:
        """Wire bytes in, the answer's out."""
        if self._by_frames:
            self._live_until((self.dialect.frames + 1 - self._first_frame) * FRAME_US)
        else:
            self.live()
        return self.dialect.receive(data, self._lived_us)

    def live(self) -> None:
        """The machine's time has gone on."""
        if not self._by_frames:
            self._live_until((self._now_ns() - self._zero_ns) // 1000)

    def _live_until(self, now_us: int) -> None:
        hand = self.dialect.hand
        while self._lived_us < now_us:
            step_us = LOOK_US if hand.moving and not self._by_frames else FRAME_US
            self._lived_us = min(now_us, self._lived_us + step_us)
            self.dialect.idle(self._lived_us)
            where = hand.position
            if max(abs(a - b) for a, b in zip(where, self._where, strict=True)) > STILL:
                self._where = where
                self.moved_ns = self._zero_ns + self._lived_us * 1000

    def state(self) -> dict[str, Any]:
        hand = self.dialect.hand
        return {
            "position": hand.position,
            "moving": hand.moving,
            "moved_ns": self.moved_ns,
            "watchdog_trips": hand.watchdog_trips,
            "frames": self.dialect.frames,
        }


def main(argv: list[str] | None = None) -> int:
    """Serve one hand until stdin ends."""
    arguments = sys.argv[1:] if argv is None else argv
    ask_for_priority()  # a real hand has a processor of its own
    simulation = Simulation(DIALECTS[arguments[0]](), time.monotonic_ns)
    lock = threading.Lock()

    def live() -> None:
        while True:
            with lock:
                simulation.live()
            time.sleep(0.005)

    def serve_wire(read: Callable[[int], bytes], write: Callable[[bytes], object]) -> None:
        with suppress(OSError):
            while data := read(65536):
                with lock:
                    answer = simulation.receive(data)
                if answer:
                    write(answer)

    def serve() -> None:
        if "--pty" in arguments:
            serve_wire(lambda n: os.read(controller, n), lambda data: os.write(controller, data))
            return
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection:
                serve_wire(connection.recv, connection.sendall)

    if "--pty" in arguments:
        import pty
        import tty

        controller, terminal = pty.openpty()
        tty.setraw(terminal)
        port = os.ttyname(terminal)
    else:
        listener = socket.create_server(("127.0.0.1", _port_of(arguments)))
        port = f"socket://127.0.0.1:{listener.getsockname()[1]}"
    for work in (serve, live):
        threading.Thread(target=work, daemon=True).start()
    _tell({"port": port})
    for line in sys.stdin:
        with lock:
            word, _, value = line.strip().partition(" ")
            if word == "clock":
                simulation.use_clock(value)
            elif word == "overload":
                simulation.dialect.hand.overload_a = float(value)
            simulation.live()
            _tell(simulation.state())
    return 0


def _port_of(arguments: list[str]) -> int:
    """The number after --port, or 0: any that is free."""
    return int(arguments[arguments.index("--port") + 1]) if "--port" in arguments else 0


def _tell(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


class HandSimulator:
    """A simulated hand in a process of its own. A context manager; `port` is what its adapter opens.

    Parameters
    ----------
    name : str
        "simulated", "ability" or "rh56".
    terminal : bool
        A raw pseudo-terminal instead of a socket (POSIX).
    port : str
        "socket://127.0.0.1:NUMBER" to take one that a hand had before; by default any that is free.
    clock : str
        "wall" or "frames"; see the module.

    Raises
    ------
    ValueError
        There is no simulator of that name.
    """

    def __init__(self, name: str, *, terminal: bool = False, port: str = "", clock: str = "wall") -> None:
        if name not in DIALECTS:
            raise ValueError(f"no simulated hand is called {name!r}: expected one of {', '.join(DIALECTS)}")
        command = [
            sys.executable,
            "-m",
            "bci.prosthesis.hand_simulator",
            name,
            *(["--pty"] if terminal else []),
            *(["--port", port.rpartition(":")[2]] if port else []),
        ]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **own_group()
        )
        self.name = name
        self._by_frames = clock == "frames"
        self.port: str = self._line()["port"]
        self.use_clock(clock)

    @property
    def spec(self) -> dict[str, Any]:
        """What `SafetyMonitor` takes as its hand."""
        return {"name": self.name, "port": self.port, "by_frames": self._by_frames}

    def state(self) -> dict[str, Any]:
        """Now: position (closures), moving, watchdog_trips, frames taken, and moved_ns, the monotonic time of its last
        motion."""
        return self._ask("?")

    def use_clock(self, clock: str) -> None:
        """Change over between "wall" and "frames"; time goes on where it stood."""
        self._ask(f"clock {clock}")

    def overload(self, current_a: float) -> None:
        """From now on each motor draws so much more."""
        self._ask(f"overload {current_a}")

    def _ask(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._line()

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise OSError("the simulated hand's process has ended")
        message: dict[str, Any] = json.loads(line)
        return message

    def close(self) -> None:
        """End the process. Twice is fine."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> HandSimulator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


if __name__ == "__main__":
    raise SystemExit(main())
