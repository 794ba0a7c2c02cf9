"""Recordings of other systems: read in µV with named cues, played by a simulated board.

Loads MNE or pyxdf only when a file of theirs is read.
"""

from __future__ import annotations

from bci.interop._files import SignalFile, read_recording
from bci.interop._play import write_play_file
from bci.interop._runs import RunFile, find_runs
from bci.interop._vocabulary import parse_labels

__all__ = ["RunFile", "SignalFile", "find_runs", "parse_labels", "read_recording", "write_play_file"]
