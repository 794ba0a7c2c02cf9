"""How `frame-validator vectors --check` talks to a program: length-prefixed requests and answers (docs/vectors.md).

A frame is one line of text: its type, then `name=value` for each field of its table in layout.py, numbers in decimal,
texts and payload in hexadecimal. What a decoder found carries besides where it lies, `offset`, and how many wire
`bytes` it takes, the delimiter left out; damage is a line `fault kind=...`.
"""

from __future__ import annotations

import os
import queue
import signal
import struct
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from firmware_protocol.codec import Decoder
from firmware_protocol.codes import FaultKind, Type
from firmware_protocol.errors import ProtocolError
from firmware_protocol.frames import Fault, Frame, Unknown
from firmware_protocol.layout import PACKETS

__all__ = [
    "Fields",
    "Peer",
    "PeerError",
    "decode_request",
    "encode_request",
    "fields_of",
    "found_in",
    "line_of",
]

#: A frame or fault as an object of vectors/*.json: `type` or `fault` first, then its fields; bytes in hexadecimal.
Fields: TypeAlias = dict[str, Any]


_GROUPS = os.name == "posix"
_MAX_ANSWER = 1 << 20  # bytes
_ENDING_S = 1.0  # how long a program may take to end once its output has


class PeerError(ProtocolError):
    """A program under test did not keep to the exchange; the message says what it did."""


def fields_of(frame: Frame) -> Fields:
    """Fields of a frame as they stand on the wire, `head` and what is reserved left out."""
    if isinstance(frame, Unknown):
        return {
            "type": "UNKNOWN",
            "number": frame.type,
            "flags": frame.flags,
            "link_seq": frame.link_seq,
            "payload": frame.body.hex(),
        }
    packet = frame.pack()
    layout = PACKETS[Type(packet[0] & 15)]
    names = [f.name for f in layout.fields if not f.code.endswith("x")]
    fields: Fields = {"type": layout.type.name}
    for name, value in zip(names[1:], layout.struct.unpack_from(packet)[1:], strict=True):
        fields[name] = value.hex() if isinstance(value, bytes) else value
    if layout.tail:
        fields["payload"] = packet[layout.size :].hex()
    return fields


def found_in(wire: bytes, *, nonce: int | None = None) -> list[Fields]:
    """What a decoder finds in a whole stream, by the reference decoder."""
    decoder = Decoder(nonce=nonce)
    events = [*decoder.feed(wire), *decoder.finish()]
    found: list[Fields] = []
    for k, event in enumerate(events):
        if isinstance(event, Fault):
            found.append({"fault": str(event.kind), "offset": event.offset, "bytes": event.length})
            continue
        end = wire.find(0, event.offset)
        behind = events[k + 1] if k + 1 < len(events) else None
        if isinstance(behind, Fault) and behind.kind == FaultKind.MISSING_DELIMITER:
            end = behind.offset
        fields = fields_of(event)
        head = {"type": fields.pop("type"), "offset": event.offset, "bytes": end - event.offset}
        found.append(head | fields)
    return found


def line_of(fields: Fields) -> str:
    """The line that the exchange writes for an object of vectors/*.json."""
    rest = dict(fields)
    first = rest.pop("type", None) or f"fault kind={rest.pop('fault')}"
    return " ".join([first, *(f"{name}={value}" for name, value in rest.items())])


def decode_request(wire: bytes) -> bytes:
    """Ask for what a decoder finds in `wire`, a whole stream."""
    return struct.pack("<I", 1 + len(wire)) + b"D" + wire


def encode_request(fields: Fields) -> bytes:
    """Ask for the wire bytes of a frame."""
    line = line_of(fields).encode()
    return struct.pack("<I", 1 + len(line)) + b"E" + line


class Peer:
    """A program that answers requests on its standard input and output.

    Raises
    ------
    PeerError
        From `ask`, if it ends, stays silent for `timeout_s`, or answers in another form; it is then ended, and the
        next `ask` starts it anew.
    OSError
        From `ask`, if the program cannot be started.
    """

    def __init__(self, command: Sequence[str], *, timeout_s: float = 5.0) -> None:
        self._command = list(command)
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._answers: queue.Queue[bytes | str] = queue.Queue()

    def ask(self, request: bytes) -> bytes:
        """The program's answer."""
        process = self._running()
        assert process.stdin is not None
        try:
            process.stdin.write(request)
            process.stdin.flush()
            answer = self._answers.get(timeout=self._timeout_s)
        except OSError:
            answer = ""
        except queue.Empty:
            answer = f"it gave no whole answer within {self._timeout_s:g} s"
        if isinstance(answer, bytes):
            return answer
        said = answer or self._how_it_ended(process)
        self.close()
        raise PeerError(said)

    def close(self) -> None:
        """End the program."""
        if self._process is not None and self._reader is not None:
            _kill(self._process)
            self._process.wait()
            self._reader.join()
            for pipe in (self._process.stdin, self._process.stdout):
                with suppress(OSError):  # bytes that it never read
                    pipe.close()  # type: ignore[union-attr]
            self._process = None

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=_GROUPS
            )
            self._answers = queue.Queue()
            self._reader = threading.Thread(target=_read, args=(self._process, self._answers), daemon=True)
            self._reader.start()
        return self._process

    @staticmethod
    def _how_it_ended(process: subprocess.Popen[bytes]) -> str:
        try:
            status = process.wait(_ENDING_S)
        except subprocess.TimeoutExpired:
            return "it closed its output without answering"
        how = f"by signal {-status}" if status < 0 else f"with exit status {status}"
        return f"it ended {how} without answering"


def _kill(process: subprocess.Popen[bytes]) -> None:
    """With all that it has started: a shell's children would keep our pipes open."""
    if _GROUPS:
        with suppress(ProcessLookupError):  # it has ended, and all of them
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


def _read(process: subprocess.Popen[bytes], answers: queue.Queue[bytes | str]) -> None:
    """Whole answers, then a text when there will be no more: what is wrong, or "" where the output just ends.

    In a thread of its own, so that silence can be noticed.
    """
    output = process.stdout
    assert output is not None
    while len(prefix := output.read(4)) == 4:
        n = int.from_bytes(prefix, "little")
        if n > _MAX_ANSWER:
            answers.put(
                f"its answer begins with {prefix.hex(' ')} ({prefix!r}), which is no length of an answer"
            )
            return
        answer = output.read(n)
        if len(answer) < n:
            break
        answers.put(answer)
    answers.put("")
