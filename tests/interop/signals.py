"""Recordings whose every count, gap and event is known, for the round trips of all formats."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np

from bci.acquisition import Recording
from bci.interop import ArraySignal, Channel, Description, RecordedSignal, Signal, SignalEvent
from bci.interop._convert import write_bfp
from firmware_protocol import DeviceConfig, Opcode
from tests.acquisition.boards import CHANNELS, stream
from tests.acquisition.boards import counts as board_counts
from tests.acquisition.test_assembler import command, packets, started
from tests.acquisition.test_recording import recorded

STEP = 4.5e6 / 24 / (2**23 - 1)
RATE = Fraction(250)
NAMES = ("Fz", "C3", "Cz", "C4", "左手", "EOG左")
GAP = (700, 130)


def counts_of(n_samples: int = 2100, n_channels: int = 6, *, seed: int = 0) -> np.ndarray:
    """All 24 bits, both ends of the range among them, and a hole that holds the value before it."""
    counts = np.random.default_rng(seed).integers(
        -(1 << 23), 1 << 23, (n_channels, n_samples), dtype=np.int32
    )
    counts[1, 300:310] = (1 << 23) - 1
    counts[2, 300:305] = -(1 << 23)
    if n_samples > sum(GAP):
        counts[:, GAP[0] : sum(GAP)] = counts[:, GAP[0] - 1 : GAP[0]]
    return np.asfortranarray(counts)


def about(n_samples: int = 2100) -> Description:
    kinds = ("eeg", "eeg", "eeg", "eeg", "emg", "eog")
    ohms = (5.1, 12.0, None, 8.25, None, None)
    return Description(
        channels=tuple(
            Channel(name, STEP, kind, "uV", ohm) for name, kind, ohm in zip(NAMES, kinds, ohms, strict=True)
        ),
        rate=RATE,
        measured_hz=250.0171,
        n_samples=n_samples,
        events=(
            SignalEvent(0, "begin", source="file"),
            SignalEvent(100, "左手抓握", 0, 769, source="file"),
            SignalEvent(100, "note, with; all | the \"signs\"", source="file"),
            SignalEvent(500, "right", 250, 770, source="file"),
            SignalEvent(GAP[0], "BAD_ACQ_SKIP", GAP[1], source="quality"),
            SignalEvent(900, "BAD_lead_off", 60, source="quality", channels=("C3",)),
            SignalEvent(1500, "EDGE boundary", source="quality"),
            SignalEvent(n_samples - 1, "end", source="file"),
        ),
        gaps=(GAP,),
        device="EEG board 1.2",
        reference="A1",
        started="2024-02-29T12:30:15+00:00",
    )  # fmt: skip


def known(path: Path = Path("made.bfp")) -> ArraySignal:
    return ArraySignal(path, about(), counts_of())


def known_recording(path: Path) -> RecordedSignal:
    """The same as a `.bfp`."""
    write_bfp(known(), path, source="test", keep_date=True)
    return RecordedSignal(path)


def device_recording(
    path: Path, n_samples: int = 1000, *, off: Mapping[int, tuple[int, int]] | None = None
) -> Recording:
    """What a board sent: triggers, a lost stretch in the middle; `off`: channel to samples without contact."""
    if off is not None:
        path.write_bytes(recorded(_with_status(n_samples, off)))
        return Recording(path)
    config = DeviceConfig(labels=CHANNELS, has_status=False, samples_per_frame=4)
    device, wire = started(config)
    wire += stream(device, n_samples // 2, events={50: 2, 120: 1})
    late = packets(stream(device, n_samples // 2, at_us=n_samples // 2 * 4000, events={200: 2}))
    wire += b"".join(late[6:])
    path.write_bytes(recorded(wire))
    return Recording(path)


def _with_status(n_samples: int, off: Mapping[int, tuple[int, int]]) -> bytes:
    device, wire = started(DeviceConfig(labels=CHANNELS, has_status=True, samples_per_frame=4))
    wire += command(device, Opcode.LEAD_OFF, bytes([1]), at_us=0, request_id=2)
    for k in range(n_samples):
        bits = sum(1 << channel for channel, (begin, end) in off.items() if begin <= k < end)
        device.push_samples(board_counts(k, 1), k * 4000, lead_off_p=bits)
        wire += device.poll(k * 4000)
    return wire


def all_counts(signal: Signal) -> np.ndarray:
    return np.concatenate(list(signal.pieces()), axis=1)


def told(events: tuple[SignalEvent, ...], *, findings: bool = True) -> list[tuple[object, ...]]:
    """What a format should keep of events: not who set them."""
    return sorted(
        (e.sample, e.text, e.n_samples, e.code, e.channels)
        for e in events
        if e.text != "BAD_saturated" and (findings or not e.is_finding)
    )


def same(found: Description, expected: Description, *, date: bool = False) -> None:
    """Everything but samples; `started` only where the date was to be kept."""
    assert found.channels == expected.channels
    assert (found.rate, found.n_samples, found.gaps) == (expected.rate, expected.n_samples, expected.gaps)
    assert abs(found.measured_hz / expected.measured_hz - 1) < 1e-9
    assert told(found.events) == told(expected.events)
    assert (found.device, found.reference) == (expected.device, expected.reference)
    assert found.started == (expected.started if date else "")
