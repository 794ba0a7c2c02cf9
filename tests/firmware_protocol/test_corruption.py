"""Damage on the wire never becomes a frame that was not sent, and costs no more than SPEC.md says.

A lost or changed byte costs the packet it hits, a missing delimiter nothing, a changed delimiter at most two packets.
`bci selftest protocol` does the same at full size.
"""

from __future__ import annotations

import numpy as np
import pytest

from bci.selftest._corruption import (
    LARGE,
    SMALL,
    Site,
    WrongDecodingError,
    all_pairs,
    bursts,
    deleted_bytes,
    garbage,
    inserted_bytes,
    random_errors,
    samples,
    single_bits,
)
from firmware_protocol import Data, Event, encode
from firmware_protocol.bulk import BulkDecoder


@pytest.fixture(params=[*SMALL, "data in a row"])
def site(request: pytest.FixtureRequest) -> Site:
    name = request.param.removesuffix(" in a row")
    return Site(SMALL[name], in_a_row=request.param != name)


def test_every_single_flipped_bit_costs_exactly_its_packet(site: Site) -> None:
    assert single_bits(site) == site.n_bits


def test_no_two_flipped_bits_make_a_frame_that_was_not_sent(site: Site) -> None:
    assert all_pairs(site) == site.n_bits * (site.n_bits - 1) // 2


def test_no_random_error_of_3_to_32_bits_makes_a_frame_that_was_not_sent() -> None:
    assert random_errors([Site(frame) for frame in (SMALL | LARGE).values()], 1_000_000, seed=4) >= 1_000_000


def test_every_deleted_byte_costs_exactly_its_packet_and_a_deleted_delimiter_nothing(site: Site) -> None:
    assert deleted_bytes(site) == site.n_bytes


def test_every_inserted_byte_costs_one_packet_at_most(site: Site) -> None:
    assert inserted_bytes(site) == 256 * (site.n_bytes + 1)


def test_bursts_at_every_bit_make_no_frame_that_was_not_sent(site: Site) -> None:
    assert bursts(site) > 8 * site.n_bits


@pytest.mark.parametrize("filling", [0x00, 0x01, 0xFF, None])
def test_runs_of_foreign_bytes_make_no_frame_that_was_not_sent(site: Site, filling: int | None) -> None:
    """At every byte, 2 to 40 bytes are replaced."""
    rng = np.random.default_rng(6)
    for length in (2, 4, 16, 40):
        starts = np.arange(max(site.n_bytes - length, 1))
        variants = np.tile(site.wire, (len(starts), 1))
        columns = np.minimum(site.begin + starts[:, None] + np.arange(length), site.begin + site.n_bytes - 1)
        variants[starts[:, None], columns] = (
            rng.integers(0, 256, columns.shape) if filling is None else filling
        )
        site.lost(variants, BulkDecoder())


def test_a_wrong_frame_would_be_seen() -> None:
    """The check itself: another packet in place of the one that was sent is refused."""
    for sent, other in (
        (SMALL["event"], Event(1, 0, 1004, 4_016_000, 1, 770, 0)),
        (SMALL["event"], Event(7, 0, 1004, 4_016_000, 1, 769, 0)),
        (SMALL["data"], Data(1, 0, 1000, 4_000_000, 8, 4, 1, samples(32, 9))),
        (SMALL["data"], Data(1, 0, 1001, 4_000_000, 8, 4, 1, samples(32, 1))),
    ):
        site = Site(sent)
        wire = site.wires[0] + encode(other) + site.wires[2]
        with pytest.raises(WrongDecodingError):
            site.lost(np.frombuffer(wire, np.uint8)[None], BulkDecoder())


def test_a_cost_that_is_too_high_would_be_seen() -> None:
    site = Site(SMALL["event"])
    whole = np.zeros((1, 3), bool)
    site.check_cost(whole, np.array([False]))
    for k in (0, 2):
        lost = whole.copy()
        lost[0, k] = True
        with pytest.raises(WrongDecodingError):
            site.check_cost(lost, np.array([False]))


def test_fifty_million_bytes_of_garbage_hold_no_frame() -> None:
    assert garbage(50_000_000, seed=7) == 50_000_000
