"""The board's side of a Cyton: what its firmware answers, and frames of what its converters give. No port, no clock.

It has the manners of `firmware_protocol.ReferenceDevice`, so the simulated board runs either. Commands are single
characters; while it streams, only `s` and `v` are obeyed and nothing is answered, as the firmware does on its radio.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from fractions import Fraction

from bci.acquisition.cyton.wire import (
    CHANNEL_KEYS,
    FRAME_BYTES,
    GAINS,
    N_CHANNELS,
    RATE_HZ,
    ChannelSetting,
    CytonFrame,
    encode_frame,
    uv_per_count,
)
from firmware_protocol import LeadOff, Pattern
from firmware_protocol.patterns import FULL_SCALE

__all__ = ["CytonDevice"]

QUEUE_BYTES = 1024
ACCELEROMETER_EVERY = 10
#: Lying flat: 0, 0, 1 g at 0.125 mg per count.
ACCELEROMETER = (0).to_bytes(2) + (0).to_bytes(2) + (8000).to_bytes(2)
#: Open and closing character of commands with arguments, and how many those are.
LONG = {"x": ("X", 7), "z": ("Z", 3)}
OFF, ON = "!@#$%^&*QWERTYUI", "12345678qwertyui"


class CytonDevice:
    """One boot of a Cyton.

    Parameters
    ----------
    n_channels : int
        8, or 16 with a Daisy.
    sample_index : int
        Where the count of conversions begins; its low byte is the counter of the frames.

    Raises
    ------
    ValueError
        If no Cyton has so many channels.
    """

    def __init__(self, n_channels: int, *, sample_index: int = 0, queue_bytes: int = QUEUE_BYTES) -> None:
        if n_channels not in (N_CHANNELS, 2 * N_CHANNELS):
            raise ValueError(f"a Cyton has 8 channels, with Daisy 16; not {n_channels}")
        self.rate = Fraction(RATE_HZ)
        self.next_sample = sample_index
        self.dropped = 0
        self.config_id = 0
        self._streaming = False
        self._has_daisy = n_channels > N_CHANNELS
        self._capacity = queue_bytes
        self._queue: deque[bytes] = deque()
        self._command = ""
        self._last: list[int] = []
        self._lead_off: set[int] = set()
        self._defaults()

    @property
    def streaming(self) -> bool:
        return self._streaming

    @property
    def daisy(self) -> bool:
        """Attached, and not switched off with `c`."""
        return self._has_daisy and self._n_channels > N_CHANNELS

    @property
    def uv_per_count(self) -> tuple[float, ...]:
        return tuple(uv_per_count(gain) for gain in self._gains)

    @property
    def lead_off(self) -> LeadOff:
        """Excitation of any channel: this firmware knows one tone."""
        return LeadOff.AC_31_25_HZ if self._lead_off else LeadOff.OFF

    @property
    def pattern(self) -> Pattern:
        return Pattern.OFF

    @property
    def queued_bytes(self) -> int:
        return sum(map(len, self._queue))

    # ---- what the simulated board asks of a device ----

    def receive(self, data: bytes, now_us: int) -> None:
        """Characters from the host."""
        for character in data.decode("latin-1"):
            self._heard(character)

    def push_samples(
        self,
        counts: Iterable[Sequence[int]],
        t_us: int | Sequence[int],
        *,
        lead_off_p: int = 0,
        trigger: bool = False,
    ) -> int:
        """Conversions of what lies at the inputs, (n_samples, n_channels); returns how many were made."""
        rows = list(counts.tolist() if hasattr(counts, "tolist") else counts)
        if not self.streaming:
            return 0
        for row in rows:
            self._convert([self._converted(k, value) for k, value in enumerate(row)])
        return len(rows)

    def event(self, source: int, code: int, value: int = 0, *, now_us: int) -> bool:
        """A Cyton has no packet for events."""
        return True

    def end_run(self, now_us: int) -> bool:
        """Nor for the end of a run."""
        return True

    def poll(self, now_us: int, room: int | None = None) -> bytes:
        """The next frame or text; all that wait where `room` is not limited."""
        if room is None:
            out = b"".join(self._queue)
            self._queue.clear()
            return out
        return self._queue.popleft() if self._queue else b""

    # ---- frames ----

    def _converted(self, channel: int, value: int) -> int:
        if not self._powered[channel] or (channel >= N_CHANNELS and not self.daisy):
            return 0
        return min(max(value, -FULL_SCALE), FULL_SCALE - 1)

    def _convert(self, row: list[int]) -> None:
        counter = self.next_sample & 0xFF
        self.next_sample += 1
        last, self._last = self._last or row, row
        if self.daisy:
            half = row[:N_CHANNELS] if counter % 2 else row[N_CHANNELS:]
            before = last[:N_CHANNELS] if counter % 2 else last[N_CHANNELS:]
            counts = tuple(_mean(a, b) for a, b in zip(before, half, strict=True))
        else:
            counts = tuple(row[:N_CHANNELS])
        if self.queued_bytes + FRAME_BYTES > self._capacity:
            self.dropped += 1
            return
        moved = counter % ACCELEROMETER_EVERY == 0
        self._queue.append(encode_frame(CytonFrame(counter, counts, ACCELEROMETER if moved else bytes(6))))

    # ---- commands ----

    def _heard(self, character: str) -> None:
        self._command += character
        first = self._command[0]
        if first in LONG:
            closing, n_arguments = LONG[first]
            if character == closing or len(self._command) > n_arguments + 1:
                command, self._command = self._command, ""
                self._set(command)
        elif first in "~/" and len(self._command) < 2:
            return
        else:
            command, self._command = self._command, ""
            self._obey(command)

    def _obey(self, command: str) -> None:
        match command[0]:
            case "b":
                if not self.streaming:
                    self._last = []
                    self.next_sample &= ~0xFF  # the firmware's counter begins at 0
                    self._streaming = True
            case "s":
                self._streaming = False
            case "v":
                self._streaming = False
                self._queue.clear()
                self._defaults()
                daisy = "On Daisy ADS1299 Device ID: 0x3E\n" if self._has_daisy else ""
                self._say(
                    "OpenBCI V3 8-16 channel\nOn Board ADS1299 Device ID: 0x3E\n"
                    f"{daisy}LIS3DH Device ID: 0x33\nFirmware: v3.1.2\n"
                )
            case "d":
                self._default_settings()
                self._say("updating channel settings to default")
            case "D":
                self._say("060110")
            case "?":
                self._say(self._registers())
            case "c":
                self._n_channels = N_CHANNELS
                self._say("daisy removed" if self._has_daisy else "")
            case "C":
                self._n_channels = 2 * N_CHANNELS if self._has_daisy else N_CHANNELS
                self._say("16" if self._has_daisy else "no daisy to attach!8")
            case "~":
                self._say(
                    "Success: Sample rate is 250Hz" if command[1] in "~6" else "Failure: only 250Hz here"
                )
            case key if key in ON or key in OFF:
                names, on = (ON, True) if key in ON else (OFF, False)
                self._powered[names.index(key)] = on
            case _:
                pass  # an unknown character is nothing

    def _set(self, command: str) -> None:
        settings = ChannelSetting.all_in(command.encode("latin-1"))
        if command[0] == "x" and settings:
            setting = settings[0]
            self._gains[setting.channel], self._powered[setting.channel] = setting.gain, setting.powered
            self.config_id += 1
            self._say(f"Success: Channel set for {setting.channel + 1}")
        elif (
            command[0] == "z"
            and len(command) == 5
            and command[1] in CHANNEL_KEYS
            and set(command[2:4]) <= {"0", "1"}
        ):
            channel = CHANNEL_KEYS.index(command[1])
            self._lead_off = self._lead_off - {channel} | ({channel} if "1" in command[2:4] else set())
            self._say(f"Success: Lead off set for {channel + 1}")
        else:
            self._say("Failure: too few chars" if command[-1] in "XZ" else "Failure: 9th char not X")

    def _say(self, text: str) -> None:
        if not self.streaming:
            self._queue.append(text.encode() + b"$$$")

    def _defaults(self) -> None:
        self._command = ""
        self._n_channels = 2 * N_CHANNELS if self._has_daisy else N_CHANNELS
        self._last = []
        self._default_settings()

    def _default_settings(self) -> None:
        n = 2 * N_CHANNELS if self._has_daisy else N_CHANNELS
        self._gains = [GAINS[-1]] * n
        self._powered = [True] * n
        self._lead_off = set()
        self.config_id += 1

    def _registers(self) -> str:
        lines = []
        for first in range(0, self._n_channels, N_CHANNELS):
            lines.append("Daisy ADS Registers" if first else "Board ADS Registers")
            values = {
                0x00: ("ADS_ID", 0x3E),
                0x01: ("CONFIG1", 0xB6),
                0x02: ("CONFIG2", 0xC0),
                0x03: ("CONFIG3", 0xEC),
            }
            for k in range(N_CHANNELS):
                off = 0 if self._powered[first + k] else 0x80
                values[0x05 + k] = (f"CH{k + 1}SET", off | GAINS.index(self._gains[first + k]) << 4 | 0x08)
            for address, (name, value) in values.items():
                lines.append(f"{name}, {address:02X}, {value:02X}, {', '.join(f'{value:08b}')}")
        return "\n".join([*lines, ""])


def _mean(a: int, b: int) -> int:
    """As the firmware's integers divide: towards zero."""
    return int((a + b) / 2)
