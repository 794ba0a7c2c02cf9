"""Golden vectors: held to codec, kernel and specification, and the exchange with other people's programs."""

from __future__ import annotations

import json
import os
import re
import shlex
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bci.selftest import _c_codec
from firmware_protocol import (
    Data,
    Decoder,
    Fault,
    FaultKind,
    Flag,
    HostKind,
    Opcode,
    Status,
    Type,
    encode,
    golden,
    seal,
)
from firmware_protocol.bulk import KINDS, BulkDecoder
from firmware_protocol.cli import main
from firmware_protocol.exchange import Fields, Peer, PeerError, fields_of, line_of
from firmware_protocol.golden import FILES, Vector, load
from firmware_protocol.layout import PACKETS
from firmware_protocol.limits import VERSION
from firmware_protocol.spec_text import SPEC

ALL = {file: load(file) for file in FILES}
NONCE = json.loads((golden.FOLDER / "recordings.json").read_text(encoding="utf-8"))["nonce"]
VECTORS = [v for vectors in ALL.values() for v in vectors]
PEER = Path(__file__).with_name("peer.py")


def nonce_of(vector: Vector) -> int | None:
    return NONCE if vector in ALL["recordings"] else None


def packed(fields: Fields) -> bytes:
    """The packet of a vector's frame, put together from the layout alone."""
    if fields["type"] == "UNKNOWN":
        head = struct.pack("<BBH", VERSION << 4 | fields["number"], fields["flags"], fields["link_seq"])
        return head + bytes.fromhex(fields["payload"])
    layout = PACKETS[Type[fields["type"]]]
    names = [f.name for f in layout.fields[1:] if not f.code.endswith("x")]
    values = [bytes.fromhex(fields[n]) if isinstance(fields[n], str) else fields[n] for n in names]
    return layout.struct.pack(VERSION << 4 | layout.type, *values) + bytes.fromhex(fields.get("payload", ""))


def test_files_are_those_that_the_code_makes() -> None:
    """If this fails: python -m firmware_protocol.golden"""
    for file, text in golden.made().items():
        assert (golden.FOLDER / f"{file}.json").read_text(encoding="utf-8") == text, file


@pytest.mark.parametrize("file", FILES)
def test_decoder_finds_in_each_wire_what_its_vector_says_however_it_is_cut(file: str) -> None:
    for vector in ALL[file]:
        for size in (len(vector.wire), 1, 7):
            decoder = Decoder(nonce=nonce_of(vector))
            events = [
                e
                for at in range(0, len(vector.wire), size)
                for e in decoder.feed(vector.wire[at : at + size])
            ]
            events += decoder.finish()
            shown = [
                {"fault": str(e.kind), "offset": e.offset, "bytes": e.length}
                if isinstance(e, Fault)
                else fields_of(e) | {"offset": e.offset}
                for e in events
            ]
            found = [{k: v for k, v in f.items() if "fault" in f or k != "bytes"} for f in vector.found]
            assert shown == found, vector.name


def test_kernel_finds_in_each_wire_what_its_vector_says() -> None:
    for vector in VECTORS:
        decoder = BulkDecoder(nonce=nonce_of(vector))
        batches = [decoder.feed(vector.wire), decoder.finish()]
        rows = [row for batch in batches for row in batch.events]
        shown = [(int(row["offset"]), int(row["length"]), KINDS[row["kind"]]) for row in rows]
        assert shown == [(f["offset"], f["bytes"], f.get("fault")) for f in vector.found], vector.name


def test_frames_have_the_wire_form_that_their_vector_says() -> None:
    for vector in VECTORS:
        if vector.frame:
            assert seal(packed(vector.frame)) == vector.wire, vector.name
            (frame,) = Decoder(nonce=nonce_of(vector)).feed(vector.wire)
            assert not isinstance(frame, Fault)
            assert encode(frame) == vector.wire, vector.name


def test_samples_of_a_vector_are_those_of_its_payload() -> None:
    """Counts, status words and lead-off bits are taken from the bytes here, not by the codec."""
    seen = 0
    for vector in ALL["frames"]:
        if "counts" not in vector.more:
            continue
        assert vector.frame is not None
        raw = bytes.fromhex(vector.frame["payload"])
        words = [raw[at : at + 3] for at in range(0, len(raw), 3)]
        per_converter = (8, 6, 4)[vector.frame["format"] >> 4]
        if vector.frame["format"] & 4:
            status = words[:: per_converter + 1]
            del words[:: per_converter + 1]
            assert [w.hex() for w in status] == [w for row in vector.more["status_words"] for w in row]
        counts = [int.from_bytes(word, signed=True) for word in words]
        assert counts == [count for row in vector.more["counts"] for count in row], vector.name
        assert all(len(row) == vector.frame["n_channels"] for row in vector.more["counts"])
        seen += 1
    assert seen > 40


