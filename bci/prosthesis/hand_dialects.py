"""What simulated hands say on the wire: the mechanics of `SimulatedHand` behind the bytes of each hand.

No port, no thread, no clock: bytes and the time go in, bytes come out. The RH56's side is written against the frame
format and not with pymodbus, so that the adapter has another witness than its own library.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Protocol

from bci.prosthesis import ability, rh56
from bci.prosthesis.hand import Command
from bci.prosthesis.simulated import SimulatedHand
from bci.prosthesis.simulated_wire import answer_line, read_request

__all__ = ["DIALECTS", "AbilityDialect", "Dialect", "Rh56Dialect", "WireDialect", "crc16"]


class Dialect(Protocol):
    """One hand's side of the wire. `frames` counts the set points and looks it was sent."""

    hand: SimulatedHand
    frames: int

    def receive(self, data: bytes, now_us: int) -> bytes:
        """Take wire bytes, give the answer's."""
        ...

    def idle(self, now_us: int) -> None:
        """Time passes."""
        ...


class WireDialect:
    """The simulated hand's own lines; see `simulated_wire`."""

    def __init__(self, hand: SimulatedHand | None = None) -> None:
        self.hand = hand or SimulatedHand()
        self.frames = 0
        self._pending = b""

    def receive(self, data: bytes, now_us: int) -> bytes:
        *lines, self._pending = (self._pending + data).split(b"\n")
        answers = b""
        for line in lines:
            if (command := read_request(line, now_us)) is not None:
                self.frames += 1
                answers += answer_line(self.hand.exchange(command))
        return answers

    def idle(self, now_us: int) -> None:
        self.hand.advance(now_us)


class AbilityDialect:
    """The Ability Hand's side of the wire: positions with replies of mode 2, and its 300 ms watchdog."""

    def __init__(self, hand: SimulatedHand | None = None) -> None:
        self.hand = hand or SimulatedHand()
        self.frames = 0
        self._unstuffer = ability.Unstuffer()
        self._before: tuple[int, tuple[float, ...]] = (0, self.hand.position)

    def receive(self, data: bytes, now_us: int) -> bytes:
        answers = b""
        for packet in self._unstuffer.feed(data):
            kind, goals = "", [0.0] * 6
            if packet == bytes((ability.ADDRESS, ability.LOOK)):
                kind = "look"
            elif (
                len(packet) == 14 and packet[0] == ability.ADDRESS and packet[1] == 0x10 + ability.REPLY_MODE
            ):
                kind = "move"
                for i, (dof, counts) in enumerate(
                    zip(ability.ORDER, struct.unpack("<6h", packet[2:]), strict=True)
                ):
                    closure = counts / ability.COUNTS_PER_DEGREE / ability.RANGE_DEG
                    goals[dof] = min(1.0, max(0.0, -closure if i == 5 else closure))
            if kind:
                self.frames += 1
                self.hand.exchange(Command(self.frames, now_us, kind, tuple(goals)))  # type: ignore[arg-type]
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
    """The RH56's register map behind Modbus RTU.

    It has no watchdog: the last set points are driven to, whatever happens to the one who wrote them.
    """

    def __init__(self, hand: SimulatedHand | None = None, *, device: int = 1) -> None:
        self.hand = hand or SimulatedHand()
        self.frames = 0
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
            need = 8
            if self._pending[1:2] == b"\x10":
                need = 9 + (self._pending[6] if len(self._pending) > 6 else 0)
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
                self.frames += 1
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
            (rh56.CURRENT, [round(1000.0 * reply.current_a[dof]) for dof in rh56.ORDER]),
        ):
            if first <= register < first + 6:
                return values[register - first]
        state = [3 if reply.contact[dof] else 2 for dof in rh56.ORDER]
        hot = [round(reply.temperature_c)] * 6
        for first, codes in ((rh56.ERROR, self.error), (rh56.STATUS, state), (rh56.TEMP, hot)):
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


DIALECTS: dict[str, Callable[[], Dialect]] = {
    "simulated": WireDialect,
    "ability": AbilityDialect,
    "rh56": Rh56Dialect,
}
