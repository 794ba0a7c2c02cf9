"""PSYONIC Ability Hand: frames of its byte-stuffed serial API, and the adapter `AbilityHand`.

UART, 460800 baud, 8N1. On the wire a frame is ``7E stuffed 7E``; inside, 7E and 7D are sent as 7D and the byte XOR 20.
Command: address 50, opcode, data, checksum (the two's complement of the sum of all before it, low byte).

| opcode | data |
| --- | --- |
| 10 + reply mode | six int16 positions, 32767 = 150° (index, middle, ring, little, thumb flexor, thumb rotator) |
| 20 + reply mode | six int16 velocities, 32767 = 3000 °/s |
| 1D | grip number, speed 0–255 |
| A0 + reply mode | none: asks where the hand is |

Reply of mode 2: a byte whose low nibble is 2, six pairs of int16 position and current (620.606 counts per A), six int16
velocities (32767 = 750 °/s), one byte of temperature flags, checksum. Degrees become counts by truncation towards zero.
Fingers run 0…100°, the thumb's rotator −100…0°.

The hand leaves this mode after 300 ms without a frame, and what it does then is its own affair. So the monitor sends a
frame every 20 ms while it lives, and this adapter never sends one by itself.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from bci.prosthesis.hand import Closures, Command, Reply
from bci.prosthesis.links import Link, read_answer

__all__ = [
    "BAUD",
    "AbilityHand",
    "Unstuffer",
    "grip_frame",
    "look_frame",
    "parse_reply",
    "position_frame",
    "stuff",
    "velocity_frame",
]

BAUD = 460_800
ADDRESS = 0x50
REPLY_MODE = 2
LOOK = 0xA0 + REPLY_MODE
FLAG, ESCAPE, MASK = 0x7E, 0x7D, 0x20

COUNTS_PER_DEGREE = 32767 / 150
COUNTS_PER_DEGREE_S = 32767 / 3000
REPLY_COUNTS_PER_DEGREE_S = 4 * COUNTS_PER_DEGREE_S
COUNTS_PER_A = 620.606079
RANGE_DEG = 100.0

#: The longest reply, with every byte escaped.
LONGEST = 2 * 80

_REPLY = struct.Struct("<B18hB")

#: Where the hand's order (index, middle, ring, little, thumb flexor, thumb rotator) stands in `DOFS`.
ORDER = (1, 2, 3, 4, 0, 5)

#: A finger that draws this much without moving presses on something.
CONTACT_A, STILL_DEG_S = 0.25, 5.0


def position_frame(degrees: Sequence[float], *, reply_mode: int = REPLY_MODE) -> bytes:
    """Go to six angles, in the hand's order.

    Raises
    ------
    ValueError
        Not six finite numbers within the hand's range.
    """
    if (
        len(degrees) != 6
        or not all(0.0 <= d <= RANGE_DEG for d in degrees[:5])
        or not -RANGE_DEG <= degrees[5] <= 0.0
    ):
        raise ValueError(f"expected five angles of 0…100° and a rotator of −100…0°, got {tuple(degrees)}")
    return _frame(0x10 + reply_mode, struct.pack("<6h", *(int(d * COUNTS_PER_DEGREE) for d in degrees)))


def velocity_frame(degrees_per_s: Sequence[float], *, reply_mode: int = REPLY_MODE) -> bytes:
    """Move with six velocities, in the hand's order."""
    if len(degrees_per_s) != 6 or not all(abs(v) <= 3000.0 for v in degrees_per_s):
        raise ValueError(f"expected six velocities of at most 3000 °/s, got {tuple(degrees_per_s)}")
    return _frame(
        0x20 + reply_mode, struct.pack("<6h", *(int(v * COUNTS_PER_DEGREE_S) for v in degrees_per_s))
    )


def grip_frame(grip: int, *, speed: int = 255) -> bytes:
    """One of the hand's built-in grips. Not used for control: its course cannot be limited from here."""
    if not (0 <= grip <= 255 and 0 <= speed <= 255):
        raise ValueError(f"expected grip and speed of 0…255, got {grip} and {speed}")
    return _frame(0x1D, bytes((grip, speed)))


