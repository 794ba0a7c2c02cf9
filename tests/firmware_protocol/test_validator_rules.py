"""Each rule speaks of a stream that breaks it, names the bytes, and is silent otherwise."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import firmware_protocol
from firmware_protocol import (
    Arrivals,
    Command,
    Data,
    Event,
    Flag,
    Frame,
    Heartbeat,
    HostWriter,
    Info,
    Log,
    Opcode,
    Response,
    Sent,
    Start,
    Status,
    encode,
    encode_command,
    seal,
)
from firmware_protocol.frames import Host, Unknown
from firmware_protocol.validator import RULES, CaptureCheck, Checker, Finding, Level, Report

from .captures import Board, Wire, gain_change, renumbered, stream, wire_of

BOARD = Board(n_channels=8, has_status=True, seconds=1.2)
LONG = replace(BOARD, n_channels=1, has_status=False, seconds=4.0)
FRAMES = stream(BOARD)
GOOD = wire_of(FRAMES)
K = next(k for k, f in enumerate(FRAMES) if isinstance(f, Data)) + 20  # a DATA frame in the middle
FIRST_DATA = FRAMES[K]
assert isinstance(FIRST_DATA, Data)
INFO = next(f for f in FRAMES if isinstance(f, Info))
BEAT = next(f for f in FRAMES if isinstance(f, Heartbeat))


def check(wire: Wire, *, baud: int | None = None) -> Report:
    capture = CaptureCheck(baud=baud)
    capture.feed(wire)
    return capture.finish("capture")


def body(frame: Frame, **changed: int) -> Wire:
    """A packet with bytes changed before its CRC was taken: `b12=9` sets byte 12."""
    packet = bytearray(frame.pack())
    for place, value in changed.items():
        packet[int(place[1:])] = value
    return seal(bytes(packet))


def with_wire(wire: Wire, at: int = K) -> Wire:
    """The capture with one packet in the place of a frame's."""
    return wire_of(FRAMES[:at]) + wire + wire_of(FRAMES[at + 1 :])


def with_frame(change: Callable[[Any], Frame], kind: type = Data, number: int = 20) -> Wire:
    """The capture with one frame changed."""
    places = [k for k, f in enumerate(FRAMES) if isinstance(f, kind)]
    at = places[min(number, len(places) - 1)]
    return wire_of([*FRAMES[:at], change(FRAMES[at]), *FRAMES[at + 1 :]])


def among(*frames: Frame, board: Board = BOARD) -> Wire:
    """The capture with frames in its middle, all counted anew."""
    all_frames = stream(board)
    at = len(all_frames) // 2
    return renumbered([*all_frames[:at], *frames, *all_frames[at:]])


def without(kind: type, board: Board = LONG) -> Wire:
    frames = stream(board)
    first = next(k for k, f in enumerate(frames) if isinstance(f, kind))
    return renumbered(f for k, f in enumerate(frames) if k <= first or not isinstance(f, kind))


def later_of(kind: type, board: Board, **changed: Any) -> Wire:
    """The capture with the last frame of a kind changed."""
    frames = stream(board)
    at = [k for k, f in enumerate(frames) if isinstance(f, kind)][-1]
    frames[at] = replace(frames[at], **changed)
    return wire_of(frames)


def recording(answer_ms: float) -> Wire:
    """A command is sent behind 30 packets and answered so much later."""
    writer = HostWriter(7)
    answer = Response(0, 0, 500, Opcode.IDENTIFY, 0, 0, bytes(8))
    frames = [*FRAMES[:30], answer, *FRAMES[30:]]
    wires = [encode(replace(f, link_seq=k)) for k, f in enumerate(frames)]
    sent = Sent(2_000_000_000, encode_command(Command(0, 0, 500, Opcode.IDENTIFY)))
    came = Arrivals(((sum(map(len, wires[:30])), 2_000_000_000 + int(answer_ms * 1e6)),))
    wires[30:30] = [writer.encode(sent), writer.encode(came)]
    return writer.encode(Start({})) + b"".join(wires)


def with_late_info() -> Wire:
    frames = stream(LONG)
    rounds = [k for k, f in enumerate(frames) if isinstance(f, Info)]
    return renumbered(f for k, f in enumerate(frames) if k not in rounds[1:-1])


