"""Room on the disk, looked at before something is recorded and while it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bci.errors import DiskFullError
from bci.language import _

__all__ = ["RESERVE_MB", "DiskRoom", "free_mb"]

#: What stays free whatever is recorded: the event log and the model must find room, too.
RESERVE_MB = 100.0
LOOK_EVERY_S = 5.0

FreeMb = Callable[[Path], float]


def free_mb(path: Path) -> float:
    """Megabytes that may still be written in this folder."""
    from bci.acquisition._room import room_bytes

    return room_bytes(path / "x") / 1e6


class DiskRoom:
    """Room in one folder.

    Parameters
    ----------
    folder : Path
    free : callable
        Free megabytes of a folder; a test puts another one here.
    """

    def __init__(self, folder: Path, free: FreeMb = free_mb) -> None:
        self.folder, self._free = folder, free
        self._looked_s: float | None = None

    def require(self, mb: float, *, reserve_mb: float = RESERVE_MB) -> None:
        """See that `mb` and the reserve are there before recording begins.

        Raises
        ------
        DiskFullError
            If they are not.
        """
        free = self._free(self.folder)
        needed = mb + reserve_mb
        if free < needed:
            raise DiskFullError(
                _(
                    "The disk is nearly full: {free} MB are free in {folder}, this recording needs {needed} MB. "
                    "Delete or move what is not needed, then try again."
                ).format(free=f"{free:.0f}", needed=f"{needed:.0f}", folder=self.folder),
                path=self.folder,
                free_mb=free,
                needed_mb=needed,
            )

    def alarm(self, now_s: float) -> str:
        """A sentence once the reserve is touched, "" before; looks every 5 s of `now_s`, whatever clock that is."""
        if self._looked_s is not None and now_s - self._looked_s < LOOK_EVERY_S:
            return ""
        self._looked_s = now_s
        free = self._free(self.folder)
        if free >= RESERVE_MB:
            return ""
        return _(
            "The disk is nearly full ({free} MB left), so the recording ends here. What was recorded until now is kept."
        ).format(free=f"{free:.0f}")
