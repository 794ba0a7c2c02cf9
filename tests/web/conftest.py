"""A page's server to talk to, and a real browser where there is one."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from bci.acquisition.simulator import DEFAULT_MONTAGE
from bci.chunks import Chunk, SignalInfo
from bci.web import LivePage

INFO = SignalInfo(DEFAULT_MONTAGE, Fraction(1000), device="board 1")


class Feed:
    """Hands a signal to a page, piece by piece."""

    def __init__(self, page: LivePage, n_channels: int = 16) -> None:
        self.page, self.n_channels = page, n_channels
        self.next = 0

    def send(self, x_uv: np.ndarray, *, lost: int = 0) -> None:
        # what waits too long is dropped
        wait_until(lambda: not self.page._chunks, "the server takes nothing")
        self.next += lost
        self.page.signal(Chunk(np.asfortranarray(x_uv), self.next, lost_before=lost))
        self.next += x_uv.shape[1]

    def noise(self, seconds: float, seed: int = 0, pieces: int = 10) -> np.ndarray:
        """Send so much noise, and give it."""
        n = round(seconds * 1000)
        t = np.arange(n) / 1000
        x = np.random.default_rng(seed).normal(0, 15, (self.n_channels, n)) + 20 * np.sin(2 * np.pi * 10 * t)
        for part in np.array_split(x, pieces, axis=1):
            self.send(part)
        return x


def wait_until(true: Callable[[], Any], what: str, within_s: float = 60.0) -> Any:
    """Until `true()` is true; fails with `what` where it never is."""
    end = time.monotonic() + within_s
    while not (value := true()):
        assert time.monotonic() < end, what
        time.sleep(0.01)
    return value


@pytest.fixture(scope="package")
def page() -> Iterator[LivePage]:
    """A page of 16 channels at 1 kHz with a second screen, one for all: starting it takes a second."""
    with LivePage(INFO, title="Test", lan="127.0.0.1") as made:
        yield made


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """Chromium without a window; skips where it, or Playwright, is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no chromium here (on Debian: apt-get install chromium)")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--disable-dev-shm-usage"],
            env={**os.environ, "TMPDIR": "/tmp"},  # where its socket lies, whose path may have 107 bytes
        )
        yield launched
        launched.close()
