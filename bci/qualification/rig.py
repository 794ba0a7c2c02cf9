"""A board on a port and what lies at its inputs; setting it, and recording one take.

However a take ends, the board is idle and set as it wakes up, as far as it still answers.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from bci.acquisition import BoardClient, BoardSource, SimulatedBoard
from bci.errors import DeviceError, DeviceLostError
from bci.language import _
from bci.qualification.result import Setting, Take
from bci.qualification.whole_files import write_whole
from firmware_protocol import LeadOff, Pattern, TestSignal

__all__ = [
    "HALFWAY_FAULTS",
    "REFERENCE",
    "PortRig",
    "Rig",
    "SimulatedRig",
    "configure",
    "listen",
    "put_to_rest",
    "record",
    "same_board",
]

REFERENCE = ".reference.json"  # beside the recording: what a clock beside a simulated board said
#: Faults that would be over before a test begins if they happened when the board is made: kind -> options.
HALFWAY_FAULTS = {"unplug": ("seconds",), "stall": ("seconds",), "reset": (), "wrap": ("samples",)}
LOOK_S = 0.1  # between two looks at the operator's keys


class Rig(Protocol):
    """A board on a port, and what lies at its inputs."""

    @property
    def simulated(self) -> bool: ...

    @property
    def port(self) -> str: ...

    @property
    def baud(self) -> int: ...

    def open(self, record_to: Path | None, notes: Mapping[str, Any]) -> BoardSource:
        """The board, idle; errors are those of `open_source`."""

    def connect(self, what: Mapping[str, float | str]) -> None:
        """Called before a take, after the operator said that it is done."""

    def pace(self, *, real_time: bool) -> bool:
        """Wish for real time or not; returns whether the board's time is that of this computer."""

    def reference(self) -> list[tuple[int, int]]:
        """(conversion, ns) of a clock beside a board that does not run in real time; else nothing."""

    def begun(self, take: Take) -> None:
        """Called when the board has started on a take."""

    def halfway(self) -> None:
        """Called in the middle of each take."""


class PortRig:
    """A real board. That its test pattern arrives as other numbers is a finding here, no reason not to open it."""

    simulated = False

    def __init__(self, port: str, *, baud: int = 921_600) -> None:
        self.port, self.baud = port, baud

    def open(self, record_to: Path | None, notes: Mapping[str, Any]) -> BoardSource:
        return BoardSource(self.port, baud=self.baud, record_to=record_to, notes=notes, check_pattern=False)

    def connect(self, what: Mapping[str, float | str]) -> None:
        pass  # the operator has hands

    def pace(self, *, real_time: bool) -> bool:
        return True

    def reference(self) -> list[tuple[int, int]]:
        return []

    def begun(self, take: Take) -> None:
        pass

    def halfway(self) -> None:
        pass


