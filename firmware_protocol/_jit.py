"""The one `njit` of this package. Only kernel files import it: importing it loads Numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba.extending import register_jitable

__all__ = ["inner", "kernel"]

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile a pure loop: arrays in, arrays out, no checks, no allocation.

    - ``cache=True``: the second process starts without compiling.
    - ``nogil=True``: decoding a capture, or a live frame, delays no other thread.
    - ``error_model="numpy"``: no branch for a division by zero, which the format table rules out.

    With ``NUMBA_DISABLE_JIT=1`` kernels run as the plain Python they are, for coverage and debuggers.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        return cast(F, numba.njit(cache=True, **options)(function))
    except RuntimeError:  # no folder to keep it in: neither beside the code nor at home may this user write
        return cast(F, numba.njit(**options)(function))


def inner(function: F) -> F:
    """A function that kernels of the same file call. It is compiled into them, and plain Python by itself."""
    return cast(F, register_jitable(function))
