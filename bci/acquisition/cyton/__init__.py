"""OpenBCI Cyton and Cyton with Daisy: a second dialect, so that people who have that board can start today.

`CytonSource` is opened by `open_source("cyton:///dev/ttyUSB0")`; `CytonDecoder` and `CytonAssembler` below it know
no port and no clock. `CytonDevice` is the board's side, for the simulator.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bci.acquisition.cyton.assembler import CytonAssembler
    from bci.acquisition.cyton.device import CytonDevice
    from bci.acquisition.cyton.source import CytonSource
    from bci.acquisition.cyton.wire import CytonDecoder, CytonFrame, Skipped

__all__ = ["CytonAssembler", "CytonDecoder", "CytonDevice", "CytonFrame", "CytonSource", "Skipped"]

_FILES = {
    "CytonAssembler": "assembler",
    "CytonDecoder": "wire",
    "CytonDevice": "device",
    "CytonFrame": "wire",
    "CytonSource": "source",
    "Skipped": "wire",
}


def __getattr__(name: str) -> object:
    if name in _FILES:
        return getattr(import_module(f"bci.acquisition.cyton.{_FILES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