def slow_link() -> Report:
    return check(wire_of(stream(LONG)), baud=9600)


def counters(**changed: Any) -> Wire:
    return later_of(Heartbeat, LONG, **changed)


TWO_PAGES = replace(BOARD, n_channels=32, n_samples=1, has_status=False)
SILENT_GAP = [f for f in FRAMES if not isinstance(f, Info)]
BEATS = [f for f in stream(LONG) if isinstance(f, Heartbeat)]
GAIN = gain_change(BOARD)
OLD = wire_of(FRAMES[:K])


def resets_counters(status: int, payload: bytes) -> Wire:
    """RESET_COUNTERS is answered, then HEARTBEAT counts `dropped` from 0."""
    frames: list[Frame] = []
    for frame in stream(LONG):
        if isinstance(frame, Heartbeat) and len([f for f in frames if isinstance(f, Heartbeat)]) == 2:
            frames.append(Response(0, 0, 9, Opcode.RESET_COUNTERS, status, frame.t_us, payload))
        frames.append(frame)
    return renumbered(frames)


def as_float(frame: Frame) -> Frame:
    if isinstance(frame, Info):
        return replace(frame, sample_type=1)
    if isinstance(frame, Data):
        return replace(frame, sample_type=1, payload=bytes(4 * frame.n_samples * frame.n_channels))
    return frame


