"""The one `njit` of `bci`. Only kernel modules import this file: importing it loads Numba."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, TypeVar, cast

__all__ = ["bare_kernel", "kernel"]

_log = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])


def _load_numba() -> Any:
    """Numba without `coverage`, which it loads wherever it is installed: 40 of 600 ms to the first filtered chunk.

    Where somebody measures coverage, it is loaded already and stays.
    """
    if "coverage" in sys.modules:
        return import_module("numba")
    sys.modules["coverage"] = None  # type: ignore[assignment]  # to an import statement: not installed
    try:
        return import_module("numba")
    finally:
        del sys.modules["coverage"]


numba = _load_numba()


def kernel(function: F) -> F:
    """Compile a pure loop: arrays in, arrays out, no checks, no allocation.

    - ``cache=True``: the second process starts without compiling.
    - ``nogil=True``: a kernel never delays the thread that reads the port.
    - ``error_model="numpy"``: a division by zero gives inf or NaN instead of a branch in the inner loop.
    - no ``fastmath``: its flags assume that NaN does not happen, and NaN is the mark of a lost sample; it would
      also let the order of additions, and with it the last bit, depend on how a signal was cut.
    """
    return _compiled(function)


def bare_kernel(function: F) -> F:
    """A `kernel` that does not even count references to its arrays, so it can allocate nothing, nor return an array.

    For kernels that run once per sample: a call with three arrays takes 90 ns instead of 175.
    """
    return _compiled(function, _nrt=False)


def fragment(function: F) -> F:
    """A piece of a kernel with a name of its own: as `kernel`, but copied into whoever calls it.

    Compiled functions are optimised again inside each function that calls them, and that inside its callers: four
    levels cost four times. A piece that one kernel alone calls is better copied.
    """
    return _compiled(function, inline="always")


def _compiled(function: F, **options: Any) -> F:
    options |= {"nogil": True, "error_model": "numpy"}
    try:
        return cast(F, numba.njit(cache=True, **options)(function))
    except RuntimeError:  # no folder to keep it in: neither beside the code nor at home may this user write
        _say_not_kept()
        return cast(F, numba.njit(**options)(function))


@cache
def _say_not_kept() -> None:
    _log.warning(
        "compiled kernels cannot be kept: neither the folder of this software nor the user's own may be written to, so "
        "each start compiles them again, half a minute and more. Set NUMBA_CACHE_DIR to a folder that only this user "
        "may write to."
    )
