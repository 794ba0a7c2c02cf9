"""From windows of cleaned EEG to calibrated probabilities of intended movement.

Estimators follow scikit-learn's contract on windows `(n_windows, n_channels, n_samples)` in µV, those that look at
several bands also on `(n_windows, n_bands, n_channels, n_samples)`. They train and load scikit-learn when they are
first asked for; `FrozenEnsemble` and `FrozenCsp` are what remains of them in a model file and need numpy and numba
alone.

`predict` is stateless. Decisions that follow a run are `DefaultDecoder.predict_run` and, for anything frozen,
`Recentring`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bci.decoders.adaptation import AdaptationParameters, Recentring
    from bci.decoders.calibration import (
        Calibration,
        fit_calibration,
        fit_isotonic,
        fit_platt,
        fit_temperature,
        log_loss,
    )
    from bci.decoders.csp import CspDecoder
    from bci.decoders.ensemble import DefaultDecoder
    from bci.decoders.filter_bank import FilterBankDecoder
    from bci.decoders.frozen import BANDS_HZ, FrozenCsp, FrozenEnsemble, View
    from bci.decoders.mdm import FgMdmDecoder, MdmDecoder
    from bci.decoders.potentials import MovementPotentialDecoder
    from bci.decoders.tangent_space import AugmentedTangentSpaceDecoder, TangentSpaceDecoder

#: File of this package -> the public names it holds.
_HOMES = {
    "adaptation": ("AdaptationParameters", "Recentring"),
    "calibration": (
        "Calibration",
        "fit_calibration",
        "fit_isotonic",
        "fit_platt",
        "fit_temperature",
        "log_loss",
    ),
    "csp": ("CspDecoder",),
    "ensemble": ("DefaultDecoder",),
    "filter_bank": ("FilterBankDecoder",),
    "frozen": ("BANDS_HZ", "FrozenCsp", "FrozenEnsemble", "View"),
    "mdm": ("FgMdmDecoder", "MdmDecoder"),
    "potentials": ("MovementPotentialDecoder",),
    "tangent_space": ("AugmentedTangentSpaceDecoder", "TangentSpaceDecoder"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "BANDS_HZ",
    "AdaptationParameters",
    "AugmentedTangentSpaceDecoder",
    "Calibration",
    "CspDecoder",
    "DefaultDecoder",
    "FgMdmDecoder",
    "FilterBankDecoder",
    "FrozenCsp",
    "FrozenEnsemble",
    "MdmDecoder",
    "MovementPotentialDecoder",
    "Recentring",
    "TangentSpaceDecoder",
    "View",
    "fit_calibration",
    "fit_isotonic",
    "fit_platt",
    "fit_temperature",
    "log_loss",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
