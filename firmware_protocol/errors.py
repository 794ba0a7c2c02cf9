"""What this package raises. Damage on the wire is not here: it is a value, `Fault`.

An exception means that the caller asked for something illegal: a packet that cannot exist, a file that is not
a recording. It says what came and what is allowed.
"""

from __future__ import annotations

__all__ = ["CaptureError", "FrameError", "PortError", "PortLostError", "ProtocolError"]


class ProtocolError(Exception):
    """Root of everything this package raises on purpose."""


class FrameError(ProtocolError, ValueError):
    """A frame holds a value its packet cannot carry; `field` names it (SPEC.md section 4)."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class CaptureError(ProtocolError):
    """A capture or recording cannot be read as what it was taken for."""


class PortError(ProtocolError):
    """A port cannot be opened; the message says what to do. `port` is its name as given."""

    def __init__(self, message: str, *, port: str = "") -> None:
        super().__init__(message)
        self.port = port


class PortLostError(PortError):
    """The device behind an open port is gone or takes nothing any more; what came before is still good."""
