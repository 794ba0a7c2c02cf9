"""What the control loop tells the safety monitor of each piece of signal."""

from __future__ import annotations

import numpy as np
import pytest

from bci.chunks import Chunk
from bci.sessions.control import lead_off, pieces


def chunk(n_samples: int, off: dict[int, int] | None = None, *, first: int = 100) -> Chunk:
    """Two converters of 8 channels; `off` maps a sample to the status bits of the second converter."""
    status = np.full((2, n_samples), 0xC00000, dtype=np.int32)
    for sample, bits in (off or {}).items():
        status[1, sample] |= bits
    return Chunk(np.zeros((16, n_samples), order="F"), first, lost_before=3, status=status)


@pytest.mark.parametrize(("bit", "channel"), [(12, 8), (15, 11), (4, 8), (7, 11)])
def test_an_electrode_that_is_off_counts_where_its_channel_is_needed(bit: int, channel: int) -> None:
    signal = chunk(5, {3: 1 << bit})
    assert lead_off(signal, range(16))
    assert lead_off(signal, [channel])
    assert not lead_off(signal, [n for n in range(16) if n != channel])


def test_a_board_that_does_not_tell_is_taken_at_its_word() -> None:
    assert not lead_off(Chunk(np.zeros((16, 5)), 0), range(16))
    assert not lead_off(chunk(5), range(16))


def test_pieces_carry_their_own_status_and_only_the_first_what_was_lost() -> None:
    cut = list(pieces(chunk(60, {30: 1 << 12}), 25))
    assert [(p.first_sample, p.n_samples, p.lost_before) for p in cut] == [
        (100, 25, 3),
        (125, 25, 0),
        (150, 10, 0),
    ]
    assert [lead_off(p, range(16)) for p in cut] == [False, True, False]
    assert all(p.status is not None and p.status.shape[1] == p.n_samples for p in cut)
