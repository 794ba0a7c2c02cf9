"""What makes a board of one dialect: its device, how it hears, and what a frame of it holds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, Protocol

from bci.acquisition.cyton.device import QUEUE_BYTES, CytonDevice
from bci.acquisition.cyton.wire import FRAME_BYTES, RATE_HZ
from bci.acquisition.simulator._config import Bench, BoardConfig
from bci.acquisition.simulator._signals import Signal
from firmware_protocol import Command, LeadOff, Opcode, Pattern, encode_command
from firmware_protocol.device import DeviceConfig, ReferenceDevice
from firmware_protocol.limits import CRC_SIZE, MAX_LABEL, MAX_PACKET

__all__ = ["Device", "DeviceKind", "device_kind"]

_HEADER = 16  # bytes of DATA before its samples
BENCH_RATES = (250, 500, 1000, 2000)
_FRAMES_HZ = 40  # DATA packets a second: each is at most 25 ms old when it is full


class Device(Protocol):
    """What the board needs of its firmware, whatever dialect that speaks."""

    @property
    def next_sample(self) -> int: ...
    @property
    def streaming(self) -> bool: ...
    @property
    def rate(self) -> Fraction: ...
    @property
    def config_id(self) -> int: ...
    @property
    def uv_per_count(self) -> tuple[float, ...]: ...
    @property
    def lead_off(self) -> LeadOff: ...
    @property
    def pattern(self) -> Pattern: ...
    @property
    def queued_bytes(self) -> int: ...
    @property
    def dropped(self) -> int: ...

    def receive(self, data: bytes, now_us: int) -> None: ...
    def push_samples(
        self, counts: Any, t_us: Sequence[int], *, lead_off_p: int = 0, trigger: bool = False
    ) -> int: ...
    def event(self, source: int, code: int, value: int = 0, *, now_us: int) -> bool: ...
    def end_run(self, now_us: int) -> bool: ...
    def poll(self, now_us: int, room: int | None = None) -> bytes: ...


class DeviceKind(Protocol):
    """A dialect."""

    @property
    def keepalive(self) -> bytes:
        """What a host that lives says now and then."""

    @property
    def frame_samples(self) -> int:
        """Conversions in a frame."""

    @property
    def batch_samples(self) -> int:
        """Conversions that its queue surely holds."""

    def boot(self, first_sample: int) -> Device: ...

    def split(self, heard: bytes) -> tuple[list[bytes], bytes]:
        """What the host said in pieces of which each starts at most one run, and what is not whole yet."""


def device_kind(config: BoardConfig, signal: Signal) -> DeviceKind:
    """The kind of device that `config` asks for.

    Raises
    ------
    ValueError
        If it cannot carry the signal.
    """
    return _CytonKind(signal) if config.dialect == "cyton" else _BoardKind(config, signal)


class _BoardKind:
    """This project's protocol, version 1."""

    keepalive = encode_command(Command(0, 0, 0, Opcode.KEEPALIVE))

    def __init__(self, config: BoardConfig, signal: Signal) -> None:
        bench = isinstance(config.signal, Bench)
        labels = tuple(name.encode()[:MAX_LABEL].decode(errors="ignore") for name in signal.channels)
        plain = DeviceConfig(
            labels=labels,
            rate=signal.rate,
            # a signal has the rate it was recorded at; a bench board has none
            rates=frozenset(map(Fraction, BENCH_RATES)) if bench else frozenset({signal.rate}),
            has_status=len(labels) % 8 == 0,
            samples_per_frame=1,  # of any number of channels; the real one follows below
            device_id=f"simulated {config.signal.seed}"
            if isinstance(config.signal, Bench)
            else "simulated board",
            firmware="1.0",
            makes_test_signal=not bench,
        )
        fitting = min(32, (MAX_PACKET - _HEADER - CRC_SIZE) // _sample_bytes(plain))
        frame = config.samples_per_frame or min(max(1, int(signal.rate / _FRAMES_HZ)), fitting)
        if not 1 <= frame <= fitting:
            raise ValueError(
                f"{frame} samples of {len(labels)} channels do not fit a packet; at most {fitting} do"
            )
        self._config = replace(plain, samples_per_frame=frame)
        self.frame_samples = frame
        packet = _HEADER + frame * _sample_bytes(self._config) + CRC_SIZE + 4  # COBS and delimiter
        self.batch_samples = max(self._config.queue_bytes * 3 // 4 // packet, 1) * frame

    def boot(self, first_sample: int) -> ReferenceDevice:
        boot_id = int.from_bytes(os.urandom(4))
        return ReferenceDevice(replace(self._config, boot_id=boot_id, sample_index=first_sample))

    def split(self, heard: bytes) -> tuple[list[bytes], bytes]:
        *packets, rest = heard.split(b"\x00")
        if len(rest) > MAX_PACKET:  # noise: the device counts it
            packets, rest = [*packets, rest], b""
        return [packet + b"\x00" for packet in packets], rest


class _CytonKind:
    """OpenBCI Cyton."""

    keepalive = b""
    frame_samples = 1
    batch_samples = QUEUE_BYTES // FRAME_BYTES

    def __init__(self, signal: Signal) -> None:
        if signal.rate != RATE_HZ:
            raise ValueError(f"a Cyton converts at {RATE_HZ} Hz, this signal has {float(signal.rate):g} Hz")
        self._n_channels = len(signal.channels)
        self.boot(0)

    def boot(self, first_sample: int) -> CytonDevice:
        return CytonDevice(self._n_channels, sample_index=first_sample)

    def split(self, heard: bytes) -> tuple[list[bytes], bytes]:
        return [bytes([character]) for character in heard], b""


def _sample_bytes(config: DeviceConfig) -> int:
    n_channels = len(config.labels)
    return 3 * n_channels + (3 * n_channels // config.channels_per_converter if config.has_status else 0)
