"""Simulated hands that speak their real bytes: ``python -m bci.prosthesis.hand_simulator ability|rh56``.

A process of its own with the mechanics of `SimulatedHand` behind the dialect of a real one, on ``socket://127.0.0.1``
or a raw pseudo-terminal. It prints its port as one JSON line; each line on stdin asks for the posture and is answered
with one; the end of stdin ends it. `HandSimulator` is its handle.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol

from bci.prosthesis import ability, rh56
from bci.prosthesis.hand import Command
from bci.prosthesis.simulated import SimulatedHand

__all__ = ["AbilityDialect", "HandSimulator", "Rh56Dialect"]


#: Half a step of the coarsest position register (1/1000 of closing): less than that is no motion.
STILL = 5e-4


class Dialect(Protocol):
    """Bytes of one hand, without port and clock."""

    hand: SimulatedHand

    def receive(self, data: bytes, now_us: int) -> bytes:
        """Take wire bytes, give the answer's."""
        ...

    def idle(self, now_us: int) -> None:
        """Time passes."""
        ...


class AbilityDialect:
    """The Ability Hand's side of the wire: positions with replies of mode 2, and its 300 ms watchdog."""

    def __init__(self, hand: SimulatedHand | None = None) -> None:
        self.hand = hand or SimulatedHand()
        self._unstuffer = ability.Unstuffer()
        self._frames = 0
        self._before: tuple[int, tuple[float, ...]] = (0, self.hand.position)

    def receive(self, data: bytes, now_us: int) -> bytes:
        answers = b""
        for packet in self._unstuffer.feed(data):
            if len(packet) == 14 and packet[0] == ability.ADDRESS and packet[1] == 0x10 + ability.REPLY_MODE:
                self._frames += 1
                goals = [0.0] * 6
                for i, (dof, counts) in enumerate(
                    zip(ability.ORDER, struct.unpack("<6h", packet[2:]), strict=True)
                ):
                    closure = counts / ability.COUNTS_PER_DEGREE / ability.RANGE_DEG
                    goals[dof] = min(1.0, max(0.0, -closure if i == 5 else closure))
                self.hand.exchange(Command(self._frames, now_us, "move", tuple(goals)))  # type: ignore[arg-type]
                answers += self._answer(now_us)
        return answers

    def _answer(self, now_us: int) -> bytes:
        reply = self.hand.reply()
        then_us, then = self._before
        self._before = (now_us, reply.position)
        dt_s = max(now_us - then_us, 1) * 1e-6
        pairs, speeds = [], []
        for i, dof in enumerate(ability.ORDER):
            degrees = reply.position[dof] * ability.RANGE_DEG * (-1 if i == 5 else 1)
            pairs += [degrees * ability.COUNTS_PER_DEGREE, reply.current_a[dof] * ability.COUNTS_PER_A]
            speed = (reply.position[dof] - then[dof]) * ability.RANGE_DEG / dt_s
            speeds.append(speed * ability.REPLY_COUNTS_PER_DEGREE_S)
        counts = [max(-32767, min(32767, round(x))) for x in (*pairs, *speeds)]
        body = struct.pack("<B18hB", 0x10 | ability.REPLY_MODE, *counts, 0)
        return ability.stuff(body + bytes((-sum(body) & 0xFF,)))

    def idle(self, now_us: int) -> None:
        self.hand.advance(now_us)