class SimulatedRig:
    """A simulated bench board, as fast as this computer takes it; what a take asks for connects itself.

    Parameters
    ----------
    board : SimulatedBoard
    baud : int
    halfway : sequence of mapping
        `HALFWAY_FAULTS` that befall the board once, in the middle of its first take of signal.

    Raises
    ------
    ValueError
        If a fault has no such option.
    """

    simulated = True

    def __init__(
        self, board: SimulatedBoard, *, baud: int = 921_600, halfway: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        self._board = board
        self._rig = PortRig(board.port, baud=baud)
        self._befalls = [dict(fault) for fault in halfway]
        self._waits = False
        for fault in self._befalls:
            has = HALFWAY_FAULTS[fault["kind"]]
            if wrong := fault.keys() - {"kind", *has}:
                raise ValueError(
                    _("{kind} has no option {option!r}; it has: {options}").format(
                        kind=fault["kind"], option=min(wrong), options=", ".join(has) or _("none")
                    )
                )

    @property
    def port(self) -> str:
        return self._board.port

    @property
    def baud(self) -> int:
        return self._rig.baud

    def open(self, record_to: Path | None, notes: Mapping[str, Any]) -> BoardSource:
        self._rig.port = self._board.port
        return self._rig.open(record_to, notes)

    def connect(self, what: Mapping[str, float | str]) -> None:
        if self._befalls:
            self._board.allow(0)  # else all of a take is on its way before its middle is seen
        options: dict[str, Any] = dict(what)
        self._board.connect(options.pop("kind"), **options)

    def pace(self, *, real_time: bool) -> bool:
        return False  # it tells its own reference clock

    def reference(self) -> list[tuple[int, int]]:
        return self._board.reference()

    def begun(self, take: Take) -> None:
        of_signal = take.setting.pattern == Pattern.OFF  # a pattern waits for nobody
        self._waits = bool(self._befalls) and of_signal
        if self._waits:
            self._board.allow(math.ceil(take.n_samples / 2))

    def halfway(self) -> None:
        if not self._waits:
            return
        self._waits = False
        while self._befalls:
            fault = self._befalls.pop(0)
            self._board.fault(fault.pop("kind"), **fault)
        self._board.allow(None)


def same_board(rig: Rig, source: BoardSource, device: str) -> None:
    """Refuse another board than the one under test; `device` is what that one calls itself, "" any.

    Raises
    ------
    DeviceLostError
    """
    if device and source.info.device != device:
        raise DeviceLostError(
            _(
                "another board was put in: {came} is on {port}, and the test began with {began}. Put that one back"
            ).format(came=source.info.device, port=rig.port, began=device),
            port=rig.port,
        )


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
    device: str = "",
    heard: Callable[[float], None] = lambda signal_s: None,
    stopped: Callable[[], bool] = lambda: False,
) -> bool:
    """Record one take into a new file.

    Parameters
    ----------
    notes : mapping
        Kept in the recording, besides whether it ran in real time.
    device : str
        What the board that is under test calls itself.
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
        If the board cannot be opened, is another one, refuses a setting, or is lost; it is set back as far as it
        answers.
    RecordingError
        If the file cannot be made, or the disk is full.
    BenchRecordError
        If what lies beside it cannot be written.
    """
    rig.connect(take.connect)
    notes = {**notes, "take": take.name, "real_time": rig.pace(real_time=real_time)}
    with rig.open(path, notes) as source:
        try:
            same_board(rig, source, device)
            configure(source.client, take.setting)
            source.start()
            rig.begun(take)
            n = 0

            def look() -> int:
                nonlocal n
                # what was lost before the first sample is before the take
                n += sum(chunk.n_samples + chunk.lost_before * bool(n) for chunk in source.read(LOOK_S))
                if source.recording_error is not None:
                    raise source.recording_error
                return n

            if not listen(rig, take, look, heard=heard, stopped=stopped):
                return False
            source.stop()
            source.read(0.0)
            if real_time and (points := rig.reference()):
                samples, times_ns = zip(*points, strict=True)
                note = {"sample": samples, "ns": times_ns}
                write_whole(path.with_suffix(REFERENCE), json.dumps(note))
        finally:
            put_to_rest(source)
    return True


def listen(
    rig: Rig,
    take: Take,
    look: Callable[[], int],
    *,
    heard: Callable[[float], None],
    stopped: Callable[[], bool],
) -> bool:
    """Look again and again until the take is whole; False if `stopped` ended it.

    `look` reads for at most `LOOK_S`, says how many samples of the take there are, lost ones too, and raises what
    spoils the recording.
    """
    n, wanted, halfway = 0, take.n_samples, False
    while n < wanted:
        if stopped():
            return False
        if n >= wanted / 2 and not halfway:
            rig.halfway()
            halfway = True
        n = look()
        heard(min(n, wanted) / take.setting.rate_hz)
    return True


def put_to_rest(source: BoardSource) -> None:
    """Idle and set as it wakes up, as far as it still answers; no part of a recording."""
    with contextlib.suppress(DeviceError):
        source.stop()
        source.client.attach(None)
        configure(source.client, AWAKE)


#: As a board wakes up: electrodes, highest gain, nothing of its own on top.
AWAKE = Setting(test_signal=TestSignal.OFF, lead_off=LeadOff.OFF, pattern=Pattern.OFF)
