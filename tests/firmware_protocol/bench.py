"""A reference device on the desk: commands in, frames out, time in ms."""

from __future__ import annotations

import struct
from typing import Any, TypeVar

from firmware_protocol import (
    Command,
    Data,
    Decoder,
    DeviceConfig,
    Fault,
    Frame,
    Opcode,
    ReferenceDevice,
    Response,
    Status,
    encode_command,
)
from firmware_protocol.layout import COMMANDS

F = TypeVar("F", bound=Frame)
LABELS = tuple(f"E{k}" for k in range(8))


class Bench:
    """Drives a device and decodes everything that it sends."""

    def __init__(self, **config: Any) -> None:
        self.device = ReferenceDevice(DeviceConfig(**({"labels": LABELS} | config)))
        self.now_us = 0
        self.seen: list[Frame] = []
        self._decoder = Decoder()
        self._request_id = 0

    def command(self, opcode: int, *arguments: int, more: bytes = b"", request_id: int | None = None) -> None:
        payload = COMMANDS[Opcode(opcode)].struct.pack(*arguments) + more if arguments else more
        self.send(opcode, payload, request_id=request_id)

    def send(self, opcode: int, payload: bytes, *, request_id: int | None = None) -> None:
        self._request_id += 1
        command = Command(0, 0, self._request_id if request_id is None else request_id, opcode, payload)
        self.device.receive(encode_command(command), self.now_us)

    def ask(self, opcode: int, *arguments: int, more: bytes = b"", request_id: int | None = None) -> Response:
        """The answer to a command, which must be the next packet the device sends."""
        self.command(opcode, *arguments, more=more, request_id=request_id)
        first = self.hear()[0]
        assert isinstance(first, Response)
        return first

    def tell(self, opcode: int, *arguments: int, more: bytes = b"") -> Response:
        """The answer to a command that must be OK."""
        response = self.ask(opcode, *arguments, more=more)
        assert response.status == Status.OK, Status(response.status)
        return response

    def hear(self, room: int | None = None) -> list[Frame]:
        """All frames that the device sends now."""
        events = self._decoder.feed(self.device.poll(self.now_us, room))
        frames = [event for event in events if not isinstance(event, Fault)]
        assert len(frames) == len(events)
        self.seen += frames
        return frames

    def wait(self, ms: int) -> None:
        self.now_us += ms * 1000

    def convert(self, n: int, **options: Any) -> None:
        """`n` conversions at 250 SPS of samples that say which conversion and channel they are."""
        first = self.device.next_sample
        rows = [[(first + k) * 10 + c for c in range(len(self.device.uv_per_count))] for k in range(n)]
        self.device.push_samples(rows, self.now_us, **options)
        self.wait(4 * n)

    def heard(self, kind: type[F]) -> list[F]:
        """All frames of a kind so far."""
        return [frame for frame in self.seen if isinstance(frame, kind)]

    def data(self) -> list[Data]:
        return self.heard(Data)


def u32(value: int) -> bytes:
    return struct.pack("<I", value)
