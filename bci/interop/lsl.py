"""Lab Streaming Layer: `LslSource` takes a stream in, `LslOutlets` send one out. pylsl loads when one is opened."""

from __future__ import annotations

from bci.interop._lsl_inlet import LslSource
from bci.interop._lsl_outlet import LslOutlets

__all__ = ["LslOutlets", "LslSource"]
