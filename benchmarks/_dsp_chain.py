"""The chain all comparisons of cleaning run: 4-section band-pass 8–30 Hz, notches at 50 and 100 Hz."""

from __future__ import annotations

from bci.chunks import F64
from bci.dsp import cascade, design_bandpass, design_notch

__all__ = ["FS", "OPERATIONS", "SECTIONS", "chain"]

FS = 250.0
SECTIONS = 6
#: Multiply-adds (or lone adds and multiplies) a sample and channel: gain 1, band-pass sections 3, notches 4.
OPERATIONS = 1 + 4 * 3 + 2 * 4


def chain(fs_hz: float = FS) -> F64:
    """Sections (6, 6)."""
    return cascade(design_bandpass(8, 30, fs_hz=fs_hz), design_notch(50, fs_hz=fs_hz, harmonics=2))