class Rh56Dialect:
    """The RH56's register map behind Modbus RTU, written against the frame format and not with pymodbus.

    It has no watchdog: the last set points are driven to, whatever happens to the one who wrote them.
    """

    def __init__(self, hand: SimulatedHand | None = None, *, device: int = 1) -> None:
        self.hand = hand or SimulatedHand()
        self._device = device
        self._pending = b""
        self._setpoint = self.hand.position
        self.registers: dict[int, int] = {}
        self.error = [0] * 6

    def receive(self, data: bytes, now_us: int) -> bytes:
        self.idle(now_us)
        self._pending += data
        answers = b""
        while True:
            need = (
                8
                if self._pending[1:2] != b"\x10"
                else 9 + (self._pending[6] if len(self._pending) > 6 else 0)
            )
            if len(self._pending) < need:
                return answers
            frame, self._pending = self._pending[:need], self._pending[need:]
            if crc16(frame):
                self._pending = b""
                return answers
            if frame[0] == self._device:
                body = bytes((self._device,)) + self._obey(frame, now_us)
                answers += body + struct.pack("<H", crc16(body))

    def _obey(self, frame: bytes, now_us: int) -> bytes:
        function, register, count = struct.unpack(">BHH", frame[1:6])
        if function == 0x10:
            for i, value in enumerate(struct.unpack(f">{count}h", frame[7 : 7 + 2 * count])):
                self.registers[register + i] = value
            if register == rh56.ANGLE_SET:
                goals = list(self._setpoint)
                for i, dof in enumerate(rh56.ORDER):
                    value = self.registers[rh56.ANGLE_SET + i]
                    if value >= 0:  # −1 keeps
                        goals[dof] = 1.0 - min(value, rh56.OPEN) / rh56.OPEN
                self._setpoint = tuple(goals)  # type: ignore[assignment]
                self.idle(now_us)
            return frame[1:6]
        if function == 0x03:
            values = [self._value(register + i) for i in range(count)]
            return struct.pack(f">BB{count}H", 3, 2 * count, *(v & 0xFFFF for v in values))
        return bytes((function | 0x80, 1))

    def _value(self, register: int) -> int:
        reply = self.hand.reply()
        for first, values in (
            (rh56.ANGLE_ACT, [round(rh56.OPEN * (1.0 - reply.position[dof])) for dof in rh56.ORDER]),
            (rh56.FORCE_ACT, [round(reply.force_n[dof] / rh56.N_PER_G) for dof in rh56.ORDER]),
        ):
            if first <= register < first + 6:
                return values[register - first]
        state = [3 if reply.contact[dof] else 2 for dof in rh56.ORDER]
        for first, codes in ((rh56.ERROR, self.error), (rh56.STATUS, state)):
            if first <= register < first + 3:
                low, high = codes[2 * (register - first) : 2 * (register - first) + 2]
                return low | high << 8
        return self.registers.get(register, 0)

    def idle(self, now_us: int) -> None:
        self.hand.exchange(Command(0, now_us, "move", self._setpoint))


def crc16(data: bytes) -> int:
    """CRC-16/MODBUS: polynomial 8005 reflected, start FFFF; of "123456789" 4B37, of a frame with its CRC 0."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc


DIALECTS: dict[str, Callable[[], Dialect]] = {"ability": AbilityDialect, "rh56": Rh56Dialect}


# ---- the process


def main(argv: list[str] | None = None) -> int:
    """Serve one hand until stdin ends."""
    arguments = sys.argv[1:] if argv is None else argv
    dialect = DIALECTS[arguments[0]]()
    lock = threading.Lock()
    zero_ns = time.monotonic_ns()

    def now_us() -> int:
        return (time.monotonic_ns() - zero_ns) // 1000

    where, moved_ns = dialect.hand.position, time.monotonic_ns()

    def watch() -> None:
        nonlocal where, moved_ns
        dialect.idle(now_us())
        now = dialect.hand.position
        if max(abs(a - b) for a, b in zip(now, where, strict=True)) > STILL:
            where, moved_ns = now, time.monotonic_ns()

    def live() -> None:
        while True:
            with lock:
                watch()
            time.sleep(0.005)

    def serve_wire(read: Callable[[int], bytes], write: Callable[[bytes], object]) -> None:
        with suppress(OSError):
            while data := read(65536):
                with lock:
                    answer = dialect.receive(data, now_us())
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
        listener = socket.create_server(("127.0.0.1", 0))
        port = f"socket://127.0.0.1:{listener.getsockname()[1]}"
    for work in (serve, live):
        threading.Thread(target=work, daemon=True).start()
    _tell({"port": port})
    for _ in sys.stdin:
        with lock:
            watch()
            hand = dialect.hand
            _tell(
                {
                    "position": hand.position,
                    "moving": hand.moving,
                    "moved_ns": moved_ns,
                    "watchdog_trips": hand.watchdog_trips,
                }
            )
    return 0


def _tell(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


class HandSimulator:
    """A simulated hand in a process of its own. A context manager; `port` is what its adapter opens.

    Parameters
    ----------
    name : str
        "ability" or "rh56".
    terminal : bool
        A raw pseudo-terminal instead of a socket (POSIX).
    """

    def __init__(self, name: str, *, terminal: bool = False) -> None:
        if name not in DIALECTS:
            raise ValueError(f"no simulated hand is called {name!r}: expected one of {', '.join(DIALECTS)}")
        command = [
            sys.executable,
            "-m",
            "bci.prosthesis.hand_simulator",
            name,
            *(["--pty"] if terminal else []),
        ]
        group: dict[str, Any] = {}
        if sys.platform == "win32":
            group["creationflags"] = subprocess.CREATE_NEW_PROCESS_GROUP
        else:
            group["start_new_session"] = True
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **group
        )
        self.port: str = self._line()["port"]

    def state(self) -> dict[str, Any]:
        """Now: position (closures), moving, watchdog_trips, and moved_ns, the monotonic time of its last motion."""
        assert self._process.stdin is not None
        self._process.stdin.write("?\n")
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