def look_frame() -> bytes:
    """Say where you are, and do not move."""
    return _frame(LOOK, b"")


def _frame(opcode: int, data: bytes) -> bytes:
    body = bytes((ADDRESS, opcode)) + data
    return stuff(body + bytes((-sum(body) & 0xFF,)))


def stuff(packet: bytes) -> bytes:
    """A packet with its flags and escapes, as it goes over the wire."""
    escaped = packet.replace(b"\x7d", b"\x7d\x5d").replace(b"\x7e", b"\x7d\x5e")
    return b"\x7e" + escaped + b"\x7e"


class Unstuffer:
    """Wire bytes in, packets out, with checksum checked and removed; damage is counted, never raised."""

    def __init__(self) -> None:
        self._packet = bytearray()
        self._escaped = False
        self.damaged = 0

    def feed(self, data: bytes) -> list[bytes]:
        packets = []
        for byte in data:
            if byte == FLAG:
                packet = bytes(self._packet)
                self._packet.clear()
                self._escaped = False
                if len(packet) < 2:
                    continue  # between two frames, or the noise of an RS-485 adapter that switches
                if sum(packet) & 0xFF:
                    self.damaged += 1
                else:
                    packets.append(packet[:-1])
            elif byte == ESCAPE:
                self._escaped = True
            else:
                self._packet.append(byte ^ MASK if self._escaped else byte)
                self._escaped = False
                if len(self._packet) > LONGEST:
                    self.damaged += 1
                    self._packet.clear()
        return packets


def parse_reply(packet: bytes) -> Reply | None:
    """A reply of mode 2 without its checksum as closures and amperes; None if it is something else."""
    if len(packet) != _REPLY.size or packet[0] & 0x0F != REPLY_MODE:
        return None
    _, *numbers, hot = _REPLY.unpack(packet)
    closures, currents, contact = [0.0] * 6, [0.0] * 6, [False] * 6
    for i, dof in enumerate(ORDER):
        degrees = numbers[2 * i] / COUNTS_PER_DEGREE
        closures[dof] = (-degrees if i == 5 else degrees) / RANGE_DEG
        currents[dof] = numbers[2 * i + 1] / COUNTS_PER_A
        speed = numbers[12 + i] / REPLY_COUNTS_PER_DEGREE_S
        contact[dof] = abs(currents[dof]) >= CONTACT_A and abs(speed) <= STILL_DEG_S
    return Reply(
        position=tuple(closures),  # type: ignore[arg-type]
        current_a=tuple(currents),  # type: ignore[arg-type]
        force_n=(0.0,) * 6,
        contact=tuple(contact),  # type: ignore[arg-type]
        error=f"motors too hot (flags {hot:#04x})" if hot else "",
    )


class AbilityHand:
    """The Ability Hand on an open link; satisfies `Hand`. Each answer is handed on with the next frame.

    Parameters
    ----------
    link : Link
        Open link.
    """

    name = "ability"
    baud = BAUD
    #: How long to wait for the answer to the frame just sent, s; see `links.read_answer`.
    answer_s = 0.0

    def __init__(self, link: Link) -> None:
        self._link = link
        self._unstuffer = Unstuffer()

    def exchange(self, command: Command) -> Reply | None:
        """Send the set points now; give the newest answer that is there."""
        look = command.kind == "look"
        self._link.write(look_frame() if look else position_frame(_degrees(command.setpoint)))
        return read_answer(self._link, self._take, self.answer_s)

    def _take(self, data: bytes) -> Reply | None:
        newest = None
        for packet in self._unstuffer.feed(data):
            newest = parse_reply(packet) or newest
        return newest

    def close(self) -> None:
        self._link.close()


def _degrees(closures: Closures) -> list[float]:
    return [closures[dof] * (-RANGE_DEG if dof == 5 else RANGE_DEG) for dof in ORDER]
