"""Where chunks come from: `Source`, and `open_source`, which finds the right one for a URL.

A board and a recording of it are used alike. Other kinds register by URL scheme: an entry point of the group
`bci.sources`, named like the scheme, whose object is called with the URL and the options of `open_source`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from bci.acquisition.assembler import Statistics
from bci.chunks import Chunk, SignalInfo
from bci.errors import DeviceNotFoundError, RecordingError
from bci.language import _

__all__ = ["Source", "open_source"]

SERIAL_SCHEMES = ("socket", "rfc2217", "loop", "spy", "hwgrep")  # pyserial's
GROUP = "bci.sources"
OWN_SCHEMES = {"cyton": "bci.acquisition.cyton.source:CytonSource"}
WAIT_S = 1.0


class Source(Protocol):
    """A stream of chunks with what they mean.

    Attributes
    ----------
    labels : mapping of int to str
        Names of the codes of the trigger line.
    recording_path : Path or None
        The recording being made of it, or that it is.
    """

    labels: Mapping[int, str]
    recording_path: Path | None

    @property
    def info(self) -> SignalInfo:
        """What the samples mean now."""

    @property
    def statistics(self) -> Statistics:
        """What came and what was lost so far."""

    @property
    def last_byte_ns(self) -> int:
        """Monotonic ns at which the newest byte of the last chunk came; 0 where nothing arrives."""

    @property
    def ended(self) -> bool:
        """No chunk will ever come again: closed, or at the end of a recording."""

    def start(self) -> None:
        """Begin a run."""

    def stop(self) -> None:
        """End a run; what is still on its way can be read."""

    def read(self, timeout_s: float) -> list[Chunk]:
        """Chunks that came since the last call; waits at most `timeout_s` for the first, then is empty.

        Raises
        ------
        DeviceLostError
            On an I/O error, once everything that had arrived was returned.
        """

    def mark(self, label: str, *, code: int = 0, value: int = 0) -> None:
        """Set a marker at the next sample; it comes out with the next chunk and is recorded."""

    def close(self) -> None:
        """Stop, give the port or file back, finish the recording; twice is fine."""

    def __iter__(self) -> Iterator[Chunk]:
        """Chunks until there are no more; ends with DeviceLostError if the board is lost."""
        while not self.ended:
            yield from self.read(WAIT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_source(
    url: str | os.PathLike[str],
    *,
    baud: int = 921_600,
    labels: Mapping[int, str] | None = None,
    record_to: str | os.PathLike[str] | None = None,
    notes: Mapping[str, Any] | None = None,
    reconnect: bool = False,
    check_pattern: bool = True,
    speed: float = 0.0,
) -> Source:
    """Open a board, or a recording of one.

    Parameters
    ----------
    url : str or path
        A device path (`/dev/ttyUSB0`), a name (`COM3`), `socket://127.0.0.1:5555`, an OpenBCI Cyton
        (`cyton:///dev/ttyUSB0`), a recording (`x.bfp`), or a scheme that another package has registered.
    baud : int
        Speed of the serial line, which the link budget counts with.
    labels : mapping of int to str, optional
        Names of the codes of the board's trigger line; kept in the recording. For a recording: instead of its own.
    record_to : path, optional
        Record the wire, both ways, into this new file.
    notes : mapping, optional
        Anything JSON can carry, kept in the recording; no identity of a person.
    reconnect : bool
        Of a board of this protocol: when it is lost, look for it and go on, with markers "lost", "stalled" and
        "returned" instead of DeviceLostError.
    check_pattern : bool
        Of a board of this protocol: verify order, sign and width of its samples by its test pattern first.
    speed : float
        Of a recording: 1 is the pace at which it was made, 0 as fast as it is read.

    Returns
    -------
    source : Source
        Identified and idle; `start` begins the first run. Use it in a `with` statement, or close it.

    Raises
    ------
    DeviceNotFoundError, DevicePermissionError, DeviceBusyError
        If the port cannot be opened.
    DeviceTimeoutError, UnsupportedDeviceError
        If what is on the port does not answer, or in another protocol version.
    PatternMismatchError
        If the board's test pattern arrives as other numbers.
    RecordingError
        If a file is no recording, is to be recorded again, or one cannot be made at `record_to`.

    Examples
    --------
    >>> with open_source("/dev/ttyUSB0", record_to="session.bfp") as source:        # doctest: +SKIP
    ...     source.start()
    ...     for chunk in source:
    ...         print(chunk.first_sample, chunk.lost_before)
    """
    name = os.fspath(url)
    options: dict[str, Any] = {"labels": labels, "record_to": record_to, "notes": notes}
    scheme, has_scheme, _path = name.partition("://")
    if has_scheme and scheme not in SERIAL_SCHEMES:
        return _registered(scheme, name)(name, baud=baud, **options)
    if not has_scheme and (name.endswith(".bfp") or Path(name).is_file()):
        from bci.acquisition.replay import RecordingSource

        if record_to is not None:
            raise RecordingError(
                _("{path} is a file, not a board's port; `bci replay` plays recordings").format(path=name),
                path=name,
            )
        return RecordingSource(name, labels=labels, speed=speed)
    from bci.acquisition.board import BoardSource

    return BoardSource(name, baud=baud, reconnect=reconnect, check_pattern=check_pattern, **options)


def _registered(scheme: str, url: str) -> Callable[..., Source]:
    if scheme in OWN_SCHEMES:
        module, name = OWN_SCHEMES[scheme].split(":")
        own: Callable[..., Source] = getattr(import_module(module), name)
        return own
    for entry in entry_points(group=GROUP, name=scheme):
        factory: Callable[..., Source] = entry.load()
        return factory
    known = sorted({*SERIAL_SCHEMES[:1], *OWN_SCHEMES, *(entry.name for entry in entry_points(group=GROUP))})
    raise DeviceNotFoundError(
        _(
            "{url}: no source is registered for {scheme}://. Known: {known}; a serial port is named "
            "without a scheme (/dev/ttyUSB0, COM3)"
        ).format(url=url, scheme=scheme, known=", ".join(known)),
        port=url,
    )
