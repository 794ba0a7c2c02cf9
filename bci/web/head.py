"""Where electrodes lie on a drawn head, from their 10-05 names alone: no table to carry, no library to load."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

__all__ = ["head_places"]

#: Rows from front to back: angle of their midline electrode from Cz towards the nasion, degrees. The electrodes of a
#: sphere's outer circle (Fp1, T7, O2 …) lie 72 degrees from Cz.
_ROWS = {
    "NP": 90.0, "FP": 72.0, "AF": 54.0, "F": 36.0, "FC": 18.0, "FT": 18.0, "C": 0.0, "T": 0.0, "CP": -18.0, "TP": -18.0,
    "P": -36.0, "PO": -54.0, "O": -72.0, "I": -90.0,
}  # fmt: skip
_OUTER = 72.0
_OLD = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}
_BESIDE = {"A1": (-1.0, 0.05), "A2": (1.0, 0.05), "M1": (-0.98, -0.2), "M2": (0.98, -0.2)}
_NAME = re.compile(r"([A-Z]+?)(Z|\d+)(H?)")


def head_places(channels: Sequence[str]) -> list[tuple[float, float] | None]:
    """Place of each electrode on a head seen from above, nose up: x to the right ear, y to the nose, ears at ±1.

    Parameters
    ----------
    channels : sequence of str
        Names of the 10-05 system, in any case; old names T3–T6, and mastoids and ear lobes too.

    Returns
    -------
    places : list of (x, y) or None
        Distance from the middle is the angle from Cz, as on the usual plots. None where the name says no place.

    References
    ----------
    .. [1] Oostenveld & Praamstra, Clin. Neurophysiol. 112(4):713-719, 2001. doi:10.1016/S1388-2457(00)00527-7
    """
    return [_place(name) for name in channels]


def _place(name: str) -> tuple[float, float] | None:
    label = _OLD.get(name.strip().upper(), name.strip().upper())
    if label in _BESIDE:
        return _BESIDE[label]
    found = _NAME.fullmatch(label)
    if found is None or found[1] not in _ROWS:
        return None
    row, number = _ROWS[found[1]], found[2]
    if number == "Z":
        return _flat(row, 0.0, 1.0)
    k = int(number)
    steps = (k + 1) // 2 if k % 2 else k // 2  # 1 and 2 lie next to the midline, 7 and 8 on the outer circle
    share = (steps - (0.5 if found[3] else 0.0)) / 4
    if found[1] in ("FP", "O", "NP", "I"):  # on the outer circle itself: 18 degrees to each side
        angle = math.radians(18.0)
        radius = abs(row) / 90.0 if k <= 2 else 1.0
        front = 1.0 if row > 0 else -1.0
        x, y = radius * math.sin(angle), front * radius * math.cos(angle)
    elif share > 1.25:
        return None
    else:
        x, y = _along(row, share)
    return (-x if k % 2 else x), y


def _along(row: float, share: float) -> tuple[float, float]:
    """A share of the way from a row's midline to the outer circle, on the great circle through both."""
    side = math.radians(_OUTER)
    turn = math.radians(90.0 - row)  # of the row's outer end around Cz, from the nose: 18 degrees a row
    middle = (0.0, math.sin(math.radians(row)), math.cos(math.radians(row)))
    outer = (math.sin(side) * math.sin(turn), math.sin(side) * math.cos(turn), math.cos(side))
    between = math.acos(sum(a * b for a, b in zip(middle, outer, strict=True)))
    p, q = (math.sin((1 - share) * between), math.sin(share * between))
    x, y, z = ((p * a + q * b) / math.sin(between) for a, b in zip(middle, outer, strict=True))
    return _flat(math.degrees(math.acos(max(-1.0, min(1.0, z)))), x, y)


def _flat(angle: float, x: float, y: float) -> tuple[float, float]:
    """A direction and its angle from Cz (degrees) on paper."""
    length = math.hypot(x, y) or 1.0
    return angle / 90.0 * x / length, angle / 90.0 * y / length
