"""Check a capture or a recording block by block, whatever its size: the wire goes to the checker, notes beside it.

Small captures go through the reference decoder, which starts at once. Once `BULK_FROM` bytes are there, the compiled
decoder takes over; it wants large pieces, so wire is gathered until there is one.
"""

from __future__ import annotations

from firmware_protocol.host import Arrivals, Raw, Sent, Splitter
from firmware_protocol.validator.checker import Checker
from firmware_protocol.validator.report import Report, Selection

__all__ = ["BULK_FROM", "CaptureCheck", "foreign_kind"]

BULK_FROM = 1 << 22
_PIECE = 1 << 19
_HEAD = 16
#: How files begin that people take for captures by mistake.
_FOREIGN = (
    (b"PK\x03\x04", "a zip archive (or what is kept in one, such as .xlsx or .npz)"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
    (b"0       ", "an EDF file; `bci import` reads it"),
    (b"\xffBIOSEMI", "a BDF file; `bci import` reads it"),
    (b"GDF ", "a GDF file; `bci import` reads it"),
    (b"XDF:", "an XDF file; `bci import` reads it"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a picture (PNG)"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
    (b"\x7fELF", "a program (ELF)"),
    (b"MZ", "a program for Windows"),
    (b"\x93NUMPY", "a numpy array"),
    (b"SQLite format", "a database (SQLite)"),
)


def foreign_kind(head: bytes) -> str | None:
    """What a file is that begins so, if that is known and it is no capture."""
    return next((kind for magic, kind in _FOREIGN if head.startswith(magic)), None)


class CaptureCheck:
    """Feed it the blocks of a file; `finish` gives the report."""

    def __init__(self, *, selection: Selection | None = None, baud: int | None = None) -> None:
        self._selection = selection
        self._baud = baud
        self._first: list[bytes] = []  # until it is known which decoder to take
        self._n_first = 0
        self._splitter = Splitter()
        self._checker: Checker | None = None
        self._wire = bytearray()
        self.head = b""
        self.size = 0

    @property
    def full(self) -> bool:
        """Whether `max_errors` is reached: nothing more need be read."""
        return self._checker is not None and self._checker.full

    @property
    def errors(self) -> int:
        """Findings of level MUST so far."""
        return 0 if self._checker is None else self._checker.errors

    def feed(self, block: bytes) -> None:
        """Bytes of the file, in order."""
        self.head = self.head or block[:_HEAD]
        self.size += len(block)
        if self._checker is None:
            self._first.append(block)
            self._n_first += len(block)
            if self._n_first < BULK_FROM:
                return
            self._checker = self._begin(bulk=True)
            for kept in self._first:
                self._take(self._checker, kept)
            self._first.clear()
        else:
            self._take(self._checker, block)

    def finish(self, name: str) -> Report:
        """The report, once the file has ended."""
        checker = self._checker or self._begin(bulk=False)
        for kept in self._first:
            self._take(checker, kept)
        rest = self._splitter.finish()
        self._wire += rest
        self._flush(checker)
        is_recording = self._splitter.nonce is not None
        report = checker.finish(name, is_recording=is_recording)
        if not report.frames:
            report.notes.append(self._why_no_frames(is_recording))
        return report

    def _begin(self, *, bulk: bool) -> Checker:
        self._piece = _PIECE if bulk else 1
        return Checker(selection=self._selection, baud=self._baud, bulk=bulk)

    def _take(self, checker: Checker, block: bytes) -> None:
        for part in self._splitter.feed(block):
            match part:
                case bytes():
                    self._wire += part
                case Raw(data, _):
                    self._wire += data
                case Arrivals():
                    checker.arrived(part)
                case Sent():
                    self._flush(checker)  # its place among the packets counts
                    checker.sent(part)
            if len(self._wire) >= self._piece:
                self._flush(checker)

    def _flush(self, checker: Checker) -> None:
        if self._wire:
            checker.feed(bytes(self._wire))
            self._wire.clear()

    def _why_no_frames(self, is_recording: bool) -> str:
        if not self.size:
            return "the file is empty"
        if kind := foreign_kind(self.head):
            return f"this is {kind}, no capture of the protocol"
        if is_recording:
            return "a recording (.bfp) without one packet of a device in it"
        return f"{self.size:,} bytes, and no packet among them"
