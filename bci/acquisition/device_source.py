"""What all sources have in common that hear a device and may record it: `DeviceSource`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bci.acquisition.source import Source
from bci.errors import RecordingError

if TYPE_CHECKING:
    from bci.acquisition.recorder import RecordingWriter

__all__ = ["DeviceSource"]


class DeviceSource(Source):
    """A source that ends when it is closed, and knows how its recording fares."""

    _recorder: RecordingWriter | None
    _last_byte_ns: int
    _closed: bool

    @property
    def last_byte_ns(self) -> int:
        return self._last_byte_ns

    @property
    def ended(self) -> bool:
        return self._closed

    @property
    def recording_error(self) -> RecordingError | None:
        """Why the recording ended before its time, e.g. a full disk; the stream goes on."""
        return None if self._recorder is None else self._recorder.error

    @property
    def recording_alarm(self) -> str:
        """What will end the recording soon; empty as long as there is room."""
        return "" if self._recorder is None else self._recorder.alarm
