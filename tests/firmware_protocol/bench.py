"""A reference device on the desk: commands in, frames out, time in ms; and at the end of a line of its own clock."""

from __future__ import annotations

import re
import struct
from collections import deque
from collections.abc import Callable
from itertools import cycle
from math import ceil
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
from firmware_protocol.limits import MAX_CODED
from tests.firmware_protocol.captures import FIRST_SCALE, eeg

F = TypeVar("F", bound=Frame)
LABELS = tuple(f"E{k}" for k in range(8))
SIGNAL: list[list[int]] = eeg(4000, 8).tolist()
_TICK_US = 2000


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


class Desk:
    """A line to a device in memory: the bytes take their time at `baud`, and so do conversions, in simulated time.

    Parameters
    ----------
    device : ReferenceDevice
    baud : int
    outward, inward : callable, optional
        What happens to bytes on their way from and to the device.
    """

    def __init__(
        self,
        device: ReferenceDevice,
        *,
        baud: int = 115_200,
        outward: Callable[[bytes], bytes] = bytes,
        inward: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self.device = device
        self.now_us = 0
        self.boot_us = 0  # the device's time is that since then
        self._byte_us = 10e6 / baud
        self._outward = outward
        self._inward = inward
        self._to_device: deque[tuple[float, bytes]] = deque()
        self._from_device: deque[tuple[float, bytes]] = deque()
        self._in_free_us = self._out_free_us = 0.0
        self._stream_us = 0.0  # when the stream began
        self._made = 0  # conversions of the stream

    # ---- Line --------------------------------------------------------------------------------------------------

    def now_s(self) -> float:
        return self.now_us / 1e6

    def write(self, data: bytes) -> None:
        data = self._inward(data)
        self._in_free_us = max(self._in_free_us, self.now_us) + len(data) * self._byte_us
        self._to_device.append((self._in_free_us, data))

    def read(self, timeout_s: float) -> bytes:
        end_us = self.now_us + ceil(timeout_s * 1e6)  # never 0: time has to pass
        while not (data := self._arrived()) and self.now_us < end_us:
            self._pass(min(_TICK_US, end_us - self.now_us))
        return data

    def _arrived(self) -> bytes:
        out = b""
        while self._from_device and self._from_device[0][0] <= self.now_us:
            out += self._from_device.popleft()[1]
        return out

    # ---- the device's side -------------------------------------------------------------------------------------

    def _pass(self, us: int) -> None:
        self.now_us += us
        while self._to_device and self._to_device[0][0] <= self.now_us:
            at_us, data = self._to_device.popleft()
            for packet in re.findall(rb"[^\0]*\0|[^\0]+", data):
                self._convert(at_us)
                before = self.device.streaming
                self.device.receive(packet, int(at_us) - self.boot_us)
                if self.device.streaming and not before:
                    self._stream_us, self._made = at_us, 0
        self._convert(self.now_us)
        while self._out_free_us <= self.now_us:
            data = self.device.poll(self.now_us - self.boot_us, MAX_CODED + 1)
            if not data:
                break
            self._out_free_us = max(self._out_free_us, self.now_us) + len(data) * self._byte_us
            self._from_device.append((self._out_free_us, self._outward(data)))

    def _convert(self, until_us: float) -> None:
        device = self.device
        if not device.streaming:
            return
        period_us = 1e6 / float(device.rate)
        due = int((until_us - self._stream_us) / period_us) - self._made
        if due > 0:
            first = device.next_sample
            scale = [FIRST_SCALE / uv for uv in device.uv_per_count]
            rows = [
                [
                    round((x + c) * s)
                    for c, (x, s) in enumerate(
                        zip(cycle(SIGNAL[(first + k) % len(SIGNAL)]), scale, strict=False)
                    )
                ]
                for k in range(due)
            ]
            times = [int(self._stream_us + (self._made + k + 1) * period_us) for k in range(due)]
            device.push_samples(rows, [t - self.boot_us for t in times])
            self._made += due
