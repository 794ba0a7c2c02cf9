"""Rows of DATA packets from columns are those the reference codec makes, byte for byte."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_protocol import Data, FrameError, encode, pack_counts
from firmware_protocol._fields import Format
from firmware_protocol._simd import HARDWARE_CRC
from firmware_protocol.bulk import BulkDecoder
from firmware_protocol.bulk_encoder import HEADERS, data_headers, encode_data, int24_bytes
from tests.firmware_protocol.strategies import data_frames

CRC_FORMS = [False, *([True] if HARDWARE_CRC else [])]


def columns(frames: list[Data]) -> tuple[np.ndarray, np.ndarray]:
    rows = [
        (
            0x11, f.flags, f.link_seq, f.sample_index, f.t_us, f.n_channels, f.n_samples,
            Format(f.sample_type, f.has_status, f.channels_per_converter).byte(), f.config_id,
        )
        for f in frames
    ]  # fmt: skip
    return np.array(rows, HEADERS), np.frombuffer(b"".join(f.payload for f in frames), np.uint8)


@st.composite
def with_long_runs(draw: st.DrawFn) -> Data:
    """Blocks of 253 to 255 bytes without a zero, before one and before the end: where COBS has its corners."""
    payload = bytearray(b"\x01" * 633)
    for at in draw(st.lists(st.integers(0, 632), max_size=6)):
        payload[at] = 0
    n_samples = draw(st.sampled_from((1, 31, 32, 3)))
    size = n_samples * {1: 192, 31: 18, 32: 18, 3: 192}[n_samples]
    n_channels = size // n_samples // 3
    return Data(257, 1, 0x01010101, 0x01010101, n_channels, n_samples, 1, bytes(payload[:size]))


@settings(max_examples=40, deadline=None)
@given(
    frames=st.lists(st.one_of(data_frames(), with_long_runs()), max_size=5),
    hardware=st.sampled_from(CRC_FORMS),
)
def test_rows_of_packets_are_those_of_the_reference_codec(frames: list[Data], hardware: bool) -> None:
    wire, ends = encode_data(*columns(frames), hardware=hardware)
    packets = [encode(frame) for frame in frames]
    assert wire.tobytes() == b"".join(packets)
    assert ends.tolist() == np.cumsum([len(packet) for packet in packets], dtype=int).tolist()


def test_every_size_that_a_packet_may_have_is_encoded_alike() -> None:
    rng = np.random.default_rng(0)
    frames = [
        Data(k, k & 0x7F, k, k, n_channels, n_samples, 0, rng.bytes(3 * n_channels * n_samples))
        for k, (n_channels, n_samples) in enumerate(
            (c, n) for c in range(1, 65) for n in range(1, 33) if 20 + 3 * c * n <= 655
        )
    ]
    assert encode_data(*columns(frames))[0].tobytes() == b"".join(map(encode, frames))


@settings(max_examples=50, deadline=None)
@given(frames=st.lists(data_frames(), min_size=1, max_size=6))
def test_what_was_encoded_is_decoded_with_the_same_headers(frames: list[Data]) -> None:
    headers, payload = columns(frames)
    wire, _ = encode_data(headers, payload)
    events = BulkDecoder().feed(wire.tobytes()).events
    for name in HEADERS.names or ():
        np.testing.assert_array_equal(events[name], headers[name])


@settings(max_examples=100, deadline=None)
@given(data=st.data(), n=st.integers(0, 9), c=st.sampled_from((4, 6, 8)), n_converters=st.integers(1, 8))
def test_counts_and_status_words_are_packed_as_the_reference_packs_them(
    data: st.DataObject, n: int, c: int, n_converters: int
) -> None:
    seed = data.draw(st.integers(0, 1 << 32))
    rng = np.random.default_rng(seed)
    counts = rng.integers(-(1 << 23), 1 << 23, (n, c * n_converters), dtype=np.int32)
    status = np.tile(rng.integers(0, 1 << 24, (1, n_converters), dtype=np.int32), (n, 1))
    if n:
        words = status[0].tolist()
        expected = pack_counts(counts.tolist(), status=words, channels_per_converter=c)
        assert int24_bytes(counts, status=status, channels_per_converter=c).tobytes() == expected
    assert int24_bytes(counts).tobytes() == pack_counts(counts.tolist())


def test_what_no_packet_may_hold_is_refused_with_the_fields_name() -> None:
    def refused(name: str, **changed: int) -> None:
        headers = data_headers(3, n_channels=8)
        headers["n_samples"] = 2
        for key, value in changed.items():
            headers[key][1] = value
        with pytest.raises(FrameError) as caught:
            encode_data(headers, np.zeros(3 * 48, np.uint8))
        assert caught.value.field == name

    refused("head", head=0x12)
    refused("n_channels", n_channels=65)
    refused("n_samples", n_samples=0)
    refused("n_samples", n_samples=32)
    refused("format", format=3)
    refused("format", format=0x40)  # reserved bits are sent 0
    refused("payload", n_samples=3)
    with pytest.raises(FrameError, match=r"−2\^23"):
        int24_bytes(np.array([[1 << 23]], np.int32))
    wire, ends = encode_data(data_headers(0, n_channels=8), np.zeros(0, np.uint8))
    assert (wire.size, ends.size) == (0, 0)