#: Rule → captures that break it. More than one where it looks at more than one thing.
BROKEN: dict[str, list[Wire]] = {
    "FP101": [with_wire(bytes([255]) * 700 + b"\x00")],
    "FP102": [with_wire(b"\x09abc\x00")],
    "FP103": [with_wire(b"\x04abc\x00")],
    "FP104": [
        with_wire(b"\x09\x11bcdefgh\x00"),
        with_wire(b"\x0a\x77bcdefghi\x00"),
        with_wire(encode(INFO)[:40] + b"\x55" + encode(INFO)[41:]),
    ],
    "FP105": [with_wire(body(FIRST_DATA, b0=0x21)), with_wire(body(FIRST_DATA, b1=0x80))],
    "FP106": [with_wire(encode(Host(1, 5, b"x")))],
    "FP107": [
        with_wire(body(FIRST_DATA, b12=0)),
        with_wire(body(INFO, b16=0, b17=0)),
        with_wire(body(INFO, b68=0xFF)),
    ],
    "FP108": [
        with_wire(body(FIRST_DATA, b13=3)),
        with_wire(seal(BEAT.pack() + b"x")),
    ],
    "FP109": [with_wire(encode(FIRST_DATA)[:-1])],
    "FP110": [GOOD[:-30]],
    "FP111": [among(Unknown(0, 0, 9, b"news"))],
    "FP112": [with_frame(lambda f: replace(f, flags=1), Heartbeat, 0), with_wire(body(INFO, b26=1))],
    "FP113": [GOOD[100:]],
    "FP201": [wire_of([*FRAMES[:K], *FRAMES[K + 1 :]]), wire_of([*FRAMES[:K], *FRAMES[K + 3 :]])],
    "FP202": [with_frame(lambda f: replace(f, link_seq=f.link_seq - 5))],
    "FP301": [wire_of([*FRAMES[:K], *FRAMES[K + 1 :]]), renumbered([*FRAMES[:K], *FRAMES[K + 1 :]])],
    "FP302": [with_frame(lambda f: replace(f, sample_index=f.sample_index - 2))],
    "FP303": [
        with_frame(lambda f: replace(f, t_us=f.t_us - 40_000)),
        with_frame(lambda f: replace(f, t_us=f.t_us - 16_000)),
    ],
    "FP304": [with_frame(lambda f: replace(f, t_us=f.t_us + 9_000))],
    "FP305": [renumbered(replace(f, t_us=f.t_us * 11 // 10) if isinstance(f, Data) else f for f in FRAMES)],
    "FP306": [among(Event(0, 0, 1 << 22, 0, 1, 1, 0))],
    "FP307": [among(Event(0, 0, 100, 1_500_000, 9, 1, 0))],
    "FP308": [with_frame(lambda f: replace(f, flags=Flag.OVERRUN))],
    "FP401": [
        renumbered(f for f in FRAMES if not isinstance(f, Info)),
        renumbered(f for f in stream(TWO_PAGES) if not (isinstance(f, Info) and f.page)),
        wire_of([f for f in stream(LONG) if not isinstance(f, Info)][20:]),
    ],
    "FP402": [renumbered([*SILENT_GAP[:12], INFO, *SILENT_GAP[12:]])],
    "FP403": [without(Info), with_late_info()],
    "FP404": [
        with_frame(lambda f: replace(f, rate_num=500), Info, 9),
        with_frame(lambda f: replace(f, uv_per_count=(1.0,) * 8), Info, 9),
    ],
    "FP405": [
        renumbered(replace(f, first_channel=0) if isinstance(f, Info) else f for f in stream(TWO_PAGES)),
        renumbered(
            replace(f, pages=1) if isinstance(f, Info) and not f.page else f for f in stream(TWO_PAGES)
        ),
    ],
    "FP406": [
        with_frame(lambda f: replace(f, n_channels=16, n_samples=2)),
        with_frame(lambda f: replace(f, has_status=False, n_channels=9)),
    ],
    "FP407": [renumbered(replace(f, n_samples=2) if isinstance(f, Info) else f for f in FRAMES)],
    "FP408": [with_frame(lambda f: replace(f, config_id=250))],
    "FP409": [
        with_frame(lambda f: replace(f, state=7), Info, 0),
        with_frame(lambda f: replace(f, rate_den=9_000_000), Info, 0),
        with_frame(lambda f: replace(f, uv_per_count=(1e9, *f.uv_per_count[1:])), Info, 0),
        with_frame(lambda f: replace(f, labels=("", *f.labels[1:])), Info, 0),
        with_frame(lambda f: replace(f, labels=(f.labels[1], *f.labels[1:])), Info, 0),
    ],
    "FP501": [without(Heartbeat), renumbered(f for f in stream(LONG) if not isinstance(f, Heartbeat))],
    "FP502": [counters(t_us=5), counters(sample_index=3)],
    "FP503": [
        counters(sample_index=BEATS[-1].sample_index + 8),
        counters(sample_index=BEATS[-1].sample_index - 8),
    ],
    "FP504": [among(replace(BEAT, sample_index=4000, t_us=1_600_000))],
    "FP505": [counters(dropped=4)],
    "FP506": [counters(rx_errors=4)],
    "FP507": [among(Response(0, 0, 9, Opcode.START, 99, 1_600_000))],
    "FP508": [
        among(Response(0, 0, 9, Opcode.START, Status.OK, 1_600_000, b"abc")),
        among(Response(0, 0, 9, Opcode.START, Status.BUSY, 1_600_000, b"abc")),
    ],
    "FP509": [recording(400)],
    "FP510": [among(Log(0, 0, 1_600_000, 3, "supply low")), among(Log(0, 0, 1_600_000, 9, "what level"))],
    "FP601": [with_frame(lambda f: replace(f, payload=b"\x80" + f.payload[1:]))],
    "FP602": [renumbered(map(as_float, stream(replace(LONG, seconds=0.5))))],
    "FP603": [
        wire_of(replace(f, payload=bytes(len(f.payload))) if isinstance(f, Data) else f for f in stream(LONG))
    ],
}


def of_rule(report: Report, id_: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.rule.id == id_]


@pytest.mark.parametrize(
    ("id_", "wire"),
    [(id_, wire) for id_, wires in BROKEN.items() for wire in wires],
    ids=[f"{id_}-{k}" for id_, wires in BROKEN.items() for k in range(len(wires))],
)
def test_each_rule_speaks_of_what_breaks_it(id_: str, wire: Wire) -> None:
    found = of_rule(check(wire), id_)
    assert found
    finding = found[0]
    assert finding.window is not None
    first, stop = finding.window.marks
    assert finding.offset == first < stop
    assert finding.window.data[first - finding.window.start :]
    assert finding.text
    assert finding.hint


def test_the_load_of_the_link_is_known_once_the_baud_rate_is() -> None:
    assert of_rule(slow_link(), "FP511")
    assert not of_rule(check(wire_of(stream(LONG)), baud=921_600), "FP511")


def test_every_rule_has_a_capture_that_breaks_it() -> None:
    # FP7 are steps of the conformance suite, which stand among the rules once that is loaded.
    rules = {rule.id for rule in RULES.values() if not (rule.is_cause or rule.id.startswith("FP7"))}
    assert rules == BROKEN.keys() | {"FP511"}


@pytest.mark.parametrize("board", [BOARD, LONG, GAIN, TWO_PAGES])
def test_no_rule_speaks_of_a_good_capture(board: Board) -> None:
    assert check(wire_of(stream(board))).counts.total() == 0


@pytest.mark.parametrize(
    "wire",
    [
        recording(100),
        resets_counters(Status.OK, BEATS[0].counters()),
        resets_counters(Status.OK, replace(BEATS[0], dropped=0).counters()),
        among(Response(0, 0, 9, 0x70, Status.UNKNOWN_OPCODE, 1_600_000)),
        among(Response(0, 0, 9, 0x70, Status.OK, 1_600_000, b"new")),
        among(Response(0, 0, 9, Opcode.READ_REGISTER, Status.OK, 1_600_000, b"abc")),
        among(Log(0, 0, 1_600_000, 1, "all is well")),
        wire_of(stream(GAIN)[12:]),
        with_frame(lambda f: replace(f, t_us=f.t_us + 9_000, flags=Flag.CLOCK_STEPPED), number=500),
    ],
    ids=[
        "answer in time",
        "reset",
        "reset from 0",
        "unknown opcode",
        "new opcode",
        "registers",
        "log",
        "joined before a change",
        "clock set",
    ],
)
def test_what_is_allowed_is_no_finding(wire: Wire) -> None:
    assert [f for f in check(wire).findings if f.rule.level == Level.MUST] == []


def test_the_bytes_that_a_finding_marks_are_those_it_speaks_of() -> None:
    (finding,) = of_rule(check(with_frame(lambda f: replace(f, sample_index=0x11223344))), "FP301")
    window = finding.window
    assert window is not None
    first, stop = window.marks
    assert window.data[first - window.start : stop - window.start] == bytes.fromhex("44 33 22 11")
    assert (finding.frame, finding.device_s) == (K + 1, pytest.approx(FIRST_DATA.t_us / 1e6))


def test_a_rule_names_a_section_that_the_specification_has() -> None:
    spec = (Path(firmware_protocol.__file__).parent / "SPEC.md").read_text(encoding="utf-8")
    sections = set(re.findall(r"^#+ (\d+(?:\.\d+)?)\.? ", spec, re.MULTILINE))
    assert {rule.section for rule in RULES.values()} <= sections


def test_findings_beyond_the_kept_ones_are_counted() -> None:
    wire = b"".join(encode(f)[:-1] for f in FRAMES)
    report = check(wire)
    assert report.counts["FP109", "DATA"] > 20
    assert len(of_rule(report, "FP109")) == 20
    assert (
        report.left_out()["FP109"] == sum(n for (id_, _), n in report.counts.items() if id_ == "FP109") - 20
    )


# ---- shortcuts give what the long way gives --------------------------------------------------------------------------


def both_ways(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> tuple[Report, Report]:
    quick = check(wire)
    monkeypatch.setattr("firmware_protocol.validator.stream.Stream.is_calm", lambda self, frame: False)
    return quick, check(wire)


@pytest.mark.parametrize("id_", BROKEN)
def test_frames_that_are_passed_over_would_have_broken_no_rule(
    id_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick, slow = both_ways(BROKEN[id_][0], monkeypatch)
    assert quick.counts == slow.counts
    assert quick.numbers == slow.numbers


@pytest.mark.parametrize("id_", BROKEN)
def test_the_compiled_decoder_gives_the_same_report(id_: str) -> None:
    wire = BROKEN[id_][0]
    reports = []
    for bulk in (False, True):
        checker = Checker(bulk=bulk)
        for at in range(0, len(wire), 5000):
            checker.feed(wire[at : at + 5000])
        reports.append(checker.finish())
    plain, compiled = reports
    assert compiled.counts == plain.counts
    assert compiled.numbers == plain.numbers
    assert compiled.findings == plain.findings
    assert [(c.name, c.text) for c in compiled.causes] == [(c.name, c.text) for c in plain.causes]
