"""A frame whose samples belong to two configurations: where exactly did the gain or the input change?

A device ends a frame when a configuration ends, so the change lies between two frames. If gains changed and INFO of
both configurations is known, the signal in µV is smooth across the change and nowhere else: the samples before it
scaled by the old factor, those after it by the new one. Otherwise level and spread of the counts show it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from firmware_protocol.validator.samples import SampleBlock

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Spanning", "spanning_frame"]

_AROUND = 24  # conversions on each side that are looked at
_SURE = 8.0  # bits by which a place inside a frame must fit better than its ends
_SURE_BY_LEVELS = 64.0  # where the scale stays the same: EEG that only drifts reaches 34 bits in 6,000 places


class Spanning(NamedTuple):
    """`row`: conversion within the frame (from 0) at which the other configuration begins."""

    offset: int
    packet: int
    row: int
    n_samples: int
    config_id: int
    other_id: int
    certainty: int


def spanning_frame(before: SampleBlock, after: SampleBlock) -> Spanning | None:
    """The frame next to a change of config_id that holds samples of both sides, if there is one."""
    import numpy as np

    if not (before.is_int and after.is_int) or before.counts.shape[1] != after.counts.shape[1]:
        return None
    x = np.concatenate([before.counts[-_AROUND:], after.counts[:_AROUND]]).astype(np.float64)
    border = min(len(before.counts), _AROUND)
    # frames next to the border: those that could span
    left = before.frames[-1]
    right = after.frames[0]
    low = border - (len(before.counts) - left.row)
    high = border + min(right.n_samples, len(after.counts))
    if low < 1 or high > len(x) - 1:
        low, high = max(low, 1), min(high, len(x) - 1)
    old = before.setting.uv_per_count if before.setting is not None else ()
    new = after.setting.uv_per_count if after.setting is not None else ()
    cost, sure = None, _SURE
    if len(old) == len(new) == x.shape[1] and old != new:
        cost = _cost_of_scales(x, np.array(old), np.array(new), low, high)
    if cost is None:
        cost, sure = _cost_of_levels(x, low, high), _SURE_BY_LEVELS
    if cost is None:
        return None
    best = min(cost, key=lambda k: cost[k])
    margin = min(cost[border], cost[low], cost[high]) - cost[best]
    if margin < sure:
        return None
    in_left = best < border
    frame, block, other = (left, before, after) if in_left else (right, after, before)
    row = best - low if in_left else best - border
    if not 0 < row < frame.n_samples:
        return None
    return Spanning(
        frame.offset,
        frame.packet,
        row,
        frame.n_samples,
        block.first.config_id,
        other.first.config_id,
        3 if margin > 3 * sure else 2,
    )


def _cost_of_scales(
    x: NDArray[np.float64], old: NDArray[np.float64], new: NDArray[np.float64], low: int, high: int
) -> dict[int, float] | None:
    """By place of the change: how rough the signal in µV is around it, in bits."""
    import numpy as np

    changed = np.flatnonzero(np.abs(np.log(old / new)) > 0.05)
    if not len(changed):
        return None
    quiet = np.concatenate([x[:low] * old, x[high:] * new])[:, changed]
    usual = np.median(np.abs(np.diff(quiet, axis=0)), axis=0) + np.abs(new[changed])
    cost = {}
    for at in range(low, high + 1):
        uv = np.concatenate([x[:at] * old, x[at:] * new])[:, changed]
        around = np.abs(np.diff(uv[low - 1 : high + 1], axis=0))
        cost[at] = float(np.log2(1.0 + around / usual).sum())
    return cost


def _cost_of_levels(x: NDArray[np.float64], low: int, high: int) -> dict[int, float] | None:
    """By place of the change: spread of the two sides around their own levels, in bits."""
    import numpy as np

    cost = {}
    for at in range(low, high + 1):
        total = 0.0
        for side in (x[:at], x[at:]):
            if len(side) < 4:
                return None
            spread = np.abs(side - np.median(side, axis=0)).mean(axis=0)
            total += len(side) * float(np.log2(1.0 + spread).sum())
        cost[at] = total
    return cost
