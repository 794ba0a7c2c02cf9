"""Damage on the wire never becomes a frame that was not sent, and costs no more than SPEC.md says.

A lost or changed byte costs the packet it hits, a missing delimiter nothing, a changed delimiter at most two packets.
"""

from __future__ import annotations

import random

import numpy as np
import pytest

from firmware_protocol import Command, Data, Event, Frame, Heartbeat, Info, Log, Response, encode
from firmware_protocol.bulk import BulkDecoder
from tests.firmware_protocol.damage import Site


def samples(n: int, seed: int) -> bytes:
    """int24 of the size of EEG: half of their upper bytes are 0."""
    counts = np.random.default_rng(seed).normal(0, 600, n).astype(">i4")
    return counts.view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()


def with_status(n_samples: int, per_converter: int) -> bytes:
    return b"".join(b"\xc0\x00\x00" + samples(per_converter, k) for k in range(n_samples))


SMALL: dict[str, Frame] = {
    "data": Data(0, 0, 1000, 4_000_000, 8, 4, 1, samples(32, 1)),
    "data with status words": Data(0, 2, 1000, 4_000_000, 8, 2, 1, with_status(2, 8), 0, True, 8),
    "event": Event(0, 0, 1004, 4_016_000, 1, 769, 0),
    "response": Response(0, 0, 700, 2, 0, 5_000_000, bytes(8)),
    "heartbeat": Heartbeat(0, 0, 12345, 10**12, 10**9, 3, 0, 3300, 31.5),
    "log": Log(0, 0, 4, 1, "converter 1 is ready"),
    "command": Command(0, 0, 700, 5, bytes((250, 0, 0, 0, 1, 0, 0, 0))),
}
LARGE: dict[str, Frame] = {
    "info": Info(0, 0, 0, 1, 0, "board", "1.0", 77, 1, 250, 1, 1, 8, 4, tuple("ABCDEFGH"), (0.022,) * 8),
    "data of 64 channels": Data(0, 0, 1000, 4_000_000, 64, 2, 1, samples(128, 2)),
    "data without a zero": Data(0, 0x11, 0x11111111, 0x11111111, 40, 4, 1, b"\x11" * 480),
}


@pytest.fixture(params=[*SMALL, "data in a row"])
def site(request: pytest.FixtureRequest) -> Site:
    name = request.param.removesuffix(" in a row")
    return Site(SMALL[name], in_a_row=request.param != name)


def assert_cost(site: Site, lost: np.ndarray, delimiter_hit: np.ndarray) -> None:  # type: ignore[type-arg]
    """Packets before are never lost, the one behind only by the delimiter, those behind it never."""
    assert not lost[:, : site.hit].any()
    assert not lost[~delimiter_hit, site.behind].any()
    assert not lost[:, site.behind + 1 :].any()


def test_every_single_flipped_bit_costs_exactly_its_packet(site: Site) -> None:
    bits = np.arange(site.n_bits)[:, None]
    lost = site.lost(site.flipped(bits), BulkDecoder())
    delimiter_hit = bits[:, 0] >= site.n_bits - 8
    assert_cost(site, lost, delimiter_hit)
    assert lost[~delimiter_hit, site.hit].all()
    assert not lost[delimiter_hit, site.hit].any(), (
        "a changed delimiter: the packet before it is found as a prefix"
    )


def all_pairs(site: Site) -> int:
    decoder = BulkDecoder()
    n = 0
    for bits in site.pairs():
        lost = site.lost(site.flipped(bits), decoder)
        assert_cost(site, lost, (bits >= site.n_bits - 8).any(axis=1))
        assert lost[(bits < site.n_bits - 8).all(axis=1), site.hit].all(), "a damaged packet was taken"
        n += len(bits)
    return n


def test_no_two_flipped_bits_make_a_frame_that_was_not_sent(site: Site) -> None:
    assert all_pairs(site) == site.n_bits * (site.n_bits - 1) // 2


