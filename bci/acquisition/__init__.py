"""From the wire to chunks: boards, recordings of them, and a simulated board.

`open_source` gives a `Source` of chunks in µV for a port or a recording. Below it lie `BoardClient` (the command
dialogue), `SerialLink` (the port), `Assembler` (frames to chunks, without any of the former), `Recording` and
`recover`. pyserial and matplotlib load when a port is opened or a picture drawn.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bci.acquisition._recover import Recovery, recover, recover_file
    from bci.acquisition._serial import port_names
    from bci.acquisition.assembler import Assembler, Statistics
    from bci.acquisition.board import BoardSource
    from bci.acquisition.client import BoardClient
    from bci.acquisition.configuration import Configuration
    from bci.acquisition.link import Arrival, Link, SerialLink
    from bci.acquisition.recorder import RecordingWriter
    from bci.acquisition.recording import Recording
    from bci.acquisition.replay import RecordingSource
    from bci.acquisition.simulator import SimulatedBoard
    from bci.acquisition.source import Source, open_source

__all__ = [
    "Arrival",
    "Assembler",
    "BoardClient",
    "BoardSource",
    "Configuration",
    "Link",
    "Recording",
    "RecordingSource",
    "RecordingWriter",
    "Recovery",
    "SerialLink",
    "SimulatedBoard",
    "Source",
    "Statistics",
    "open_source",
    "port_names",
    "recover",
    "recover_file",
]

_FILES = {
    "Arrival": "link",
    "Assembler": "assembler",
    "BoardClient": "client",
    "BoardSource": "board",
    "Configuration": "configuration",
    "Link": "link",
    "Recording": "recording",
    "RecordingSource": "replay",
    "RecordingWriter": "recorder",
    "Recovery": "_recover",
    "SerialLink": "link",
    "SimulatedBoard": "simulator",
    "Source": "source",
    "Statistics": "assembler",
    "open_source": "source",
    "port_names": "_serial",
    "recover": "_recover",
    "recover_file": "_recover",
}


def __getattr__(name: str) -> object:
    if name in _FILES:
        return getattr(import_module(f"bci.acquisition.{_FILES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
