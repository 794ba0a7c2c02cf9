"""`SimulatedHand` in another process: one JSON line per frame to it, one per answer from it, and `WireHand`.

``{"n": 7, "do": "move", "to": [0, 0.1, 0.1, 0.1, 0.1, 0]}`` asks, with the command's number, kind and closures;
``{"at": […], "a": […], "newton": […], "touch": […], "celsius": 30.0}`` answers. Lines that are anything else are
no frames and no answers.
"""

from __future__ import annotations

import json

from bci.prosthesis.hand import Command, Reply
from bci.prosthesis.links import Link, read_answer

__all__ = ["BAUD", "WireHand", "answer_line", "read_request", "request_line"]

BAUD = 460_800


def request_line(command: Command) -> bytes:
    """One frame to the hand."""
    frame = {"n": command.number, "do": command.kind, "to": command.setpoint}
    return json.dumps(frame, separators=(",", ":")).encode() + b"\n"


def read_request(line: bytes, now_us: int) -> Command | None:
    """The frame in a line, taken at `now_us`; None if it is none."""
    try:
        frame = json.loads(line)
        thumb, index, middle, ring, little, rotation = map(float, frame["to"])
        closures = (thumb, index, middle, ring, little, rotation)
        if not all(0.0 <= x <= 1.0 for x in closures):
            return None
        return Command(int(frame["n"]), now_us, str(frame["do"]), closures)
    except (ValueError, KeyError, TypeError):
        return None


def answer_line(reply: Reply | None) -> bytes:
    """One answer from the hand; nothing if it has none."""
    if reply is None:
        return b""
    answer = {
        "at": reply.position,
        "a": reply.current_a,
        "newton": reply.force_n,
        "touch": reply.contact,
        "celsius": reply.temperature_c,
    }
    return json.dumps(answer, separators=(",", ":")).encode() + b"\n"


def read_reply(line: bytes) -> Reply | None:
    """The answer in a line, None if it is none."""
    try:
        answer = json.loads(line)
        at, current, force = (tuple(map(float, answer[key])) for key in ("at", "a", "newton"))
        touch = tuple(map(bool, answer["touch"]))
        if any(len(six) != 6 for six in (at, current, force, touch)):
            return None
        return Reply(at, current, force, touch, float(answer["celsius"]))  # type: ignore[arg-type]
    except (ValueError, KeyError, TypeError):
        return None


class WireHand:
    """The simulated hand on an open link; satisfies `Hand`. Each answer is handed on with the next frame.

    Parameters
    ----------
    link : Link
        Open link.
    """

    name = "simulated"
    baud = BAUD
    #: How long to wait for the answer to the frame just sent, s; see `links.read_answer`.
    answer_s = 0.0

    def __init__(self, link: Link) -> None:
        self._link = link
        self._pending = b""

    def exchange(self, command: Command) -> Reply | None:
        """Send the frame now; give the newest answer that is there."""
        self._link.write(request_line(command))
        return read_answer(self._link, self._take, self.answer_s)

    def _take(self, data: bytes) -> Reply | None:
        *lines, self._pending = (self._pending + data).split(b"\n")
        newest = None
        for line in lines:
            newest = read_reply(line) or newest
        return newest

    def close(self) -> None:
        self._link.close()