def many_random_errors(sites: list[Site], n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for site in sites:
        decoder = BulkDecoder()
        for bits in site.random_bits(n // len(sites) + 1, rng):
            lost = site.lost(site.flipped(bits), decoder)
            assert_cost(site, lost, (bits >= site.n_bits - 8).any(axis=1))


def test_no_random_error_of_3_to_32_bits_makes_a_frame_that_was_not_sent() -> None:
    many_random_errors([Site(frame) for frame in (SMALL | LARGE).values()], 1_000_000, seed=4)


def test_every_lost_byte_costs_exactly_its_packet_and_a_lost_delimiter_nothing(site: Site) -> None:
    at = np.arange(site.begin, site.begin + site.n_bytes)
    kept = np.arange(len(site.wire) - 1)[None, :]
    lost = site.lost(site.wire[kept + (kept >= at[:, None])], BulkDecoder())
    expected = np.zeros_like(lost)
    expected[:-1, site.hit] = True
    assert np.array_equal(lost, expected)


def test_every_inserted_byte_costs_one_packet_at_most(site: Site) -> None:
    end = site.begin + site.n_bytes
    where, value = (
        a.ravel() for a in np.meshgrid(np.arange(site.begin, end + 1), np.arange(256), indexing="ij")
    )
    kept = np.arange(len(site.wire) + 1)[None, :]
    variants = site.wire[np.minimum(kept - (kept > where[:, None]), len(site.wire) - 1)]
    variants[np.arange(len(where)), where] = value
    lost = site.lost(variants, BulkDecoder())
    coded = slice(site.begin, end - 1)
    whole = (variants[:, coded] == site.wire[coded]).all(axis=1)  # it stands there before what is foreign
    expected = np.zeros_like(lost)
    expected[~whole & ~((where == site.begin) & (value == 0)), site.hit] = True
    expected[(where == end) & (value > 0), site.behind] = True  # it stands before the next packet
    assert np.array_equal(lost, expected)
    assert whole.sum() >= 2 * 256


def test_bursts_at_every_bit_make_no_frame_that_was_not_sent(site: Site) -> None:
    """Up to 64 bits from there on are flipped at random, the first and the last of them for sure."""
    rng = np.random.default_rng(5)
    for length in (2, 3, 8, 17, 32, 33, 64):
        starts = np.repeat(np.arange(site.n_bits - length + 1), 8)
        within = np.arange(length)
        flip = rng.random((len(starts), length)) < 0.5
        flip[:, [0, -1]] = True
        bits = np.where(flip, starts[:, None] + within, -1)
        lost = site.lost(site.flipped(bits), BulkDecoder())
        assert_cost(site, lost, (bits >= site.n_bits - 8).any(axis=1))
        assert lost[(bits < site.n_bits - 8).all(axis=1), site.hit].all()


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
        with pytest.raises(AssertionError):
            site.lost(np.frombuffer(wire, np.uint8)[None], BulkDecoder())


def garbage(n_bytes: int, seed: int) -> None:
    """Noise of many kinds, none of which may come out as a frame."""
    rng = np.random.default_rng(seed)
    choice = random.Random(seed)
    decoder = BulkDecoder()
    left = n_bytes
    while left > 0:
        n = min(left, 1 << 20)
        noise = rng.integers(0, 256, n, dtype=np.uint8)
        kind = choice.randrange(5)
        if kind == 1:  # delimiters from every other byte to one in 200
            noise[rng.random(n) < 0.5 ** choice.uniform(1, 8)] = 0
        elif kind == 2:  # headers of DATA wherever a packet may begin
            noise[np.flatnonzero(noise[:-3] == 0) + 2] = 0x11
        elif kind == 3:  # text
            noise = 32 + noise % 95
            noise[rng.random(n) < 0.02] = 10
        elif kind == 4:  # few values, so that code bytes fit often
            noise %= choice.randrange(2, 30)
        batch = decoder.feed(noise)
        assert not (batch.events["kind"] == 0).any(), batch.events[batch.events["kind"] == 0]
        left -= n
    decoder.finish()
    assert decoder.offset == n_bytes


def test_fifty_million_bytes_of_garbage_hold_no_frame() -> None:
    garbage(50_000_000, seed=7)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_a_billion_bytes_of_garbage_hold_no_frame() -> None:
    garbage(1_000_000_000, seed=8)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", LARGE)
def test_no_two_flipped_bits_of_a_large_packet_make_a_frame_that_was_not_sent(name: str) -> None:
    site = Site(LARGE[name])
    assert all_pairs(site) == site.n_bits * (site.n_bits - 1) // 2


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_no_random_error_of_ten_million_makes_a_frame_that_was_not_sent() -> None:
    many_random_errors([Site(frame) for frame in (SMALL | LARGE).values()], 10_000_000, seed=9)