def test_vectors_hold_every_type_fault_opcode_status_flag_and_kind() -> None:
    frames = [v.frame for v in VECTORS if v.frame]
    assert {f["type"] for f in frames} == {t.name for t in Type} | {"UNKNOWN"}
    assert {f["fault"] for v in VECTORS for f in v.found if "fault" in f} == set(FaultKind)
    assert {f["opcode"] for f in frames if f["type"] == "COMMAND"} >= set(Opcode)
    assert {f["status"] for f in frames if f["type"] == "RESPONSE"} >= set(Status)
    assert {f["flags"] for f in frames if f["type"] == "DATA"} >= set(list(Flag)[:7])
    assert {f["kind"] for f in frames if f["type"] == "HOST"} >= set(HostKind)
    sizes = {len(v.wire) for v in VECTORS if v.frame}
    assert {min(sizes), max(sizes)} == {10, 659}


def test_names_are_unique_and_plain() -> None:
    names = [v.name for v in VECTORS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9-]+", name) and v.about for name, v in zip(names, VECTORS, strict=True))


def test_worked_frames_of_the_specification_are_vectors() -> None:
    """The bytes are read from the page."""
    text = SPEC.read_text(encoding="utf-8")
    blocks = re.findall(r"<!-- frame (\w+) -->\n```\n.*?on the wire:\n(.*?)```", text, re.DOTALL)
    wires = {v.name: v.wire for v in VECTORS}
    assert len(blocks) == 8
    for name, shown in blocks:
        wire = bytes.fromhex(shown)
        assert wires[f"spec-{name.lower()}"] == (wire.lstrip(b"\x00") if name == "COMMAND" else wire)


def test_lines_name_type_place_and_fields() -> None:
    by_name = {v.name: v for v in VECTORS}
    assert line_of(by_name["missing-delimiter"].found[1]) == "fault kind=missing-delimiter offset=45 bytes=0"
    assert line_of(by_name["event-value-smallest"].found[0]) == (
        "EVENT offset=0 bytes=25 flags=0 link_seq=8 sample_index=1004 t_us=4016000 source=2 code=3 value=-2147483648"
    )


# ---- other people's programs ---------------------------------------------------------------------------------


def check(*arguments: str, peer: str = "right") -> int:
    command = shlex.join([sys.executable, str(PEER), peer])
    return main(["vectors", "--check", command, *arguments])


def test_a_right_program_agrees_with_all_vectors(capsys: pytest.CaptureFixture[str]) -> None:
    assert check() == 0
    n = sum(1 + bool(v.frame) for file in FILES[:3] for v in ALL[file])
    assert capsys.readouterr().out == f"{n} of {n} agree\n"


@pytest.mark.parametrize(
    ("peer", "arguments", "expected"),
    [
        ("swapped", ("--select", "spec-data"), ["differs at event 1 of 1 in sample_index", "sample_index=1000"]),
        ("big-endian-crc", ("--select", "spec-event"), ["error encode spec-event", "byte 20 of the packet, in the CR"]),
        ("payload", ("--select", "spec-response", "--only", "encode"), ["byte 20 of the packet, in payload"]),
        ("refuses", ("--select", "spec-log", "--only", "encode"), ["got       nothing: it refused the frame"]),
        ("misses", ("--select", "missing-delimiter-and-da"), ["expected  fault kind=missing-delimiter", "got       "]),
        ("bytes", ("--select", "spec-log", "--only", "decode"), ["no lines of text"]),
        ("crashes", ("--select", "spec-"), ["it ended with exit status 3 without answering", "no answer 3 times"]),
        ("prints", ("--select", "spec-log"), ["its answer begins with 68 65 6c 6c (b'hell')"]),
        ("silent", ("--select", "spec-log", "--timeout", "0.2"), ["it gave no whole answer within 0.2 s"]),
        ("half", ("--select", "spec-log", "--timeout", "0.2"), ["it gave no whole answer within 0.2 s"]),
        ("closes", ("--select", "spec-log", "--only", "decode"), ["it closed its output without"]),
    ],
)  # fmt: skip
def test_a_wrong_program_is_told_what_is_wrong(
    peer: str, arguments: tuple[str, ...], expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(*arguments, peer=peer) == 1
    said = capsys.readouterr().out
    for words in expected:
        assert words in said


def test_a_program_that_fails_once_is_started_anew(capsys: pytest.CaptureFixture[str]) -> None:
    assert check("--select", "spec-", peer="crashes-on-log") == 1
    said = capsys.readouterr().out
    assert said.count("it ended with exit status 3") == 2
    assert said.endswith("12 of 14 agree, 2 do not\n")


def test_checking_stops_after_so_many_errors(capsys: pytest.CaptureFixture[str]) -> None:
    assert check("--max-errors", "2", peer="swapped") == 1
    assert capsys.readouterr().out.count("error decode") == 2


def test_a_program_that_is_not_there_could_not_be_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vectors", "--check", "./no-such-program"]) == 2
    assert "no-such-program" in capsys.readouterr().err


def test_an_empty_program_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vectors", "--check", ""]) == 2
    assert capsys.readouterr().err == "frame-validator: --check needs a program to run\n"


def test_selecting_nothing_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert check("--select", "no such name") == 2
    assert "no vector's name holds 'no such name'" in capsys.readouterr().err


def test_vectors_are_listed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vectors", "--list", "--select", "spec-"]) == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == [
        v.name for v in VECTORS if "spec-" in v.name
    ]
    assert main(["vectors", "--write", str(tmp_path / "new")]) == 0
    for file in FILES:
        assert (tmp_path / "new" / f"{file}.json").read_bytes() == (
            golden.FOLDER / f"{file}.json"
        ).read_bytes()


