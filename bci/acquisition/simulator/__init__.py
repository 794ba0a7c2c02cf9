"""A simulated acquisition board: a separate process that speaks the real bytes over a real port.

It plays synthetic EEG of a wearer who reacts to cues, or a recording, through a 24-bit converter, and shows
faults on demand with the truth written beside. Starting one costs its host no scientific import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bci.acquisition.simulator._bench_faults import BENCH_FAULT_FORMS, BENCH_FAULTS, parse_bench_fault
from bci.acquisition.simulator._config import (
    CLASS_CODES,
    DEFAULT_MONTAGE,
    Bench,
    BoardConfig,
    CuedRun,
    Played,
    Synthetic,
)
from bci.acquisition.simulator._process import SimulatedBoard

if TYPE_CHECKING:
    from bci.acquisition.simulator._eeg import SyntheticEeg
    from bci.acquisition.simulator._front_end import FrontEnd
    from bci.acquisition.simulator._serve import run_board

__all__ = [
    "BENCH_FAULTS",
    "BENCH_FAULT_FORMS",
    "CLASS_CODES",
    "DEFAULT_MONTAGE",
    "Bench",
    "BoardConfig",
    "CuedRun",
    "FrontEnd",
    "Played",
    "SimulatedBoard",
    "Synthetic",
    "SyntheticEeg",
    "parse_bench_fault",
    "run_board",
]


def __getattr__(name: str) -> Any:
    if name == "SyntheticEeg":  # loads MNE
        from bci.acquisition.simulator._eeg import SyntheticEeg

        return SyntheticEeg
    if name == "FrontEnd":
        from bci.acquisition.simulator._front_end import FrontEnd

        return FrontEnd
    if name == "run_board":
        from bci.acquisition.simulator._serve import run_board

        return run_board
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
