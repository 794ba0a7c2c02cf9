"""Fixtures every test may use."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

#: Where the real recordings lie: $BCI_DATA, or beside the checkout. They are never part of the repository.
DATA_ROOT = Path(os.environ.get("BCI_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


#: Property tests try the same examples each time, so that what refuses a change is the change. New examples are looked
#: for with `pytest --hypothesis-profile=search`; what they find becomes an `@example`.
settings.register_profile("same", derandomize=True)
settings.register_profile("search")
settings.load_profile("same")


def pytest_configure(config: pytest.Config) -> None:
    """A shell that starts the tests in the background lets them ignore Ctrl-C; programs that they start would, too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """`shared_data("mi_openbci")`: the path below the data folder; skips the test where it is absent."""

    def find(relative: str) -> Path:
        path = DATA_ROOT / relative
        if not path.exists():
            pytest.skip(f"real recordings not here: {relative} below $BCI_DATA or ../shared/data")
        return path

    return find
