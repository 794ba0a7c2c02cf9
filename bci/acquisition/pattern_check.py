"""Before the first sample: does what the board's converter makes arrive here as the same numbers?

The board is asked for the ramp of SPEC 6.6 in place of samples. It follows from conversion number and channel alone and
uses three different bytes, so a wrong byte order, sign, width, or channel shows at once, and lost packets do no harm.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bci.acquisition.client import BoardClient
from bci.acquisition.receiver import Received
from bci.errors import BudgetError, DeviceRefusedError, DeviceTimeoutError, PatternMismatchError
from bci.language import _
from firmware_protocol import Pattern
from firmware_protocol.patterns import FULL_SCALE, RAMP_CHANNEL, RAMP_STEP

__all__ = ["check_pattern", "mismatch"]

I32 = NDArray[np.int32]

N_SAMPLES = 8
WAIT_S = 2.0
WATCHDOG_MS = 5000

#: What goes wrong with 24-bit samples, as what becomes of the right 24 bits.
_CAUSES: dict[str, Callable[[NDArray[np.int64]], NDArray[np.int64]]] = {
    "its bytes come in the reverse order (the protocol sends the converter's own, most significant first)": (
        lambda w: w >> 16 | w & 0xFF00 | (w & 0xFF) << 16
    ),
    "its sign bit is inverted (offset binary instead of two's complement)": lambda w: w ^ FULL_SCALE,
    "its sign is lost": lambda w: w & FULL_SCALE - 1,
    "only its upper 16 bits arrive": lambda w: w & 0xFFFF00,
    "it is shifted up by one bit: a clock edge too many on the way to the processor": lambda w: (
        w << 1 & 0xFFFFFF
    ),
    "it is shifted down by one bit: a clock edge too few on the way to the processor": lambda w: w >> 1,
}


def check_pattern(client: BoardClient, *, clock_ns: Callable[[], int]) -> bool:
    """Have an idle board send the ramp and compare; the board is idle and without pattern afterwards.

    Returns
    -------
    checked : bool
        False if the board cannot send a pattern, or is set to more than its link carries: it has to be set to less
        before it is started at all.

    Raises
    ------
    PatternMismatchError
        If other numbers come; the message says which cause fits.
    DeviceTimeoutError
        If it is started and sends no DATA.
    """
    try:
        client.set_test_pattern(Pattern.RAMP)
    except DeviceRefusedError:
        return False
    came: list[tuple[NDArray[np.uint32], I32]] = []
    deliver = client.deliver

    def collect(received: Received) -> None:
        for run in received.batch.runs():
            if run.samples.dtype == np.int32:
                came.append((run.sample_indices(), run.samples.astype(np.int32)))

    client.deliver = collect
    try:
        try:
            client.start(watchdog_ms=WATCHDOG_MS)
        except BudgetError:
            client.set_test_pattern(Pattern.OFF)
            return False
        deadline_ns = clock_ns() + round(WAIT_S * 1e9)
        while sum(len(counts) for _, counts in came) < N_SAMPLES:
            left_ns = deadline_ns - clock_ns()
            if left_ns <= 0:
                raise DeviceTimeoutError(
                    _(
                        "the board on {port} was started and sent no DATA within {wait_s:g} s; does its "
                        "converter run? A converter without clock or power answers commands all the same"
                    ).format(port=client.port, wait_s=WAIT_S),
                    port=client.port,
                )
            client.poll(left_ns / 1e9)
        client.stop()
        client.set_test_pattern(Pattern.OFF)
    finally:
        client.deliver = deliver
    for index, counts in came:
        if why := mismatch(index, counts):
            raise PatternMismatchError(
                _(
                    "the board on {port} does not send its test pattern as its specification says: {why}. "
                    "Its samples would be wrong in the same way; mend its firmware first"
                ).format(port=client.port, why=why),
                port=client.port,
            )
    return True


def mismatch(index: NDArray[np.uint32], counts: I32) -> str:
    """Why `counts` (n_samples, n_channels) are not the ramp at these conversion numbers; "" if they are."""
    channel = np.arange(counts.shape[1])
    expected = index.astype(np.int64)[:, None] * RAMP_STEP + channel * RAMP_CHANNEL & 0xFFFFFF
    words = counts.astype(np.int64) & 0xFFFFFF
    wrong = words != expected
    if not wrong.any():
        return ""
    k, c = (int(at[0]) for at in np.nonzero(wrong))
    what = f"conversion {index[k]}, channel {c + 1}: expected 0x{expected[k, c]:06X}, got 0x{words[k, c]:06X}"
    for cause, become in _CAUSES.items():
        if np.array_equal(words, become(expected)):
            return f"{what}; {cause}"
    for other in range(counts.shape[1]):
        if np.array_equal(words[:, c], expected[:, other]):
            return f"{what}; channel {c + 1} shows what belongs to channel {other + 1}"
    return what
