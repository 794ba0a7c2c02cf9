"""May a cascade run in float32? Decided when it is designed, from its coefficients alone.

Every rounding of section s is one noise source in front of `1/A_s` and the sections after it. With the RMS that each
node has for an input that is `HEADROOM` times as strong as what the filter passes, the sources add up to the rounding
error at the output; to it comes what the rounded coefficients change in the frequency response.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from bci.chunks import F64
from bci.errors import DesignError

__all__ = ["LIMIT", "check_float32", "float32_error"]

LIMIT = 1e-4
HEADROOM = 10.0  # raw EEG without its offset is 3 to 6 times as strong as its 8–30 Hz part
_GRID = 1 << 15


def float32_error(sos: F64) -> float:
    """Bound of the RMS error of float32 filtering, relative to the RMS of the filter's output.

    References
    ----------
    .. [1] Oppenheim & Schafer, Discrete-Time Signal Processing, 3rd ed., ch. 6.9 (round-off noise, floating point).
    """
    return _error_of(np.ascontiguousarray(sos, dtype=np.float64).tobytes())


@cache
def _error_of(numbers: bytes) -> float:
    sos = np.frombuffer(numbers).reshape(-1, 6)
    z = np.exp(-1j * np.pi * (np.arange(_GRID) + 0.5) / _GRID)  # z⁻¹ along the upper half circle
    powers = np.stack([np.ones_like(z), z, z * z])

    def response(s: F64) -> tuple[np.ndarray, np.ndarray]:
        return s[:, :3] @ powers, s[:, 3:] @ powers

    def rms(h: np.ndarray) -> float:
        return float(np.sqrt(np.mean(np.abs(h) ** 2)))

    b, a = response(sos)
    whole = np.prod(b / a, axis=0)
    b32, a32 = response(sos.astype(np.float32).astype(np.float64))
    passed = rms(whole)
    coefficient_error = rms(np.prod(b32 / a32, axis=0) - whole) / passed

    strength = max(1.0, HEADROOM * passed)
    unit = np.finfo(np.float32).eps / np.sqrt(12.0)
    node = np.full_like(whole, strength)  # what enters section s
    noise = (unit * strength * passed) ** 2  # the input itself is rounded
    for s in range(len(sos)):
        out = node * b[s] / a[s]
        after = np.prod(b[s + 1 :] / a[s + 1 :], axis=0)
        # five roundings at most: one of the size of the output, two of each of the two states
        states = abs(sos[s, 4]) * rms(out) + abs(sos[s, 1]) * rms(node) + rms(out)
        second = abs(sos[s, 5]) * rms(out) + abs(sos[s, 2]) * rms(node)
        noise += unit**2 * (rms(out) ** 2 + 2 * states**2 + 2 * second**2) * rms(after / a[s]) ** 2
        node = out
    return float(np.hypot(np.sqrt(noise) / passed, coefficient_error))


def check_float32(sos: F64) -> None:
    """Refuse a cascade whose float32 error may exceed `LIMIT` of the signal's RMS.

    Raises
    ------
    DesignError
        With the bound that was found.
    """
    error = float32_error(sos)
    if not error <= LIMIT:
        raise DesignError(
            f"float32 could err by {error:.1e} of the signal's RMS with this filter, more than {LIMIT:.0e}: "
            "its poles lie too close to the unit circle. Use float64"
        )
