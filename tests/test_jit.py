"""What is compiled is kept where it may be, and runs where it may not."""

from __future__ import annotations

import logging

import numba
import pytest
from numba.core.caching import CodeLibraryCacheImpl, CompileResultCacheImpl

from bci import jit
from firmware_protocol import _jit as protocol_jit


def double(x: float) -> float:
    return 2.0 * x


def test_a_computer_on_which_nothing_may_be_written_compiles_at_each_start_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for kept in (CompileResultCacheImpl, CodeLibraryCacheImpl):
        monkeypatch.setattr(kept, "_locator_classes", [])  # as with a read-only checkout and no home
    with pytest.raises(RuntimeError, match="no locator"):
        numba.njit(cache=True)(double)
    jit._say_not_kept.cache_clear()
    with caplog.at_level(logging.WARNING):
        for kernel in (jit.kernel, jit.bare_kernel, jit.fragment, protocol_jit.kernel):
            assert kernel(double)(21.0) == 42.0
    assert [record.name for record in caplog.records] == ["bci.jit"]
    assert "NUMBA_CACHE_DIR" in caplog.text
