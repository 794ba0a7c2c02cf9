from __future__ import annotations

from collections.abc import Iterator

import pytest

from bci.acquisition import SimulatedBoard
from bci.acquisition.simulator import Bench


@pytest.fixture(scope="module")
def board() -> Iterator[SimulatedBoard]:
    """A good bench board, as fast as it is read."""
    with SimulatedBoard(Bench(seed=3), speed=0) as simulated:
        yield simulated
