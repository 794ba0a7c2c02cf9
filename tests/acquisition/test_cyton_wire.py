"""Frames of a Cyton are found, and nothing else is, whatever happens to the bytes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.acquisition.cyton.wire import (
    ChannelSetting,
    CytonDecoder,
    CytonFrame,
    Skipped,
    encode_frame,
    uv_per_count,
)
from tests.acquisition.cyton_bench import frames


def decoded(wire: bytes, *, cut: int | None = None) -> list[CytonFrame | Skipped]:
    decoder = CytonDecoder()
    step = cut or max(len(wire), 1)
    events = [e for at in range(0, len(wire), step) for e in decoder.feed(wire[at : at + step])]
    return events + decoder.finish()


def counters(wire: bytes) -> list[int]:
    return [event.counter for event in decoded(wire) if isinstance(event, CytonFrame)]


def test_a_frame_has_its_33_bytes_where_the_board_puts_them() -> None:
    frame = CytonFrame(
        5, (1, -1, 2**23 - 1, -(2**23), 0, 256, -256, 65536), b"\x01\x02\x03\x04\x05\x06", 0xC1
    )
    assert encode_frame(frame).hex(" ", 3) == (
        "a00500 0001ff ffff7f ffff80 000000 000000 0100ff ff0001 000001 020304 0506c1"
    )
    wire = b"".join([encode_frame(frame), *frames(5, first=6)])
    assert decoded(wire)[0] == frame


def test_scale_is_that_of_the_converter() -> None:
    assert uv_per_count(24) == pytest.approx(0.02235174, abs=1e-8)


@pytest.mark.parametrize("cut", [1, 7, 33, 100])
def test_any_cut_of_the_stream_gives_the_same_events(cut: int) -> None:
    wire = b"boot text$$$" + b"".join(frames(300)) + b"noise \xa0" + b"".join(frames(20, first=300))
    assert decoded(wire, cut=cut) == decoded(wire)
    assert b"".join(e.data if isinstance(e, Skipped) else encode_frame(e) for e in decoded(wire)) == wire


@settings(max_examples=60, deadline=None)
@given(
    at=st.integers(10 * 33, 40 * 33 - 1),
    kind=st.sampled_from(["lose", "duplicate", "insert"]),
    byte=st.integers(0, 255),
)
def test_a_lost_or_inserted_byte_costs_the_frame_it_hit_and_no_other(at: int, kind: str, byte: int) -> None:
    wire = b"".join(frames(60))
    spoilt = {
        "lose": wire[:at] + wire[at + 1 :],
        "duplicate": wire[: at + 1] + wire[at:],
        "insert": wire[:at] + bytes([byte]) + wire[at:],
    }[kind]
    events = [event for event in decoded(spoilt) if isinstance(event, CytonFrame)]
    true = {frame.counter: frame for frame in decoded(wire) if isinstance(frame, CytonFrame)}
    missing = set(true) - {event.counter for event in events}
    assert missing <= {at // 33, at // 33 - (at % 33 == 0)}
    assert len(missing) <= 1
    wrong = [event for event in events if event != true[event.counter]]
    # A byte that is doubled or lost beside its equal leaves the frame's bytes, and its values, as they were.
    assert wrong == []


def test_a_flipped_header_or_end_byte_costs_its_frame() -> None:
    for place in (0, 32):
        wire = bytearray(b"".join(frames(40)))
        wire[20 * 33 + place] ^= 0x11
        assert counters(bytes(wire)) == [k for k in range(40) if k != 20]


def test_text_in_the_stream_costs_nothing_but_itself() -> None:
    text = b"rst:0x1 (POWERON_RESET),boot:0x13\r\n" * 3
    wire = b"".join([*frames(20), text, *frames(20, first=20)])
    assert counters(wire) == list(range(40))
    assert [event.data for event in decoded(wire) if isinstance(event, Skipped)] == [text]


@pytest.mark.parametrize("joined_at", range(0, 33, 4))
def test_channels_that_imitate_frames_are_not_taken_for_them(joined_at: int) -> None:
    """`C0 A0` at one place of every frame: 33 bytes apart, with header and end byte, from wherever one joins."""
    imitation = (0x00C0A0, 0x11C0A0, -0x3F5F40, 5, 6, 7, 8, 9)
    wire = b"".join(frames(60, sample=lambda k: imitation))[joined_at:]
    events = [event for event in decoded(wire) if isinstance(event, CytonFrame)]
    assert [event.counter for event in events] == list(range(1 if joined_at else 0, 60))
    assert {event.counts for event in events} == {imitation}


def test_a_channel_that_also_counts_is_seen_through_when_its_count_ends() -> None:
    """`C0 A0` followed by a byte that goes up with the counter: only that a ramp ends tells the two apart."""
    ramp = lambda k: (0, 0, (0xC0A0 << 8 | (k * 3 + 7) % 200) - 2**24, 0, 0, 0, 0, 0)  # noqa: E731
    wire = b"".join(frames(400, sample=ramp))
    for joined_at in (0, 9, 11, 20):
        found = [event for event in decoded(wire[joined_at:]) if isinstance(event, CytonFrame)]
        assert found[-1].counts == ramp(399)
        assert len(found) > 300


@pytest.mark.parametrize("at", range(5, 33, 3))
def test_after_a_lost_byte_a_channel_that_counts_is_not_taken_for_the_next_frame(at: int) -> None:
    def ramp(k: int) -> tuple[int, ...]:
        return (0, 0, (0xC0A0 << 8 | (k + 100) % 256) - 2**24, 0, 0, 0, 0, 0)

    wire = b"".join([*frames(60, sample=lambda k: (0,) * 8), *frames(60, first=60, sample=ramp)])
    lost = 90 * 33 + at
    found = counters(wire[:lost] + wire[lost + 1 :])
    assert found == [k for k in range(120) if k != 90]


def test_frames_that_never_came_do_not_end_the_lock() -> None:
    wire = b"".join([*frames(20), *frames(20, first=90), *frames(20, first=150)])
    assert counters(wire) == [*range(20), *range(90, 110), *range(150, 170)]
    every_other = b"".join(frames(100)[::2])
    assert counters(every_other) == list(range(0, 100, 2))


def test_noise_alone_is_no_frame() -> None:
    noise = np.random.default_rng(1).bytes(50_000)
    assert counters(noise) == []


def test_the_end_of_a_stream_gives_its_last_frame() -> None:
    decoder = CytonDecoder()
    events = decoder.feed(b"".join(frames(10)))
    assert [e.counter for e in events if isinstance(e, CytonFrame)] == list(range(9))
    assert [e.counter for e in decoder.finish() if isinstance(e, CytonFrame)] == [9]


def test_settings_are_read_out_of_what_was_sent() -> None:
    assert ChannelSetting.all_in(b"x1060110XxQ150110X") == [
        ChannelSetting(0, True, 24),
        ChannelSetting(8, False, 12),
    ]


def test_samples_of_a_real_board_come_through_bit_for_bit(shared_data: Callable[[str], Path]) -> None:
    """An SD card's log of a Cyton: hexadecimal words of eight channels."""
    log = shared_data("openbci_raw/OBCI-01_SDcard_hex.TXT").read_text(encoding="latin-1")
    rows = re.findall(r"^([0-9A-F]{2})((?:,[0-9A-F]{6}){8})", log, flags=re.MULTILINE)
    assert len(rows) > 3000
    real = []
    for counter, words in rows:
        raw = bytes.fromhex(words.replace(",", ""))
        values = tuple(int.from_bytes(raw[k : k + 3], signed=True) for k in range(0, 24, 3))
        real.append(CytonFrame(int(counter, 16), values))
    wire = b"".join(map(encode_frame, real))
    assert decoded(wire) == real
    spoilt = wire[:50_000] + wire[50_001:]
    kept = [event for event in decoded(spoilt) if isinstance(event, CytonFrame)]
    assert len(kept) == len(real) - 1
    assert set(kept) < set(real)
