"""The far side of a line, in a process of its own: `python -m bci.selftest._sender paced|flood …`.

Tells the port it opened as its first line. `paced` then waits for a line on its input, sends one packet after the
other at its time and tells when it did, in monotonic ns. `flood` answers commands like a board and sends as fast as it
is read.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import bci
from bci.selftest._wire_maker import WireMaker
from firmware_protocol import Command, Decoder, Heartbeat, Opcode, Response, Status, encode

__all__ = ["start_sender"]

BLOCK_S = 0.5  # of signal, made at a time


@contextmanager
def start_sender(mode: str, *arguments: int) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Its port and its process, which is ended behind the `with`."""
    root = str(Path(bci.__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "bci.selftest._sender", mode, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": path},
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def paced(n_packets: int, rate_hz: int) -> None:
    """Packets of one conversion of 8 channels into a pseudo-terminal."""
    import tty

    maker = WireMaker(8, rate_hz, 1)
    packets = [maker.data(1) for _ in range(n_packets)]
    master, slave = os.openpty()
    tty.setraw(slave)
    _tell(os.ttyname(slave))
    for line in sys.stdin:
        stamps = [0] * n_packets
        due_ns = time.monotonic_ns() + 50_000_000
        for k in range(int(line)):
            due_ns += 1_000_000_000 // rate_hz
            time.sleep(max(due_ns - time.monotonic_ns(), 0) / 1e9)
            stamps[k] = time.monotonic_ns()
            os.write(master, packets[k])
        time.sleep(0.1)
        _tell(json.dumps(stamps[: int(line)]))


def flood(n_channels: int, rate_hz: int, samples_per_packet: int, seconds: int) -> None:
    """A board on a socket: INFO, DATA and HEARTBEAT of so many seconds from START on."""
    maker = WireMaker(n_channels, rate_hz, samples_per_packet)
    with socket.create_server(("127.0.0.1", 0)) as server:
        _tell(f"socket://127.0.0.1:{server.getsockname()[1]}")
        peer, _ = server.accept()
    decoder = Decoder()
    left_s = 0.0
    with peer:
        while True:
            peer.setblocking(left_s <= 0)
            try:
                heard = peer.recv(4096)
            except BlockingIOError:
                heard = None
            if heard == b"":
                return
            peer.setblocking(True)
            for event in decoder.feed(heard or b""):
                if isinstance(event, Command):
                    peer.sendall(_answer(event, maker))
                    if event.opcode == Opcode.START:
                        left_s = float(seconds)
                    elif event.opcode == Opcode.STOP:
                        left_s = 0.0
                        peer.sendall(maker.heartbeat())
            if left_s > 0:
                left_s -= BLOCK_S
                n_packets = max(1, round(BLOCK_S * rate_hz / samples_per_packet))
                peer.sendall(maker.data(n_packets) + maker.heartbeat())


def _answer(command: Command, maker: WireMaker) -> bytes:
    t_us = maker.next_sample * 1_000_000 // maker.rate_hz
    results, more = b"", b""
    if command.opcode == Opcode.IDENTIFY:
        results, more = bytes([1, 0, 0, 0, 0, 0, maker.n_channels, 1]), maker.info()
    elif command.opcode == Opcode.START:
        results = maker.next_sample.to_bytes(8, "little")
    elif command.opcode == Opcode.STOP:
        results = Heartbeat(0, 0, 1, t_us, maker.next_sample, 0, 0).counters()
    elif command.opcode == Opcode.READ_REGISTER:
        results = b"\x3e"
    response = Response(0, 0, command.request_id, command.opcode, Status.OK, t_us, results)
    return encode(response) + more


if __name__ == "__main__":
    modes: dict[str, Callable[..., None]] = {"paced": paced, "flood": flood}
    modes[sys.argv[1]](*map(int, sys.argv[2:]))
