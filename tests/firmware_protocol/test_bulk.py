"""The kernel gives the reference decoder's events, and the same numbers as columns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from firmware_protocol import Data, Decoder, Event, Fault, FrameError, Host, Info, Log, encode, seal
from firmware_protocol._simd import HARDWARE_CRC
from firmware_protocol.bulk import KINDS, BulkDecoder
from firmware_protocol.codes import FaultKind
from tests.firmware_protocol.strategies import data_frames
from tests.firmware_protocol.wires import NONCE, calm_wires, cut, cuts, wires

CRC_FORMS = [False, *([True] if HARDWARE_CRC else [])]


def both(wire: bytes, pieces: list[bytes], *, nonce: int | None, hardware: bool) -> None:
    """Assert that both decoders say the same, the reference being fed whole."""
    reference = Decoder(nonce=nonce)
    expected = [*reference.feed(wire), *reference.finish()]
    decoder = BulkDecoder(nonce=nonce, hardware=hardware)
    batches = [*(decoder.feed(piece) for piece in pieces), decoder.finish()]
    got = [event for batch in batches for event in batch.unpack()]
    assert got == expected
    assert [event.offset for event in got] == [event.offset for event in expected]
    assert decoder.discarded == reference.discarded == sum(batch.discarded for batch in batches)
    assert decoder.offset == reference.offset == len(wire)


@settings(max_examples=300, deadline=None)
@given(wire=wires(), sizes=cuts, nonce=st.sampled_from([None, NONCE]), hardware=st.sampled_from(CRC_FORMS))
def test_kernel_and_reference_decoder_give_the_same_events(
    wire: bytes, sizes: list[int], nonce: int | None, hardware: bool
) -> None:
    both(wire, cut(wire, sizes), nonce=nonce, hardware=hardware)


@settings(max_examples=150, deadline=None)
@given(wire=calm_wires(), cut_at=st.none() | st.floats(0, 1), hardware=st.sampled_from(CRC_FORMS))
def test_kernel_and_reference_decoder_agree_on_long_rows_of_data(
    wire: bytes, cut_at: float | None, hardware: bool
) -> None:
    at = len(wire) if cut_at is None else int(cut_at * len(wire))
    both(wire, [wire[:at], wire[at:]], nonce=NONCE, hardware=hardware)


@settings(max_examples=100, deadline=None)
@given(wire=st.lists(st.sampled_from([0, 0, 1, 2, 3, 255, 17]), max_size=900).map(bytes), sizes=cuts)
def test_kernel_and_reference_decoder_agree_on_dense_delimiters(wire: bytes, sizes: list[int]) -> None:
    both(wire, cut(wire, sizes), nonce=None, hardware=CRC_FORMS[-1])


class Feeding(RuleBasedStateMachine):
    """Feeding and finishing in any order: a finished decoder goes on with the next bytes."""

    @initialize(nonce=st.sampled_from([None, NONCE]), hardware=st.sampled_from(CRC_FORMS))
    def make(self, nonce: int | None, hardware: bool) -> None:
        self.reference = Decoder(nonce=nonce)
        self.decoder = BulkDecoder(nonce=nonce, hardware=hardware)

    @rule(wire=wires())
    def feed(self, wire: bytes) -> None:
        assert self.decoder.feed(wire).unpack() == self.reference.feed(wire)

    @rule(wire=wires(), sizes=cuts)
    def feed_in_pieces(self, wire: bytes, sizes: list[int]) -> None:
        for piece in cut(wire, sizes):
            assert self.decoder.feed(piece).unpack() == self.reference.feed(piece)

    @rule()
    def finish(self) -> None:
        assert self.decoder.finish().unpack() == self.reference.finish()

    @invariant()
    def counts_agree(self) -> None:
        if hasattr(self, "decoder"):
            assert (self.decoder.offset, self.decoder.discarded) == (
                self.reference.offset,
                self.reference.discarded,
            )


TestFeeding = Feeding.TestCase
TestFeeding.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)


@settings(max_examples=100, deadline=None)
@given(frame=data_frames())
def test_columns_hold_what_the_frame_holds(frame: Data) -> None:
    (run,) = BulkDecoder().feed(encode(frame)).runs()
    if frame.sample_type == 0:
        assert run.samples.dtype == np.int32
        assert run.samples.tolist() == frame.counts()
    else:
        assert run.samples.dtype == np.float32
        np.testing.assert_array_equal(run.samples, np.array(frame.values(), np.float32))
    assert run.status_words.tolist() == frame.status_words()
    for name in ("link_seq", "flags", "sample_index", "t_us", "n_channels", "n_samples", "config_id"):
        assert run.events[name].tolist() == [getattr(frame, name)]


def counts_frame(k: int, *, n_channels: int = 8, config_id: int = 1) -> Data:
    """Frame number k of four conversions whose samples count up from 1000 k."""
    counts = 1000 * k + np.arange(4 * n_channels, dtype=">i4")
    payload = counts.view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()
    return Data(k, 0, 0xFFFFFFFC + 4 * k & 0xFFFFFFFF, 16_000 * k, n_channels, 4, config_id, payload)


def test_samples_of_frames_of_one_shape_are_one_array() -> None:
    frames = [counts_frame(k) for k in range(5)]
    batch = BulkDecoder().feed(b"".join(map(encode, [frames[0], Event(9, 0, 1, 2, 1, 7, 0), *frames[1:]])))
    assert batch.samples.shape == (20, 8)
    assert batch.samples.tolist() == [row for frame in frames for row in frame.counts()]
    assert np.shares_memory(batch.samples, batch.values)
    assert batch.data["t_us"].tolist() == [frame.t_us for frame in frames]
    (run,) = batch.runs()
    assert run.sample_indices().tolist() == [0xFFFFFFFC + k & 0xFFFFFFFF for k in range(20)]
    assert [type(frame) for frame in batch.other_frames()] == [Event]


def test_runs_are_cut_where_channels_or_configuration_change() -> None:
    frames = [counts_frame(0), counts_frame(1), counts_frame(2, n_channels=3), counts_frame(3, config_id=2)]
    batch = BulkDecoder().feed(b"".join(map(encode, frames)))
    assert [run.samples.shape for run in batch.runs()] == [(8, 8), (4, 3), (4, 8)]
    assert [run.samples.tolist() for run in batch.runs()][1] == frames[2].counts()
    with pytest.raises(FrameError, match="3 runs"):
        _ = batch.samples


def test_a_batch_without_data_has_no_samples() -> None:
    batch = BulkDecoder().feed(encode(Event(1, 0, 1, 2, 1, 7, 0)))
    assert batch.samples.shape == (0, 0)
    assert list(batch.runs()) == []


@pytest.mark.parametrize("per_converter", [8, 6, 4])
def test_lead_off_bits_are_those_of_the_status_words(per_converter: int) -> None:
    positive, negative = 0b0000_0101, 0b0000_1010
    word = (0b1100 << 20 | positive << 12 | negative << 4).to_bytes(3)
    payload = 2 * (word + bytes(3 * per_converter))
    frame = Data(0, 0, 0, 0, 2 * per_converter, 1, 0, payload, 0, True, per_converter)
    (run,) = BulkDecoder().feed(encode(frame)).runs()
    off = [k in (0, 2) for k in range(per_converter)], [k in (1, 3) for k in range(per_converter)]
    got = run.lead_off()
    assert [side.tolist() for side in got] == [[2 * off[0]], [2 * off[1]]]


def test_lead_off_without_status_words_has_no_channels() -> None:
    (run,) = BulkDecoder().feed(encode(counts_frame(0))).runs()
    assert [side.shape for side in run.lead_off()] == [(4, 0), (4, 0)]


def test_faults_come_as_rows_and_as_objects() -> None:
    good = encode(counts_frame(1))
    bad = bytearray(good)
    bad[40] ^= 1
    batch = BulkDecoder().feed(good + bytes(bad) + good)
    assert [KINDS[kind] for kind in batch.events["kind"]] == [None, FaultKind.CRC, None]
    assert batch.events["offset"].tolist() == [0, len(good), 2 * len(good)]
    assert batch.events["length"].tolist() == [len(good) - 1] * 3
    assert batch.events["size"].tolist() == [116, 0, 116]
    assert batch.faults() == [
        Fault(len(good), len(bad) - 1, "crc", batch.faults()[0].detail, bytes(bad[:-1]))
    ]


def test_text_that_is_no_utf8_is_a_field_fault_as_in_the_reference() -> None:
    log = seal(Log(1, 0, 2, 3, "ab").pack()[:-2] + b"\xff\xfe")
    info = bytearray(Info(1, 0, 0, 1, 0, "board", "1", 5, 1, 250, 1, 0, 1, 1, ("Cz",), (1.0,)).pack())
    info[28] = 0xFF
    wire = log + seal(bytes(info)) + encode(counts_frame(0))
    batch = BulkDecoder().feed(wire)
    assert [KINDS[kind] for kind in batch.events["kind"]] == [FaultKind.FIELD, FaultKind.FIELD, None]
    assert batch.unpack() == Decoder().feed(wire)


def test_a_row_shows_the_header_of_its_packet_and_zeros_behind_a_short_one() -> None:
    for size in range(8, 24):
        body = bytes([0x17, 1, 2, 3, *range(200, 192 + size)])
        (event,) = BulkDecoder().feed(seal(body)).events
        assert event.tobytes()[8:24] == (body + bytes(16))[:16]
        assert event["size"] == size


def test_the_longest_packets_of_unknown_type_are_frames_and_longer_ones_are_not() -> None:
    kinds = []
    for size in range(653, 658):
        wire = seal(bytes([0x17, 0, 0, 0]) + bytes(size - 8))
        assert len(wire) == size + 2
        both(wire, [wire], nonce=None, hardware=CRC_FORMS[-1])
        kinds += [KINDS[kind] for kind in BulkDecoder().feed(wire).events["kind"]]
    assert kinds == [None, None, None, FaultKind.LENGTH, FaultKind.LENGTH]


def log_that_ends_with_a_full_block() -> bytes:
    """The wire of a LOG whose last COBS block has 254 bytes, the CRC among them."""
    for n in range(10_000):
        wire = encode(Log(0x0101, 0, 0x01010101, 1, "x" * 246 + f"{n:04d}"))
        if wire[-256] == 255:
            return wire
    raise AssertionError("no such packet")


def test_a_code_byte_1_behind_a_full_block_belongs_to_the_packet_before_it() -> None:
    wire = log_that_ends_with_a_full_block()
    other = encode(Event(1, 0, 1, 2, 1, 7, 0))
    for joint in (b"\x01", b"", b"\x00", b"\x01\x00", b"\x02"):
        joined = wire[:-1] + joint + other
        both(joined, [joined], nonce=None, hardware=CRC_FORMS[-1])
    batch = BulkDecoder().feed(wire[:-1] + b"\x01" + other)
    assert batch.events["length"].tolist() == [len(wire), 0, len(other) - 1]


def test_a_host_packet_too_short_for_a_nonce_has_none_whatever_lies_behind_it() -> None:
    wire = seal(b"\x1f\x01\x01\x01")
    assert len(wire) == 10
    behind = b"\x05\x06\x07"
    nonce = int.from_bytes(wire[5:9] + b"\x00" + behind, "little")
    both(wire + behind, [wire + behind], nonce=nonce, hardware=CRC_FORMS[-1])


@pytest.mark.parametrize("nonce", [0, 1, NONCE, (1 << 64) - 1])
def test_host_packets_are_frames_for_their_own_nonce_only(nonce: int) -> None:
    wire = encode(Host(1, nonce, b"note"))
    assert BulkDecoder(nonce=nonce).feed(wire).unpack() == [Host(1, nonce, b"note")]
    for other in (None, nonce ^ 1):
        (fault,) = BulkDecoder(nonce=other).feed(wire).faults()
        assert fault.kind == FaultKind.HOST_ON_WIRE


def test_any_kind_of_buffer_may_be_fed() -> None:
    wire = encode(counts_frame(3))
    expected = BulkDecoder().feed(wire).unpack()
    array = np.frombuffer(wire, np.uint8)
    for data in (bytearray(wire), memoryview(wire), array, array.copy()):
        assert BulkDecoder().feed(data).unpack() == expected
    writable = array.copy()
    BulkDecoder().feed(writable)
    assert writable.flags.writeable, "the caller's array stays as it was"


def test_asking_for_a_missing_instruction_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firmware_protocol._scanner.HARDWARE_CRC", "")
    with pytest.raises(ValueError, match="no CRC-32C instruction"):
        BulkDecoder(hardware=True)
    assert len(BulkDecoder().feed(encode(counts_frame(0))).data) == 1
