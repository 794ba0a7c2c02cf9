"""Fixtures every test may use."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from bci.language import use_language

#: Where the real recordings lie: $BCI_DATA, or beside the checkout. They are never part of the repository.
DATA_ROOT = Path(os.environ.get("BCI_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


#: Property tests try the same examples each time, so that what refuses a change is the change. New examples are looked
#: for with `pytest --hypothesis-profile=search`; what they find becomes an `@example`. How fast this computer makes and
#: tries them is no verdict.
BUSY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", BUSY, derandomize=True)
settings.register_profile("search", BUSY)
settings.load_profile("same")


#: What somebody prefers on this computer, and what a test would otherwise find or not: language, colours, folders.
PREFERENCES = (
    *("BCI_LANG", "BCI_SESSIONS", "LANGUAGE", "LC_ALL", "LC_MESSAGES"),
    *("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE"),
)


def pytest_configure(config: pytest.Config) -> None:
    """Tests and the programs that they start see the same everywhere: English, 80 columns, a terminal with colours.

    A shell that starts the tests in the background lets them ignore Ctrl-C; programs that they start would, too.
    """
    for name in PREFERENCES:
        os.environ.pop(name, None)
    os.environ |= {"LANG": "C.UTF-8", "COLUMNS": "80", "LINES": "25", "TERM": "xterm"}
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """Each test begins in English and leaves English to fixtures after it: their order decides nothing."""
    use_language("en")
    os.environ.pop("LANGUAGE", None)  # of which click thinks
    yield
    use_language("en")


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """`shared_data("mi_openbci")`: the path below the data folder; skips the test where it is absent."""

    def find(relative: str) -> Path:
        path = DATA_ROOT / relative
        if not path.exists():
            pytest.skip(f"real recordings not here: {relative} below $BCI_DATA or ../shared/data")
        return path

    return find
