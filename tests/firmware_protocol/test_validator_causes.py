"""Each mistake is named, on boards of many shapes; a good capture has no cause."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from firmware_protocol import Data, Event, Flag, HostWriter, Log, Sent, Start, encode, encode_command
from firmware_protocol.codes import Opcode
from firmware_protocol.frames import Command
from firmware_protocol.validator import CaptureCheck, Checker, Report

from .captures import Board, Wire, eeg, gain_change, good, sealed, stream, wire_of
from .gallery import GALLERY, with_table
from .gallery import report as gallery_report

USUAL = Board(has_status=True, seconds=2.0)
SHORT = Board(n_channels=4, per_converter=4, seconds=0.5, seed=4)
MANY = Board(n_channels=64, n_samples=3, seconds=0.3, rate=Fraction(500), seed=5)
SINGLE = Board(n_channels=1, n_samples=8, seconds=1.2, rate=Fraction(1000), seed=6)
#: What a board cannot show: one channel has no neighbour, and these need status words or more than half a second.
NOT_SINGLE = {"channel-off-by-one", "spi-bit-slip", "frame-spans-configurations"}
NOT_SHORT = {"no-info", "late-info", "spi-bit-slip"}


def report_on(wire: Wire) -> Report:
    check = CaptureCheck()
    check.feed(wire)
    return check.finish("capture")


def causes_of(wire: Wire) -> list[str]:
    return [cause.name for cause in report_on(wire).causes]


def damaged(wire: Wire, *, share: float, seed: int = 2) -> Wire:
    """Some bits flipped, some bytes lost or added."""
    rng = np.random.default_rng(seed)
    data = bytearray(wire)
    for _ in range(int(len(data) * share)):
        at, kind = int(rng.integers(len(data))), rng.random()
        if kind < 0.6:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind < 0.8:
            del data[at]
        else:
            data.insert(at, int(rng.integers(256)))
    return bytes(data)


@pytest.mark.parametrize("name", GALLERY)
def test_each_cause_is_named_first_and_alone(name: str) -> None:
    report = gallery_report(name)
    assert [cause.name for cause in report.causes] == [name]
    assert report.causes[0].window is not None or name == "no-answer"
    assert report.exit_status() == (3 if name == "wrong-baud" else 1)


@pytest.mark.parametrize("name", sorted(GALLERY.keys() - NOT_SHORT))
def test_half_a_second_of_four_channels_is_enough(name: str) -> None:
    assert causes_of(GALLERY[name][1](SHORT))[:1] == [name]


@pytest.mark.parametrize(
    "name", ["missing-cobs", "crc-range", "line-damage", "sample-byte-order", "time-unit"]
)
@pytest.mark.parametrize("board", [MANY, SINGLE], ids=["64 channels", "1 channel"])
def test_one_channel_or_sixty_four_make_no_difference(name: str, board: Board) -> None:
    assert causes_of(GALLERY[name][1](board))[:1] == [name]


@pytest.mark.parametrize("name", sorted(GALLERY.keys() - {"wrong-baud", "line-damage", "no-answer"}))
def test_a_few_damaged_bytes_do_not_hide_the_cause(name: str) -> None:
    found = causes_of(damaged(GALLERY[name][1](USUAL), share=1e-4))
    assert found[0] == name
    assert set(found) <= {name, "line-damage", "packets-lost"}


# ---- no cause where there is none --------------------------------------------------------------------------------


def pauses(board: Board) -> Wire:
    """Stopped and started again: time goes on, conversions do not."""
    first = stream(board)
    n = sum(f.n_samples for f in first if isinstance(f, Data))
    second = stream(replace(board, sample_index=n, start_us=board.start_us + 9_000_000, seed=9))
    return wire_of(replace(f, link_seq=k) for k, f in enumerate([*first, *second]))


def loses(board: Board) -> Wire:
    rng = np.random.default_rng(board.seed)
    return b"".join(encode(f) for f in stream(board) if rng.random() > 0.02)


def marks(board: Board) -> Wire:
    frames = stream(board)
    for k in range(10, len(frames), 30):
        data = frames[k]
        if isinstance(data, Data):
            frames[k:k] = [
                Event(0, 0, data.sample_index, data.t_us, 1, 769, 0),
                Log(0, 0, data.t_us, 1, "cue on screen"),
            ]
    return wire_of(replace(f, link_seq=k) for k, f in enumerate(frames))


def wraps(board: Board) -> Wire:
    n = int(board.seconds * board.rate)
    time = 2**32 - int(board.seconds * 500_000)
    return good(replace(board, sample_index=2**32 - n // 2, link_seq=65_400, start_us=time))


def changes_gain(board: Board) -> Wire:
    return good(gain_change(board))


def joins_midway(board: Board) -> Wire:
    return good(board)[777:-33]


HONEST: list[Callable[[Board], Wire]] = [good, pauses, loses, marks, wraps, changes_gain, joins_midway]


@pytest.mark.parametrize("capture", HONEST)
@pytest.mark.parametrize("board", [USUAL, SHORT, MANY, SINGLE], ids=["8", "4", "64", "1"])
def test_an_honest_capture_has_no_cause(capture: Callable[[Board], Wire], board: Board) -> None:
    report = report_on(capture(board))
    assert [c.text for c in report.causes if c.name != "packets-lost" or capture is not loses] == []
    if capture is not loses:
        assert report.exit_status() == 0


def signals() -> dict[str, np.ndarray]:
    n, c = 1000, 8
    rng = np.random.default_rng(1)
    t = np.arange(n)[:, None]
    x = {
        "full range": rng.integers(-(2**23), 2**23, (n, c)),
        "white": rng.integers(-200, 200, (n, c)),
        "sines": np.rint(5000 * np.sin(t / 9 + np.arange(c))),
        "square": np.where(t // 100 % 2, 80_000, -80_000) + np.zeros((1, c)),
        "counting": t * c + np.arange(c),
        "zero": np.zeros((n, c)),
        "railed": np.full((n, c), 2**23 - 1),
        "some railed": np.where(np.arange(c) % 2, 2**23 - 1, eeg(n, c)),
        "unplugged": np.where(t > n // 2, -(2**23), eeg(n, c)),
    }
    return {name: counts.astype(np.int32) for name, counts in x.items()}


@pytest.mark.parametrize("has_status", [False, True])
@pytest.mark.parametrize("name", signals())
def test_whatever_the_samples_are_they_are_not_accused_without_reason(name: str, has_status: bool) -> None:
    board = Board(has_status=has_status, signal=signals()[name])
    assert causes_of(good(board)) == []


def test_damage_here_and_there_is_nothing_but_that() -> None:
    for seed in range(6):
        board = replace(SHORT, seed=seed)
        assert set(causes_of(damaged(good(board), share=3e-4, seed=seed))) <= {"line-damage"}


# ---- causes that the gallery leaves out --------------------------------------------------------------------------


def test_a_silent_device_and_a_line_held_low_are_told_apart() -> None:
    assert causes_of(b"") == ["no-answer"]
    assert causes_of(bytes(500)) == ["silent-line"]


def test_a_recording_shows_commands_that_nobody_answers() -> None:
    writer = HostWriter(99)
    sent = [Sent(k * 10**9, encode_command(Command(k, 0, k, Opcode.IDENTIFY))) for k in range(3)]
    report = report_on(writer.encode(Start({})) + b"".join(map(writer.encode, sent)))
    assert report.is_recording
    assert [cause.name for cause in report.causes] == ["no-answer"]
    assert "IDENTIFY" in report.causes[0].text


def test_a_hex_dump_is_recognised() -> None:
    assert causes_of(good(SHORT).hex(" ").encode()) == ["foreign-stream"]


def test_a_boot_message_in_front_of_the_stream_is_text_and_no_torn_packet() -> None:
    assert causes_of(b"boot: v1.4.2 ready\r\n" + good(SHORT)) == ["text-in-stream"]


def test_no_crc_at_all_and_a_shorter_one_are_named() -> None:
    assert causes_of(sealed(SHORT, lambda body: b"")) == ["crc-missing"]
    assert causes_of(sealed(SHORT, lambda body: bytes(4))) == ["crc-missing"]
    assert causes_of(sealed(SHORT, lambda body: sum(body).to_bytes(4, "little"))) == ["crc-unknown"]


def test_a_counter_kept_in_sixteen_bits_is_named() -> None:
    frames = [
        replace(f, sample_index=(65_000 + f.sample_index) & 0xFFFF) if isinstance(f, Data) else f
        for f in stream(replace(USUAL, seconds=4.0))
    ]
    assert causes_of(wire_of(frames)) == ["narrow-counter"]


def test_a_device_that_sets_sample_index_back_at_start_is_no_restart() -> None:
    first = stream(SHORT)
    again = stream(replace(SHORT, start_us=SHORT.start_us + 700_000))
    frames = [replace(f, link_seq=k) for k, f in enumerate([*first, *again])]
    assert any(f.flags & Flag.FIRST for f in again)
    assert causes_of(wire_of(frames)) == ["counter-restarts"]


def test_the_report_is_the_same_however_the_stream_is_cut() -> None:
    wire = damaged(GALLERY["spi-bit-slip"][1](USUAL), share=1e-4)
    whole = report_on(wire)
    checker = Checker()
    for at in range(0, len(wire), 997):
        checker.feed(wire[at : at + 997])
    pieces = checker.finish("capture")
    assert pieces.counts == whole.counts
    assert [c.text for c in pieces.causes] == [c.text for c in whole.causes]
    assert pieces.numbers == whole.numbers


def test_the_table_of_the_documentation_is_what_the_validator_says() -> None:
    page = Path(__file__).parents[2] / "docs" / "validator.md"
    text = page.read_text(encoding="utf-8")
    assert with_table(text) == text
