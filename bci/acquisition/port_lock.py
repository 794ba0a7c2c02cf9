"""One program at a time on a port, and the process id of the one that is there.

The lock is the operating system's, on a small file in the directory for temporary files; it ends with the process,
however that ends. The file holds the process id of its holder, so that the second program can say who is first. It
stays behind empty-handed: taking it away would let two programs hold two files of one name.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
import tempfile
from pathlib import Path

from bci.errors import DeviceBusyError
from bci.language import _

__all__ = ["PortLock"]

_PID_BYTES = 32
_LOCKED_BYTE = 1 << 20  # Windows locks bytes against reading too: one far behind the process id


class PortLock:
    """Held from creation until `release`.

    Parameters
    ----------
    url : str
        Device path or COM name.
    directory : path, optional
        Default: the system's directory for temporary files.

    Raises
    ------
    DeviceBusyError
        If another program (or this one) holds it; `pid` is in the message.
    """

    def __init__(self, url: str, *, directory: str | Path | None = None) -> None:
        name = os.path.realpath(url) if os.name == "posix" else url.upper()
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        plain = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[-40:]
        self.path = Path(directory or tempfile.gettempdir()) / f"bci-port-{plain}-{digest}.lock"
        self._fd = _open(self.path)
        if self._fd is None:
            return  # a directory nobody may write to: the port's own exclusive mode is left
        if not _try_lock(self._fd):
            pid = _read_pid(self._fd)
            os.close(self._fd)
            self._fd = None
            who = _("process {pid}").format(pid=pid) if pid else _("another program")
            who = _("this program") if pid == os.getpid() else who
            end = _("close it first") if pid == os.getpid() else _("end that program and try again")
            raise DeviceBusyError(
                _("{url} is in use by {who}; {end}").format(url=url, who=who, end=end), port=url
            )
        # the file of another user is locked all the same, but not written to
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
            os.write(self._fd, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Let others have the port; twice is fine."""
        if self._fd is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, 0)
                # also of a process that was forked meanwhile and has a copy of the descriptor
                _unlock(self._fd)
            os.close(self._fd)
            self._fd = None

    def __del__(self) -> None:
        """A lock that was forgotten holds nobody up: names of pseudo-terminals are given out again."""
        if hasattr(self, "_fd"):
            self.release()


def _open(path: Path) -> int | None:
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    for mode in (os.O_RDWR, os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        with contextlib.suppress(OSError):
            return os.open(path, mode | flags, 0o644)
    return None


def _try_lock(fd: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(fd, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
            os.lseek(fd, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _unlock(fd: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(fd, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)
    else:
        import fcntl

        fcntl.flock(fd, fcntl.LOCK_UN)


def _read_pid(fd: int) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        os.lseek(fd, 0, os.SEEK_SET)
        return int(os.read(fd, _PID_BYTES).strip() or b"0") or None
    return None
