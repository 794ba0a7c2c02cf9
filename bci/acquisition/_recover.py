"""What can be saved of a recording that was cut off: `recover` finds its end, `recover_file` writes the good part.

A recording is written in whole packets, so a program killed at any moment leaves at most one packet unfinished at
the very end. A power cut may also leave a stretch of zeros there, where the file system had made room but not
written. Nothing else is touched: damage elsewhere is part of the wire, and readers report it.
"""

from __future__ import annotations

import mmap
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from bci.errors import RecordingError
from bci.language import _, system_reason
from firmware_protocol import Decoder, Fault, Splitter, Start

__all__ = ["Recovery", "recover", "recover_file"]

HEAD_BYTES = (1 << 10, 1 << 16)  # START lies within the first as a rule, with many notes within the second
STEP_BYTES = 1 << 20
TAIL_BYTES = 1 << 10
USUAL_ZEROS = 2  # at the end: the last packet's delimiter, and one more that a wire may send


@dataclass(frozen=True, slots=True)
class Recovery:
    """The first `kept_bytes` are a clean recording; behind them `cut_bytes` of a packet and `zero_bytes` of padding."""

    kept_bytes: int
    cut_bytes: int
    zero_bytes: int

    @property
    def was_whole(self) -> bool:
        """There was nothing to repair."""
        return not self.cut_bytes and not self.zero_bytes


def recover(data: bytes | mmap.mmap) -> Recovery:
    """Where the whole packets of a recording end that may have been cut anywhere.

    Raises
    ------
    RecordingError
        If not even the START packet is whole, or the bytes are no recording.
    """
    for n_bytes in HEAD_BYTES:
        splitter = Splitter()
        head = splitter.feed(data[:n_bytes])
        if head and isinstance(head[0], Start):
            break
    else:
        raise RecordingError(
            _(
                "these {n} bytes do not begin with a whole START packet; they are no .bfp recording, or "
                "one that was cut before its first second. Nothing can be recovered"
            ).format(n=len(data))
        )
    written = _without_zeros(data)
    if len(data) - written <= USUAL_ZEROS:
        written = len(data)
    keep = data.rfind(b"\0", 0, written) + 1
    last = data[keep:written]
    if last and written < len(data) and _is_packet(last, splitter.nonce):
        keep = written + 1  # its delimiter is the first of the zeros
    return Recovery(keep, max(0, written - keep), len(data) - max(written, keep))


def recover_file(path: str | Path, target: str | Path, *, force: bool = False) -> Recovery:
    """Write the whole packets of the recording `path` to `target`; `path` itself is not touched.

    Parameters
    ----------
    force : bool
        Replace `target` if it exists.

    Raises
    ------
    RecordingError
        If `path` cannot be read, holds nothing that can be saved, or `target` exists or cannot be written. Then
        `target` is as it was before.
    """
    path, target = Path(path), Path(target)
    if target.exists() and not force:
        raise RecordingError(
            _("{target} exists already; choose another name with --output, or --force to replace it").format(
                target=target
            ),
            path=target,
        )
    if target.exists() and path.exists() and target.samefile(path):
        raise RecordingError(
            _("{target} is the damaged recording itself; choose another name").format(target=target),
            path=target,
        )
    part = target.with_name(target.name + ".part")
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            recovery = _look(file.fileno(), size, path)
            file.seek(0)
            try:
                with os.fdopen(
                    os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600),
                    "wb",
                ) as out:
                    shutil.copyfileobj(file, out, STEP_BYTES)
                    out.truncate(recovery.kept_bytes)
                    out.flush()
                    os.fsync(out.fileno())
                part.replace(target)
            finally:
                part.unlink(missing_ok=True)
    except OSError as err:
        raise RecordingError(
            _("cannot recover {path} to {target}: {reason}").format(
                path=path, target=target, reason=system_reason(err)
            ),
            path=err.filename or path,
        ) from err
    return recovery


def _look(fd: int, size: int, path: Path) -> Recovery:
    if size == 0:
        raise RecordingError(_("{path} is empty; nothing can be recovered").format(path=path), path=path)
    try:
        with mmap.mmap(fd, size, access=mmap.ACCESS_READ) as data:
            return recover(data)
    except RecordingError as err:
        raise RecordingError(_("{path}: {err}").format(path=path, err=err), path=path) from err


def _without_zeros(data: bytes | mmap.mmap) -> int:
    """Bytes in front of the zeros that `data` may end with."""
    end, n_bytes = len(data), TAIL_BYTES
    while end:
        step = data[max(0, end - n_bytes) : end]
        n_bytes = STEP_BYTES
        left = len(step.rstrip(b"\0"))
        if left:
            return end - len(step) + left
        end -= len(step)
    return 0


def _is_packet(coded: bytes, nonce: int | None) -> bool:
    events = Decoder(nonce=nonce).feed(coded + b"\0")
    return len(events) == 1 and not isinstance(events[0], Fault)
