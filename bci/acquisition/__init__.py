"""From the wire to chunks: boards, recordings of them, and a simulated board.

`open_source` gives a `Source` of chunks in µV for a port or a recording. Below it lie `BoardClient` (the command
dialogue), `SerialLink` (the port), `Assembler` (frames to chunks, without any of the former), `Recording` and
`recover`; beside it `ImpedanceMeter` and the OpenBCI Cyton. pyserial and matplotlib load when a port is opened or a
picture drawn.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bci.acquisition._recover import Recovery, recover, recover_file
    from bci.acquisition._room import hours_left, recording_bytes_per_s
    from bci.acquisition._serial import PortEntry, list_port_entries, port_names
    from bci.acquisition._stretch import Stretch
    from bci.acquisition.assembler import Assembler, Statistics
    from bci.acquisition.board import BoardSource
    from bci.acquisition.client import BoardClient
    from bci.acquisition.clock import SampleClock
    from bci.acquisition.configuration import Configuration
    from bci.acquisition.cyton import CytonSource
    from bci.acquisition.impedance import Impedance, ImpedanceMeter, ToneFilter
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
    "CytonSource",
    "Impedance",
    "ImpedanceMeter",
    "Link",
    "PortEntry",
    "Recording",
    "RecordingSource",
    "RecordingWriter",
    "Recovery",
    "SampleClock",
    "SerialLink",
    "SimulatedBoard",
    "Source",
    "Statistics",
    "Stretch",
    "ToneFilter",
    "hours_left",
    "list_port_entries",
    "open_source",
    "port_names",
    "recording_bytes_per_s",
    "recover",
    "recover_file",
]

_FILES = {
    "Arrival": "link",
    "Assembler": "assembler",
    "BoardClient": "client",
    "BoardSource": "board",
    "Configuration": "configuration",
    "CytonSource": "cyton",
    "Impedance": "impedance",
    "ImpedanceMeter": "impedance",
    "Link": "link",
    "PortEntry": "_serial",
    "Recording": "recording",
    "RecordingSource": "replay",
    "RecordingWriter": "recorder",
    "Recovery": "_recover",
    "SampleClock": "clock",
    "SerialLink": "link",
    "SimulatedBoard": "simulator",
    "Source": "source",
    "Statistics": "assembler",
    "Stretch": "_stretch",
    "ToneFilter": "impedance",
    "hours_left": "_room",
    "list_port_entries": "_serial",
    "open_source": "source",
    "port_names": "_serial",
    "recording_bytes_per_s": "_room",
    "recover": "_recover",
    "recover_file": "_recover",
}


def __getattr__(name: str) -> object:
    if name in _FILES:
        return getattr(import_module(f"bci.acquisition.{_FILES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
