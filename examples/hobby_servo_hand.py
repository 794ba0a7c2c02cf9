"""A hand of six hobby servos on a serial line: a pattern for hands of your own.

The board takes ``S 10 20 30 40 50 60`` and a line feed (degrees of thumb,
index, middle, ring, little, rotation), or ``Q`` to be asked only, and answers
``P`` and the angles it has reached. Without a port a simulated board stands in.
Ctrl-C stops.

To let the safety monitor drive it, register the class in your package's
pyproject.toml:

    [project.entry-points."bci.hands"]
    hobby = "your_package.hobby_servo_hand:HobbyServoHand"

install it, and run ``bci control --hand hobby --hand-port /dev/ttyUSB0``. From
Python it is ``SafetyMonitor(..., hand={"name": "hobby", "port": PORT})`` where
PORT is socket://HOST:PORT; for a serial port add what opens it,
``"opener": "bci.acquisition._serial:SerialPort"``. What a hand has to keep to
stands in docs/hand.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import closing, suppress

from bci.errors import BciError
from bci.prosthesis import Command, Reply, hand_lines

ZERO = (0.0,) * 6
FULL_DEG = 160.0


class HobbyServoHand:
    """Satisfies `bci.prosthesis.Hand`. Servos tell neither current nor force nor contact: those stay 0 and False."""

    name = "hobby"
    baud = 115_200

    def __init__(self, link) -> None:
        self._link = link
        self._heard = b""

    def exchange(self, command: Command) -> Reply | None:
        """One frame out, never more; the newest whole answer in. Never waits for the board."""
        degrees = " ".join(f"{FULL_DEG * closure:.1f}" for closure in command.setpoint)
        self._link.write(b"Q\n" if command.kind == "look" else f"S {degrees}\n".encode())
        *lines, self._heard = (self._heard + self._link.read(0.0)).split(b"\n")
        for line in reversed(lines):
            with suppress(ValueError):  # a damaged line is no answer; four of them in a row are a lost hand
                word, *angles = line.split()
                if word == b"P" and len(angles) == 6:
                    position = tuple(float(angle) / FULL_DEG for angle in angles)
                    return Reply(position, ZERO, ZERO, (False,) * 6)
        return None

    def close(self) -> None:
        self._link.close()


class SimulatedBoard:
    """The other end of the line: each servo goes 4 degrees per frame."""

    def __init__(self) -> None:
        self._angles = [0.0] * 6
        self._answer = b""

    def write(self, data: bytes) -> None:
        goals = [float(word) for word in data.split()[1:]] or self._angles
        self._angles = [
            a + max(-4.0, min(4.0, goal - a)) for a, goal in zip(self._angles, goals, strict=True)
        ]
        self._answer += b"P " + " ".join(f"{angle:.1f}" for angle in self._angles).encode() + b"\n"

    def read(self, timeout_s: float) -> bytes:
        answer, self._answer = self._answer, b""
        return answer

    def close(self) -> None:
        pass


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--port", help="/dev/ttyUSB0, COM3 or socket://HOST:PORT; without it a simulated board"
    )
    parser.add_argument("--seconds", type=float, default=4.0)
    args = parser.parse_args(argv)
    try:
        hand = HobbyServoHand(open_board(args.port))
        with closing(hand), suppress(KeyboardInterrupt):
            play(hand, args.seconds)
    except BciError as err:
        print(err, file=sys.stderr)
        return 2
    return 0


def open_board(port: str | None):
    if port is None:
        return SimulatedBoard()
    from bci.acquisition._serial import SerialPort

    return SerialPort(port, baud=HobbyServoHand.baud)


def play(hand: HobbyServoHand, seconds: float) -> None:
    """Close in a second, open in a second."""
    for n in range(int(seconds * 50)):
        closure = 1.0 - abs(1.0 - n / 50.0 % 2.0)
        reply = hand.exchange(Command(n, n * 20_000, "move", (closure,) * 6))
        if reply is not None and n % 10 == 0:
            print("\n".join(hand_lines(reply.position, ascii_only=not sys.stdout.isatty())))
        time.sleep(0.02)


if __name__ == "__main__":
    raise SystemExit(main())
