"""Cleaning and features: causal streaming stages on float64 µV of shape (n_channels, n_samples).

Every stage has `process(x)`, `reset()`, `state()` and `restore(state)`; any cut of a signal into chunks gives the
same bits, so a recording run offline is the live signal. Names load on first use: importing this package loads
neither scipy.signal, mne, scikit-learn nor numba.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bci.dsp.covariance import SlidingCovariance, covariances, ledoit_wolf, oas, shrink
    from bci.dsp.design import (
        cascade,
        design_bandpass,
        design_bandstop,
        design_dc_blocker,
        design_highpass,
        design_lowpass,
        design_notch,
    )
    from bci.dsp.features import log_variance
    from bci.dsp.filters import FilterBank, SosFilter, filter_recording, zero_phase
    from bci.dsp.gaps import GapPolicy, Patched
    from bci.dsp.marks import Mark, Marks

_HOMES = {
    "covariance": ("SlidingCovariance", "covariances", "ledoit_wolf", "oas", "shrink"),
    "design": (
        "cascade",
        "design_bandpass",
        "design_bandstop",
        "design_dc_blocker",
        "design_highpass",
        "design_lowpass",
        "design_notch",
    ),
    "features": ("log_variance",),
    "filters": ("FilterBank", "SosFilter", "filter_recording", "zero_phase"),
    "gaps": ("GapPolicy", "Patched"),
    "marks": ("Mark", "Marks"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "FilterBank",
    "GapPolicy",
    "Mark",
    "Marks",
    "Patched",
    "SlidingCovariance",
    "SosFilter",
    "cascade",
    "covariances",
    "design_bandpass",
    "design_bandstop",
    "design_dc_blocker",
    "design_highpass",
    "design_lowpass",
    "design_notch",
    "filter_recording",
    "ledoit_wolf",
    "log_variance",
    "oas",
    "shrink",
    "zero_phase",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value  # the next look-up costs nothing
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
