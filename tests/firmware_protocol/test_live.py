"""Live bytes into a ring: the same events, in memory laid out before, and batches that stay as promised."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_protocol import Data, Decoder, encode
from firmware_protocol.batch import Batch
from firmware_protocol.live import LiveRing
from tests.firmware_protocol.wires import NONCE, cut, cuts, wires


def frame(k: int) -> bytes:
    """A DATA frame whose samples are all k."""
    return encode(Data(k & 0xFFFF, 0, 4 * k, 16 * k, 8, 4, 0, k.to_bytes(3) * 32))


@settings(max_examples=80, deadline=None)
@given(streams=st.lists(wires(), min_size=1, max_size=3), sizes=cuts, nonce=st.sampled_from([None, NONCE]))
def test_ring_gives_the_events_of_the_reference_over_many_laps(
    streams: list[bytes], sizes: list[int], nonce: int | None
) -> None:
    ring, reference = LiveRing(keep_bytes=1000, nonce=nonce), Decoder(nonce=nonce)
    for wire in streams:
        for piece in cut(wire, [min(size, 1000) for size in sizes]):
            assert ring.feed(piece).unpack() == reference.feed(piece)
    assert (ring.offset, ring.discarded) == (reference.offset, reference.discarded)


@pytest.mark.parametrize("noise", [b"\x01\x00", bytes(9), b"\x07" * 700 + b"\x00", frame(99)])
def test_a_batch_stays_as_it_is_while_keep_bytes_more_are_fed(noise: bytes) -> None:
    """Whatever comes, and wherever in the ring the batch lies."""
    keep = 2000
    for before in range(0, 2 * keep, 397):
        ring = LiveRing(keep_bytes=keep)
        for _ in range(before // len(noise)):
            ring.feed(noise)
        ring.feed(b"\x00")
        batch = ring.feed(frame(5))
        copied = batch.unpack()
        assert [event for event in copied if isinstance(event, Data)]
        fed = 0
        while fed + len(noise) <= keep:
            ring.feed(noise)
            fed += len(noise)
        assert batch.unpack() == copied


def test_ring_allocates_no_arrays_while_it_is_fed() -> None:
    ring = LiveRing(keep_bytes=5000)
    banks = [bank.values for bank in (ring._bank, ring._other)]
    used = set()
    for k in range(500):
        batch: Batch = ring.feed(frame(k))
        assert (batch.samples == k).all()
        used.add(tuple(np.shares_memory(batch.samples, bank) for bank in banks))
    assert used == {(True, False), (False, True)}


def test_feeding_more_than_the_ring_keeps_is_refused_and_changes_nothing() -> None:
    ring = LiveRing(keep_bytes=1000)
    half = len(frame(1)) // 2
    ring.feed(frame(1)[:half])
    with pytest.raises(ValueError, match="use BulkDecoder"):
        ring.feed(bytes(1001))
    assert ring.feed(frame(1)[half:]).n_data == 1
    assert ring.offset == len(frame(1))
