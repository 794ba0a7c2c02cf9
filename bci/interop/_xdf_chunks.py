"""The chunks of an XDF file [1]_, one by one: what each stream is, and its samples in blocks.

Rules
-----
- Held are headers, footers, clock offsets and what string streams say; numbers are read block by block, however large
  their chunk.
- A sample without a time stamp comes one nominal interval after the one before it, whichever chunk that was in.
- The walk ends at the first chunk that is not whole; `broken_at` says where. What lies before it is read.

References
----------
.. [1] XDF specification 1.0, https://github.com/sccn/xdf/wiki/Specifications
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple
from xml.etree.ElementTree import Element, ParseError, fromstring

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.errors import RecordingError

__all__ = [
    "BOUNDARY",
    "CLOCK_OFFSET",
    "FILE_HEADER",
    "MAGIC",
    "SAMPLES",
    "STREAM_FOOTER",
    "STREAM_HEADER",
    "XdfFile",
    "XdfStream",
]

MAGIC = b"XDF:"
FILE_HEADER, STREAM_HEADER, SAMPLES, CLOCK_OFFSET, BOUNDARY, STREAM_FOOTER = range(1, 7)
OF_A_STREAM = (STREAM_HEADER, SAMPLES, CLOCK_OFFSET, STREAM_FOOTER)
STRING = "string"
DTYPES = {
    "float32": "<f4", "double64": "<f8", "int8": "i1", "int16": "<i2", "int32": "<i4", "int64": "<i8",
}  # fmt: skip
HEAD_BYTES = 24  # length, tag, stream and number of samples
READ_BYTES = 1 << 20
BLOCK = 1 << 14  # samples
BLOCK_BYTES = 8 << 20
LATE, FAR = 10.0, 10.0  # intervals, robust deviations


class Chunk(NamedTuple):
    tag: int
    stream: int  # -1 where it is of none
    begin: int  # of its content, in the file
    end: int


@dataclass(slots=True)
class XdfStream:
    """One stream.

    Parameters
    ----------
    info : Element
        Its header.
    footer : Element, optional
        None where the file ends before it.
    clock : list of (float, float)
        When an offset was measured, by the stream's clock, and what to add there.
    n_samples : int
    stamps : list of float, s
        Of string streams, as stored or deduced.
    texts : list of tuple of str
        Of string streams, a text for each channel.
    """

    info: Element
    footer: Element | None = None
    clock: list[tuple[float, float]] = field(default_factory=list)
    n_samples: int = 0
    stamps: list[float] = field(default_factory=list)
    texts: list[tuple[str, ...]] = field(default_factory=list)

    def text(self, path: str) -> str:
        """Of an element of the header; "" where there is none."""
        return self.info.findtext(path) or ""

    @property
    def n_channels(self) -> int:
        return int(self.text("channel_count"))

    @property
    def rate_hz(self) -> float:
        """Nominal; 0 for what comes irregularly."""
        return float(self.text("nominal_srate") or 0)

    @property
    def period_s(self) -> float:
        return 1.0 / self.rate_hz if self.rate_hz > 0 else 0.0

    @property
    def is_text(self) -> bool:
        return self.text("channel_format") == STRING

    @property
    def stated(self) -> int:
        """Samples by its footer; -1 where that says nothing."""
        count = None if self.footer is None else self.footer.findtext("sample_count")
        return int(count) if count and count.strip().isdecimal() else -1

    def forget_the_end(self) -> None:
        """Take back what a stream sometimes sends while it dies: samples behind its count, with a wild clock offset.

        liblsl does so where an outlet is destroyed with inlets still connected [2]_.

        References
        ----------
        .. [2] https://github.com/sccn/liblsl/issues/246
        """
        if 0 <= self.stated < self.n_samples and _is_wild(np.array(self.clock)):
            self.n_samples = self.stated
            del self.clock[-1], self.stamps[self.stated :], self.texts[self.stated :]


class XdfFile:
    """An XDF file.

    Attributes
    ----------
    streams : dict of int to XdfStream
        In order of appearance.
    broken_at : int
        Byte at which a chunk begins that is not whole; -1: the file is.

    Raises
    ------
    RecordingError
        If it is no XDF, or damaged within a chunk.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.streams: dict[int, XdfStream] = {}
        self.broken_at = -1
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise RecordingError(f"{path} is no XDF file, whatever its name says", path=path)
            for chunk in self._chunks(file):
                try:
                    self._take(file, chunk)
                except (ValueError, IndexError, KeyError, struct.error, ParseError) as err:
                    raise self._damaged(chunk.begin, err) from err
        for stream in self.streams.values():
            stream.forget_the_end()

    def numbers(self, stream: XdfStream) -> Iterator[tuple[F64, NDArray[Any]]]:
        """Blocks of a stream of numbers: time stamps as stored or deduced, s, and values (n_samples, n_channels)."""
        from bci.interop._xdf_kernel import split

        number = next(k for k, one in self.streams.items() if one is stream)
        kind = np.dtype(DTYPES[stream.text("channel_format")])
        width = stream.n_channels * kind.itemsize
        room = max(1, min(BLOCK, BLOCK_BYTES // max(width, 1)))
        stamps, values = np.empty(room, "<f8"), np.empty((room, width), np.uint8)
        filled, last, left = 0, 0.0, stream.n_samples
        with self.path.open("rb") as file:
            for chunk in self._chunks(file):
                if chunk.tag != SAMPLES or chunk.stream != number:
                    continue
                file.seek(chunk.begin)
                n, at = _count(file.read(9), 0)
                data, at, behind = b"", 0, chunk.begin + at
                n = min(n, left)
                left -= n
                while n:
                    file.seek(behind)
                    data = data[at:] + file.read(min(READ_BYTES + width + 9, chunk.end - behind))
                    behind = file.tell()
                    before = n
                    at = 0
                    while n and at >= 0:
                        at, got, last = split(
                            np.frombuffer(data, np.uint8), at, n, stream.period_s, last,
                            stamps, stamps.view(np.uint8).reshape(room, 8), values, filled,
                        )  # fmt: skip
                        n, filled = n - got, filled + got
                        if filled < room:
                            break
                        yield stamps, values.view(kind)
                        stamps, values, filled = np.empty(room, "<f8"), np.empty((room, width), np.uint8), 0
                    if at < 0 or (n == before and behind == chunk.end):
                        raise self._damaged(chunk.begin, "its samples do not fill it")
        if filled:
            yield stamps[:filled], values[:filled].view(kind)

    def _chunks(self, file: IO[bytes]) -> Iterator[Chunk]:
        size = os.fstat(file.fileno()).st_size
        at = len(MAGIC)
        while at < size:
            file.seek(at)
            head = file.read(HEAD_BYTES)
            try:
                n_bytes, width = _count(head, 0)
                (tag,) = struct.unpack_from("<H", head, width)
                stream, skip = -1, 2
                if tag in OF_A_STREAM:
                    (stream,), skip = struct.unpack_from("<I", head, width + 2), 6
            except (ValueError, IndexError, struct.error):
                n_bytes = width = skip = 0
            end = at + width + n_bytes
            if n_bytes < skip or not width or end > size:
                self.broken_at = at
                return
            yield Chunk(tag, stream, at + width + skip, end)
            at = end

    def _take(self, file: IO[bytes], chunk: Chunk) -> None:
        if chunk.tag not in OF_A_STREAM:
            return
        file.seek(chunk.begin)
        if chunk.tag == STREAM_HEADER:
            self.streams[chunk.stream] = _checked(XdfStream(_xml(file.read(chunk.end - chunk.begin))))
            return
        stream = self.streams[chunk.stream]
        if chunk.tag == CLOCK_OFFSET:
            stream.clock.append(struct.unpack("<dd", file.read(16)))
        elif chunk.tag == STREAM_FOOTER:
            stream.footer = _xml(file.read(chunk.end - chunk.begin))
        elif stream.is_text:
            _take_texts(stream, file.read(chunk.end - chunk.begin))
        else:
            stream.n_samples += _count(file.read(9), 0)[0]

    def _damaged(self, at: int, why: object) -> RecordingError:
        return RecordingError(
            f"{self.path} is damaged or was cut: the chunk at byte {at} cannot be read ({why}); copy it again",
            path=self.path,
        )


def _count(data: bytes, at: int) -> tuple[int, int]:
    """A variable-length integer: its value, and where it ends."""
    width = data[at]
    if width not in (1, 4, 8) or len(data) < at + 1 + width:
        raise ValueError(f"no length begins with byte {width}")
    return int.from_bytes(data[at + 1 : at + 1 + width], "little"), at + 1 + width


def _xml(content: bytes) -> Element:
    return fromstring(content.decode("utf-8", "replace"))


def _checked(stream: XdfStream) -> XdfStream:
    """ValueError if it is of a format that there is not, or says no number where one belongs."""
    kind = stream.text("channel_format")
    if kind != STRING and kind not in DTYPES:
        raise ValueError(f"a stream of {kind!r}")
    if stream.n_channels < 0 or not 0 <= stream.rate_hz < math.inf:
        raise ValueError(f"{stream.n_channels} channels at {stream.rate_hz} Hz")
    return stream


def _take_texts(stream: XdfStream, content: bytes) -> None:
    n, at = _count(content, 0)
    last = stream.stamps[-1] if stream.stamps else 0.0
    for _ in range(n):
        at += 1
        if content[at - 1]:
            (last,) = struct.unpack_from("<d", content, at)
            at += 8
        else:
            last += stream.period_s
        words = []
        for _ in range(stream.n_channels):
            size, at = _count(content, at)
            words.append(content[at : at + size].decode(errors="replace"))
            at += size
        if at > len(content):
            raise ValueError("a text goes beyond its chunk")
        stream.stamps.append(last)
        stream.texts.append(tuple(words))
    stream.n_samples += n


def _is_wild(clock: F64) -> bool:
    """Whether the last offset came long after the others, or lies far from them."""
    if len(clock) < 3:
        return False
    times, values = clock.T
    steps = np.diff(times)
    usual = np.median(steps[:-1])
    middle = np.median(values[:-1])
    spread = 1.4826 * np.median(np.abs(values[:-1] - middle))
    late = abs(steps[-1]) > LATE * usual if usual > 0 else steps[-1] != 0
    return bool(late or abs(values[-1] - middle) > FAR * spread > 0)
