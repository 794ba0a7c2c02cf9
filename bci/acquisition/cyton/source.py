"""An OpenBCI Cyton, with or without Daisy, as a source: `open_source("cyton:///dev/ttyUSB0")`."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any

from bci._version import __version__
from bci.acquisition._account import Statistics
from bci.acquisition.cyton.assembler import CytonAssembler
from bci.acquisition.cyton.path import BEGIN, END, obey
from bci.acquisition.cyton.wire import BAUD, CHANNEL_KEYS, FRAME_BYTES, GAINS, RATE_HZ
from bci.acquisition.device_source import DeviceSource
from bci.acquisition.link import Link, SerialLink
from bci.acquisition.recorder import RecordingWriter
from bci.chunks import Chunk, Marker, SignalInfo
from bci.errors import (
    DeviceError,
    DeviceLostError,
    DeviceRefusedError,
    DeviceTimeoutError,
    MontageMismatchError,
)
from bci.language import _
from firmware_protocol import Dialect, MarkerNote

__all__ = ["CytonSource"]

SCHEME = "cyton://"
CHANNELS = "channels="
REPLY_END = b"$$$"
REPLY_S = 1.0  # a reset makes the board look for its Daisy
TRIES = 3
QUIET_S = 0.15
DRAIN_S = 2.0
NOTE_BYTES = 40  # of each frame that is read by itself: a RAW packet, its time of arrival
_FIRMWARE = re.compile(r"[Ff]irmware:?\s*(v[\d.]+)")


class CytonSource(DeviceSource):
    """A Cyton on its dongle; parameters and errors are those of `open_source`.

    Commands take effect only while it does not stream: its replies are text between frames, and the firmware stops
    converting while it writes them.

    Parameters
    ----------
    url : str
        `cyton://` and the port: `cyton:///dev/ttyUSB0`, `cyton://COM3`; with names of the electrodes
        `cyton:///dev/ttyUSB0?channels=C3,Cz,C4,…`.
    baud : int
        Not used: the line of a Cyton has 115200 baud.
    channels : sequence of str, optional
        Names of the electrodes. Default: those of the usual headset.
    link : Link, optional
        An open link instead of the port that `url` names; closed with the source.
    clock_ns, wall_clock : callable
        Monotonic time in ns, and the time of day that the recording is labelled with.

    Raises
    ------
    DeviceTimeoutError
        If what is on the port is no Cyton, or one whose board is off.
    """

    def __init__(
        self,
        url: str,
        *,
        baud: int = BAUD,
        labels: Mapping[int, str] | None = None,
        record_to: str | PathLike[str] | None = None,
        notes: Mapping[str, Any] | None = None,
        channels: Sequence[str] = (),
        link: Link | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.labels = dict(labels or {})
        self.recording_path = None if record_to is None else Path(record_to)
        self._port, _mark, query = url.removeprefix(SCHEME).partition("?")
        channels = channels or tuple(filter(None, query.removeprefix(CHANNELS).split(",")))
        self._clock_ns = clock_ns
        self._recorder: RecordingWriter | None = None
        self._last_byte_ns = 0
        self._closed = False
        self._ready: list[Chunk] = []  # of what came during a dialogue
        self._link = link if link is not None else SerialLink(self._port, baud=BAUD, clock_ns=clock_ns)
        try:
            self.description = self._introduce()
            firmware = _FIRMWARE.search(self.description)
            device = f"OpenBCI Cyton {firmware[1] if firmware else ''}".strip()
            daisy = "Daisy ADS1299" in self.description
            try:
                self._assembler = CytonAssembler(daisy=daisy, channels=channels, device=device)
            except ValueError as err:
                raise MontageMismatchError(
                    _("{port}: {err}").format(port=self._port, err=err), got=tuple(channels)
                ) from err
            if self.recording_path is not None:
                facts = {
                    "software": f"bci {__version__}",
                    "dialect": Dialect.CYTON.name.lower(),
                    "port": self._port,
                    "baud": BAUD,
                    "daisy": daisy,
                    "channels": list(self.info.channels),
                    "device": device,
                    "labels": {str(code): name for code, name in self.labels.items()},
                    "notes": dict(notes or {}),
                }
                self._recorder = RecordingWriter(
                    self.recording_path,
                    facts=facts,
                    wall_clock=wall_clock(),
                    dialect=Dialect.CYTON,
                    clock_ns=clock_ns,
                )
            self._command(b"d")  # the channel settings that everything after this counts from
        except BaseException:
            self._link.close()
            if self._recorder is not None:
                self._recorder.close()
            raise

    # ---- what it is ----

    @property
    def info(self) -> SignalInfo:
        return self._assembler.info

    @property
    def statistics(self) -> Statistics:
        return self._assembler.statistics

    @property
    def bytes_per_s(self) -> float:
        """What a recording grows by, notes included."""
        return RATE_HZ * (FRAME_BYTES + NOTE_BYTES)

    # ---- the stream ----

    def start(self) -> None:
        """Begin a run."""
        if not self._assembler.running:
            self._send(BEGIN)

    def stop(self) -> None:
        """End a run; idle already is fine. What was still on its way can be read."""
        if self._assembler.running:
            self._send(END)
            self._drain()

    def read(self, timeout_s: float) -> list[Chunk]:
        deadline_ns = self._clock_ns() + round(timeout_s * 1e9)
        while True:
            if self._closed:
                raise DeviceLostError(
                    _("{port} was closed; open it again to go on").format(port=self._port), port=self._port
                )
            chunks, self._ready = self._ready, []
            left_s = (deadline_ns - self._clock_ns()) / 1e9
            if not chunks:
                chunks = self._listen(max(left_s, 0.0))[1]
            if chunks or left_s <= 0:
                return chunks

    def mark(self, label: str, *, code: int = 0, value: int = 0) -> None:
        """Set a marker at the next sample; it comes out with the next chunk and is recorded."""
        sample_index = self._assembler.next_sample
        if self._recorder is not None:
            self._recorder.marked(MarkerNote(sample_index, self._clock_ns(), code, value, label))
        self._assembler.mark(Marker(sample_index, label, code, value, "host"))

    def close(self) -> None:
        if self._closed:
            return
        try:
            with contextlib.suppress(DeviceError):
                self.stop()
        finally:
            self._closed = True
            self._link.close()
            self._assembler.end()
            if self._recorder is not None:
                self._recorder.close()

    # ---- settings ----

    def set_channel(self, channel: int, *, gain: int = 24, powered: bool = True, input_type: int = 0) -> None:
        """Gain, power and input (0 electrode, 1 shorted, 5 test signal …) of a channel, counted from 0.

        Raises
        ------
        ValueError
            If a Cyton has no such channel or gain.
        DeviceRefusedError
            If it streams, or does not confirm.
        """
        if not (0 <= channel < self.info.n_channels and gain in GAINS and 0 <= input_type <= 7):
            raise ValueError(
                f"expected a channel 0–{self.info.n_channels - 1}, a gain of {GAINS} and an input 0–7, got "
                f"{channel}, {gain} and {input_type}"
            )
        power, digit = "0" if powered else "1", GAINS.index(gain)
        reply = self._command(f"x{CHANNEL_KEYS[channel]}{power}{digit}{input_type}110X".encode())
        self._must_say("Success", reply, "a channel setting")

    def set_lead_off(self, channel: int, *, positive: bool, negative: bool = False) -> None:
        """6 nA at 31.2 Hz through the inputs of a channel, counted from 0."""
        command = f"z{CHANNEL_KEYS[channel]}{positive:d}{negative:d}Z".encode()
        self._must_say("Success", self._command(command), "a lead-off setting")

    def registers(self) -> str:
        """The registers of its converters, as text."""
        return self._command(b"?")

    # ---- the dialogue ----

    def _introduce(self) -> str:
        """Stop it, whatever it does, reset it, and hear what it is."""
        self._assembler = CytonAssembler(daisy=False)
        heard = b""
        for _try in range(TRIES):
            self._link.write(END)
            heard += self._quiet()
            self._link.write(b"v")
            heard = self._reply() or heard
            if b"OpenBCI" in heard or b"ADS1299" in heard:
                rate = self._rate(heard)
                if rate not in (None, RATE_HZ):
                    self._ask(b"~6")
                return heard.decode("ascii", errors="replace")
        came = (
            _("these bytes came: {shown}").format(shown=heard[:24].hex(" ")) if heard else _("nothing came")
        )
        raise DeviceTimeoutError(
            _(
                "no Cyton answers on {port}; {came}. Is the board switched to PC, its dongle to GPIO6, and "
                "is this the dongle's port ({baud} baud)?"
            ).format(port=self._port, came=came, baud=BAUD),
            port=self._port,
        )

    def _rate(self, introduction: bytes) -> int | None:
        """Samples a second, where the firmware can tell (3 and later)."""
        if not re.search(rb"[Ff]irmware:?\s*v[3-9]", introduction):
            return None
        found = re.search(rb"(\d+)\s*Hz", self._ask(b"~~"))
        return int(found[1]) if found else None

    def _command(self, command: bytes) -> str:
        if self._assembler.running:
            raise DeviceRefusedError(
                _("{port}: a Cyton takes commands only while it does not stream; stop it first").format(
                    port=self._port
                ),
                port=self._port,
                status="BUSY",
            )
        if self._recorder is not None:
            self._recorder.sent(command, self._clock_ns())
        obey(self._assembler, command)
        return self._ask(command).decode("ascii", errors="replace")

    def _ask(self, command: bytes) -> bytes:
        self._link.write(command)
        return self._reply()

    def _must_say(self, word: str, reply: str, what: str) -> None:
        if word not in reply:
            raise DeviceRefusedError(
                _("the Cyton on {port} did not confirm {what}: {answer}").format(
                    port=self._port, what=what, answer=reply.strip() or _("no answer")
                ),
                port=self._port,
                status="FAILED",
            )

    def _send(self, command: bytes) -> None:
        self._link.write(command)
        if self._recorder is not None:
            self._recorder.sent(command, self._clock_ns())
        self._ready += obey(self._assembler, command)

    def _reply(self) -> bytes:
        """Text up to `$$$`; empty if none came in time."""
        reply = b""
        deadline_ns = self._clock_ns() + round(REPLY_S * 1e9)
        while REPLY_END not in reply and (left_ns := deadline_ns - self._clock_ns()) > 0:
            reply += self._listen(left_ns / 1e9)[0]
        return reply.partition(REPLY_END)[0] if REPLY_END in reply else b""

    def _quiet(self) -> bytes:
        """What comes until nothing comes for a moment."""
        came = b""
        deadline_ns = self._clock_ns() + round(DRAIN_S * 1e9)
        while self._clock_ns() < deadline_ns:
            data, chunks = self._listen(QUIET_S)
            if not data:
                break
            came += data
            self._ready += chunks
        return came

    def _drain(self) -> None:
        """The rest of a run; its last frame counts although no other follows."""
        self._quiet()
        self._ready += self._assembler.end()

    def _listen(self, timeout_s: float) -> tuple[bytes, list[Chunk]]:
        """What the link has, recorded and put together."""
        data, chunks = b"", []
        for arrival in self._link.read(timeout_s):
            if self._recorder is not None:
                self._recorder.arrived(arrival.data, arrival.at_ns)
            data += arrival.data
            new = self._assembler.feed(arrival.data, arrival.at_ns)
            if new:
                self._last_byte_ns = arrival.at_ns
            chunks += new
        return data, chunks