@pytest.mark.skipif(_c_codec.compiler() is None, reason="no C compiler here (cc, or what CC names)")
def test_the_c_files_that_are_handed_out_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a firmware engineer would: header, compiler, check."""
    import subprocess

    assert main(["header", "--out", str(tmp_path / "bfp")]) == 0
    paths = capsys.readouterr().out.splitlines()
    assert sorted(Path(p).name for p in paths) == ["bfp.c", "bfp.h", "bfp_check.c"]
    sources = [p for p in paths if p.endswith(".c")]
    cc = _c_codec.compiler() or "cc"
    subprocess.run([cc, "-std=c99", "-O2", "-o", str(tmp_path / "bfp_check"), *sources], check=True)
    assert main(["vectors", "--check", shlex.quote(str(tmp_path / "bfp_check"))]) == 0
    assert " agree\n" in capsys.readouterr().out


def test_header_does_not_overwrite_what_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["header", "--out", str(tmp_path)]) == 0
    assert main(["header", "--out", str(tmp_path)]) == 0, "the same again is fine"
    (tmp_path / "bfp.c").write_text("/* mine */\n")
    assert main(["header", "--out", str(tmp_path)]) == 2
    assert "bfp.c is there and differs; --force overwrites it" in capsys.readouterr().err
    assert (tmp_path / "bfp.c").read_text() == "/* mine */\n"
    assert main(["header", "--out", str(tmp_path), "--force"]) == 0
    assert "reference encoder" in (tmp_path / "bfp.c").read_text()


@pytest.fixture
def peer() -> Callable[[str], Peer]:
    return lambda name: Peer([sys.executable, str(PEER), name], timeout_s=30)


def test_peer_may_be_closed_twice_and_used_again(peer: Callable[[str], Peer]) -> None:
    from firmware_protocol.exchange import decode_request

    one = peer("right")
    request = decode_request(ALL["frames"][0].wire)
    first = one.ask(request)
    one.close()
    one.close()
    assert one.ask(request) == first
    one.close()


@pytest.mark.skipif(os.name != "posix", reason="needs a shell and process groups")
def test_what_a_program_has_started_ends_with_it() -> None:
    """Closing waits until nobody holds the program's output any more: with a child left over it would wait for it."""
    one = Peer(["/bin/sh", "-c", "sleep 600 & wait"], timeout_s=0.2)
    with pytest.raises(PeerError, match="no whole answer"):
        one.ask(b"\x01\x00\x00\x00D")
    assert one._reader is not None
    assert not one._reader.is_alive()


def test_peer_that_dies_while_it_is_written_to_is_an_error_of_the_exchange(
    peer: Callable[[str], Peer],
) -> None:
    with peer("crashes") as one, pytest.raises(PeerError, match="exit status 3"):
        one.ask((1 << 22).to_bytes(4, "little") + b"D" + b"\x55" * (1 << 22))


def test_a_data_vector_shows_samples_of_each_kind() -> None:
    shown = {key for v in ALL["frames"] for key in v.more}
    assert shown == {"counts", "values", "status_words"}
    (values,) = [v for v in ALL["frames"] if v.name == "data-float32"]
    (frame,) = Decoder().feed(values.wire)
    assert isinstance(frame, Data)
    assert [[float(x) for x in row] for row in values.more["values"]] == frame.values()
