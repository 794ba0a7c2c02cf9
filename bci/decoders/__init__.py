"""From windows of cleaned EEG to calibrated probabilities of intended movement.

`TangentSpaceDecoder` trains and loads scikit-learn when it is first asked for; `FrozenTangentSpace` is what
remains of it in a model file and needs numpy alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bci.decoders.calibration import fit_temperature, log_loss
    from bci.decoders.frozen import FrozenTangentSpace
    from bci.decoders.tangent_space import TangentSpaceDecoder

__all__ = ["FrozenTangentSpace", "TangentSpaceDecoder", "fit_temperature", "log_loss"]

_HOME_OF = {
    "FrozenTangentSpace": "frozen",
    "TangentSpaceDecoder": "tangent_space",
    "fit_temperature": "calibration",
    "log_loss": "calibration",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
