"""A board on a port and what lies at its inputs; setting it, and recording one take.

However a take ends, the board is idle and set as it wakes up, as far as it still answers.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from bci.acquisition import BoardClient, BoardSource, SimulatedBoard
from bci.errors import DeviceError
from bci.files import write_private
from bci.qualification.result import Setting, Take
from firmware_protocol import LeadOff, Pattern, TestSignal

__all__ = ["REFERENCE", "PortRig", "Rig", "SimulatedRig", "configure", "record"]

REFERENCE = ".reference.json"  # beside the recording: what a clock beside a simulated board said
LOOK_S = 0.1  # between two looks at the operator's keys


class Rig(Protocol):
    """A board on a port, and what lies at its inputs."""

    @property
    def simulated(self) -> bool: ...

    def open(self, record_to: Path | None, notes: Mapping[str, Any]) -> BoardSource:
        """The board, idle; errors are those of `open_source`."""

    def connect(self, what: Mapping[str, float | str]) -> None:
        """Called before a take, after the operator said that it is done."""

    def pace(self, *, real_time: bool) -> bool:
        """Wish for real time or not; returns whether the board's time is that of this computer."""

    def reference(self) -> list[tuple[int, int]]:
        """(conversion, ns) of a clock beside a board that does not run in real time; else nothing."""


class PortRig:
    """A real board. That its test pattern arrives as other numbers is a finding here, no reason not to open it."""

    simulated = False

    def __init__(self, port: str, *, baud: int = 921_600) -> None:
        self.port, self._baud = port, baud

    def open(self, record_to: Path | None, notes: Mapping[str, Any]) -> BoardSource:
        return BoardSource(self.port, baud=self._baud, record_to=record_to, notes=notes, check_pattern=False)

    def connect(self, what: Mapping[str, float | str]) -> None:
        pass  # the operator has hands

    def pace(self, *, real_time: bool) -> bool:
        return True

    def reference(self) -> list[tuple[int, int]]:
        return []


class SimulatedRig:
    """A simulated bench board, as fast as this computer takes it; what a take asks for connects itself."""

    simulated = True

    def __init__(self, board: SimulatedBoard, *, baud: int = 921_600) -> None:
        self._board = board
        self._rig = PortRig(board.port, baud=baud)

    def open(self, record_to: Path | None, notes: Mapping[str, Any]) -> BoardSource:
        self._rig.port = self._board.port
        return self._rig.open(record_to, notes)

    def connect(self, what: Mapping[str, float | str]) -> None:
        options: dict[str, Any] = dict(what)
        self._board.connect(options.pop("kind"), **options)

    def pace(self, *, real_time: bool) -> bool:
        return False  # it tells its own reference clock

    def reference(self) -> list[tuple[int, int]]:
        return self._board.reference()


def configure(client: BoardClient, setting: Setting) -> None:
    """Set an idle board for a take.

    Raises
    ------
    DeviceRefusedError
        If the board has no such setting.
    """
    configuration = client.configuration or client.identify()
    if configuration.signal.rate != setting.rate_hz:
        client.set_rate(setting.rate_hz)
    client.set_channel(None, gain=setting.gain, mux=setting.mux)
    for channel, mux in setting.mux_of.items():
        client.set_channel(channel, gain=setting.gain, mux=mux)
    client.set_test_signal(setting.test_signal, amplitude=setting.amplitude)
    client.set_lead_off(setting.lead_off)
    client.set_test_pattern(setting.pattern)


def record(
    rig: Rig,
    take: Take,
    path: Path,
    *,
    notes: Mapping[str, Any],
    real_time: bool,
    heard: Callable[[float], None] = lambda signal_s: None,
    stopped: Callable[[], bool] = lambda: False,
) -> bool:
    """Record one take into a new file.

    Parameters
    ----------
    notes : mapping
        Kept in the recording, besides whether it ran in real time.
    heard : callable
        Is told how many seconds of signal there are, a few times a second.
    stopped : callable
        Asked as often; True ends it.

    Returns
    -------
    whole : bool
        False if `stopped` ended it.

    Raises
    ------
    DeviceError
        If the board cannot be opened, refuses a setting, or is lost; it is set back as far as it answers.
    RecordingError
        If the file cannot be made, or the disk is full.
    """
    rig.connect(take.connect)
    notes = {**notes, "take": take.name, "real_time": rig.pace(real_time=real_time)}
    with rig.open(path, notes) as source:
        try:
            configure(source.client, take.setting)
            wanted = round((take.seconds + take.settle_s) * take.setting.rate_hz)
            source.start()
            n = 0
            while n < wanted:
                if stopped():
                    return False
                # what was lost before the first sample is before the take
                n += sum(chunk.n_samples + chunk.lost_before * bool(n) for chunk in source.read(LOOK_S))
                if source.recording_error is not None:
                    raise source.recording_error
                heard(min(n, wanted) / take.setting.rate_hz)
            source.stop()
            source.read(0.0)
            if real_time and (points := rig.reference()):
                samples, times_ns = zip(*points, strict=True)
                note = {"sample": samples, "ns": times_ns}
                write_private(path.with_suffix(REFERENCE), json.dumps(note))
        finally:
            with contextlib.suppress(DeviceError):
                source.stop()
                source.client.attach(None)  # what follows is no part of the take
                configure(source.client, AWAKE)
    return True


#: As a board wakes up: electrodes, highest gain, nothing of its own on top.
AWAKE = Setting(test_signal=TestSignal.OFF, lead_off=LeadOff.OFF, pattern=Pattern.OFF)
