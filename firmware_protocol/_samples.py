"""What samples are and what they mean: DATA and INFO (SPEC 4.1, 4.3)."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from firmware_protocol import limits
from firmware_protocol._fields import (
    FLOAT32,
    FORMATS,
    INT24,
    SAMPLE_SIZE,
    STATUS_SIZE,
    Format,
    check_samples,
    pack_fixed,
    require,
    text_bytes,
    text_of,
)
from firmware_protocol.errors import FrameError
from firmware_protocol.layout import CHANNEL, DATA, INFO
from firmware_protocol.limits import CRC_SIZE
from firmware_protocol.patterns import FULL_SCALE

__all__ = ["Data", "Info", "pack_counts", "status_word"]

_T = TypeVar("_T", int, float)
_read_data = DATA.struct.unpack_from
_read_info = INFO.struct.unpack_from


@dataclass(frozen=True, slots=True)
class Data:
    """Samples of `n_samples` conversions of `n_channels` channels (SPEC 4.1).

    `payload` is as the converter sent it: per conversion, with status words per converter a status word and
    its samples; int24 big-endian. Type 1 is float32, little-endian, in counts.
    """

    link_seq: int
    flags: int
    sample_index: int
    t_us: int
    n_channels: int
    n_samples: int
    config_id: int
    payload: bytes
    sample_type: int = INT24
    has_status: bool = False
    channels_per_converter: int = 8
    offset: int = field(default=-1, compare=False)

    def pack(self) -> bytes:
        form = Format(self.sample_type, self.has_status, self.channels_per_converter)
        check_samples(self.n_channels, self.n_samples, form)
        expected = self.n_samples * form.frame_size(self.n_channels)
        require(len(self.payload) == expected, "payload", f"{len(self.payload)} bytes", f"{expected} bytes")
        return pack_fixed(
            DATA,
            self.flags,
            self.link_seq,
            self.sample_index,
            self.t_us,
            self.n_channels,
            self.n_samples,
            form.byte(),
            self.config_id,
        ) + bytes(self.payload)

    @classmethod
    def unpack(cls, packet: bytes, offset: int = -1) -> Data:
        _, flags, link_seq, index, t_us, n_channels, n_samples, byte, config_id = _read_data(packet)
        form = FORMATS[byte]
        assert form is not None  # else stated_length is 0
        return cls(
            link_seq,
            flags,
            index,
            t_us,
            n_channels,
            n_samples,
            config_id,
            packet[16:-4],
            form.sample_type,
            form.has_status,
            form.channels_per_converter,
            offset,
        )

    def counts(self) -> list[list[int]]:
        """ADC counts, `n_samples` rows of `n_channels`. Raises FrameError if the samples are float32."""
        require(self.sample_type == INT24, "sample_type", self.sample_type, "0, int24")
        words = self.payload
        wide = bytearray(len(words) // 3 * 4)  # samples in the upper three bytes: the shift extends the sign
        for place in range(3):
            wide[place::4] = words[place::3]
        values = [value >> 8 for value in struct.unpack(f">{len(wide) // 4}i", wide)]
        if self.has_status:
            group = self.channels_per_converter + 1
            del values[::group]
        return self._rows(values)

    def values(self) -> list[list[float]]:
        """float32 samples in counts, `n_samples` rows of `n_channels`. Raises FrameError if int24."""
        require(self.sample_type == FLOAT32, "sample_type", self.sample_type, "1, float32")
        n_groups = self.n_samples * (self.n_channels // self.channels_per_converter) if self.has_status else 1
        size = len(self.payload) // n_groups
        skip = STATUS_SIZE if self.has_status else 0
        values: list[float] = []
        for at in range(0, len(self.payload), size):
            values += struct.unpack_from(f"<{(size - skip) // 4}f", self.payload, at + skip)
        return self._rows(values)

    def status_words(self) -> list[list[int]]:
        """24-bit status words, `n_samples` rows of one per converter; empty rows without status words."""
        if not self.has_status:
            return [[] for _ in range(self.n_samples)]
        group = STATUS_SIZE + self.channels_per_converter * SAMPLE_SIZE[self.sample_type]
        starts = range(0, len(self.payload), group)
        words = [int.from_bytes(self.payload[at : at + STATUS_SIZE]) for at in starts]
        n_converters = self.n_channels // self.channels_per_converter
        return [words[at : at + n_converters] for at in range(0, len(words), n_converters)]

    def _rows(self, values: list[_T]) -> list[list[_T]]:
        return [values[at : at + self.n_channels] for at in range(0, len(values), self.n_channels)]


@dataclass(frozen=True, slots=True)
class Info:
    """One page of what the device is and what its samples mean (SPEC 4.3).

    `uv_per_count` is the only scale anyone uses; channels `first_channel` … of this page.
    """

    link_seq: int
    flags: int
    page: int
    pages: int
    first_channel: int
    device_id: str
    firmware: str
    boot_id: int
    state: int
    rate_num: int
    rate_den: int
    config_id: int
    n_channels: int
    n_samples: int
    labels: tuple[str, ...]
    uv_per_count: tuple[float, ...]
    sample_type: int = INT24
    has_status: bool = False
    channels_per_converter: int = 8
    lead_off: int = 0
    offset: int = field(default=-1, compare=False)

    @property
    def converters(self) -> int:
        """Number of converters."""
        return -(-self.n_channels // self.channels_per_converter)

    def pack(self) -> bytes:
        self._check()
        require(
            len(self.labels) == len(self.uv_per_count),
            "uv_per_count",
            f"{len(self.uv_per_count)} scales",
            f"one for each of {len(self.labels)} labels",
        )
        fixed = pack_fixed(
            INFO,
            self.flags,
            self.link_seq,
            self.page,
            self.pages,
            self.first_channel,
            len(self.labels),
            self.boot_id,
            self.config_id,
            self.state,
            self.n_channels,
            self._format().byte(),
            self.rate_num,
            self.rate_den,
            self.n_samples,
            self.lead_off,
            text_bytes(self.device_id, 24, "device_id"),
            text_bytes(self.firmware, 16, "firmware"),
        )
        channels = zip(self.labels, self.uv_per_count, strict=True)
        return fixed + b"".join(
            CHANNEL.pack(text_bytes(label, limits.MAX_LABEL, "labels"), uv) for label, uv in channels
        )

    @classmethod
    def unpack(cls, packet: bytes, offset: int = -1) -> Info:
        _, flags, link_seq, page, pages, first_channel, _, boot_id, config_id, *rest = _read_info(packet)
        state, n_channels, byte, rate_num, rate_den, n_samples, lead_off, device_id, firmware = rest
        form = FORMATS[byte]
        if form is None:
            raise FrameError(f"format byte 0x{byte:02X} is not defined", field="format")
        channels = list(CHANNEL.iter_unpack(packet[INFO.size : -CRC_SIZE]))
        info = cls(
            link_seq=link_seq,
            flags=flags,
            page=page,
            pages=pages,
            first_channel=first_channel,
            device_id=text_of(device_id, "device_id"),
            firmware=text_of(firmware, "firmware"),
            boot_id=boot_id,
            state=state,
            rate_num=rate_num,
            rate_den=rate_den,
            config_id=config_id,
            n_channels=n_channels,
            n_samples=n_samples,
            labels=tuple(text_of(label, "labels") for label, _ in channels),
            uv_per_count=tuple(uv for _, uv in channels),
            sample_type=form.sample_type,
            has_status=form.has_status,
            channels_per_converter=form.channels_per_converter,
            lead_off=lead_off,
            offset=offset,
        )
        info._check()
        return info

    def _format(self) -> Format:
        return Format(self.sample_type, self.has_status, self.channels_per_converter)

    def _check(self) -> None:
        check_samples(self.n_channels, self.n_samples, self._format())
        require(1 <= self.pages <= limits.MAX_CHANNELS, "pages", self.pages, "1–64")
        require(self.page < self.pages, "page", self.page, f"below pages = {self.pages}")
        n_here = len(self.labels)
        require(1 <= n_here <= limits.MAX_PAGE_CHANNELS, "page_channels", n_here, "1–16")
        end = self.first_channel + n_here
        require(
            end <= self.n_channels, "first_channel", f"channels up to {end}", f"{self.n_channels} at most"
        )
        require(self.rate_num > 0, "rate_num", self.rate_num, "above 0")
        require(self.rate_den > 0, "rate_den", self.rate_den, "above 0")
        for label in self.labels:
            text_bytes(label, limits.MAX_LABEL, "labels")
        for uv in self.uv_per_count:
            require(math.isfinite(uv) and uv != 0.0, "uv_per_count", uv, "finite and not 0")


def status_word(lead_off_p: int = 0, lead_off_n: int = 0, gpio: int = 0) -> int:
    """Status word of a converter: 1100, eight positive and eight negative lead-off bits, four GPIO bits."""
    return 0xC << 20 | lead_off_p << 12 | lead_off_n << 4 | gpio


def pack_counts(
    rows: Iterable[Sequence[int]], *, status: Sequence[int] | None = None, channels_per_converter: int = 8
) -> bytes:
    """Payload of DATA: `rows` of int24 counts, each with the `status` words, one per converter, if given.

    Raises FrameError if a count does not fit 24 bits.
    """
    words: list[int] = []
    for row in rows:
        in_range = not row or (min(row) >= -FULL_SCALE and max(row) < FULL_SCALE)
        require(in_range, "counts", row, "−2^23 … 2^23 − 1")
        if status is None:
            words += row
        else:
            for k, word in enumerate(status):
                words.append(word)
                words += row[k * channels_per_converter : (k + 1) * channels_per_converter]
    wide = struct.pack(f">{len(words)}i", *words)
    payload = bytearray(3 * len(words))
    for place in range(3):
        payload[place::3] = wide[place + 1 :: 4]
    return bytes(payload)
