"""bfp.ksy follows from the layout, and read as Kaitai Struct reads it gives the fields of the golden vectors."""

from __future__ import annotations

import re
import struct
from typing import Any

import pytest
import yaml

from firmware_protocol.cobs import cobs_decode
from firmware_protocol.codes import Type
from firmware_protocol.golden import Vector, load
from firmware_protocol.ksy_text import FILE, ksy
from firmware_protocol.layout import COMMANDS

VECTORS = [v for file in ("frames", "recordings") for v in load(file)]
SPEC: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
NUMBERS = {
    "u1": "B",
    "u2": "H",
    "u4": "I",
    "u8": "Q",
    "s1": "b",
    "s2": "h",
    "s4": "i",
    "s8": "q",
    "f4": "f",
    "f8": "d",
}


class Stream:
    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.bits = data, 0, 0
        self.size = len(data)

    def take(self, n: int) -> bytes:
        if self.at + n > self.size:
            raise EOFError(f"{n} bytes at {self.at} of {self.size}")
        self.at += n
        return self.data[self.at - n : self.at]

    def take_bits(self, n: int) -> int:
        """Most significant bit first."""
        value = int.from_bytes(self.data) >> (8 * self.size - self.bits - n) & ((1 << n) - 1)
        self.bits += n
        return value


class Node:
    """One object of a user type: its fields by name."""

    def __init__(self, form: dict[str, Any], stream: Stream, parent: Node | None, endian: str) -> None:
        self.values: dict[str, Any] = {}
        self.form, self.stream, self.parent = form, stream, parent
        self.endian = form.get("meta", {}).get("endian", endian)
        for field in form.get("seq", []):
            self.read(field)

    def look_up(self, name: str) -> Any:
        if name in self.values:
            return self.values[name]
        return self.evaluate(self.form["instances"][name]["value"])

    def evaluate(self, expression: Any) -> Any:
        """The few forms of Kaitai's expression language that bfp.ksy uses."""
        if not isinstance(expression, str):
            return expression
        if "?" in expression:
            condition, first, second = re.fullmatch(r"(.*) \? (.*) : (.*)", expression).groups()  # type: ignore[union-attr]
            return self.evaluate(first if self.evaluate(condition) else second)
        names: dict[str, Any] = {}

        def named(match: re.Match[str]) -> str:
            words = match.group().split("::")
            if words[0] in ("and", "or", "not"):
                return match.group()
            names[f"v{len(names)}"] = self.path(words)
            return f"v{len(names) - 1}"

        code = re.sub(r"[a-z_][a-z0-9_]*(?:(?:\.|::)[a-z_][a-z0-9_]*)*", named, expression).replace("/", "//")
        return eval(code, {"__builtins__": {}}, names)  # noqa: S307

    def path(self, words: list[str]) -> Any:
        if len(words) == 2:
            numbers = SPEC["enums"][words[0]]
            return next(number for number, name in numbers.items() if name == words[1])
        at: Any = self
        for word in words[0].split("."):
            at = {"_parent": lambda a: a.parent, "_io": lambda a: a.stream}.get(
                word, lambda a, w=word: step(a, w)
            )(at)
        return at

    def read(self, field: dict[str, Any]) -> None:
        if "if" in field and not self.evaluate(field["if"]):
            return
        repeat = field.get("repeat")
        if repeat == "expr":
            value: Any = [self.one(field) for _ in range(self.evaluate(field["repeat-expr"]))]
        elif repeat == "eos":
            value = []
            while self.stream.at < self.stream.size:
                value.append(self.one(field))
        else:
            value = self.one(field)
        self.values[field["id"]] = value

    def one(self, field: dict[str, Any]) -> Any:
        kind = field.get("type")
        if isinstance(kind, dict):
            on = self.evaluate(kind["switch-on"])
            cases = {self.evaluate(case): name for case, name in kind["cases"].items()}
            kind = cases.get(on)
        stream = self.stream
        if field.get("size-eos"):
            return stream.take(stream.size - stream.at)
        if "size" in field:
            raw = stream.take(self.evaluate(field["size"]))
            if kind is None:
                return raw
            if kind in ("str", "strz"):
                return (raw.split(b"\x00")[0] if kind == "strz" else raw).decode(field["encoding"])
            stream = Stream(raw)
        if kind in NUMBERS:
            order = "<" if self.endian == "le" else ">"
            return struct.unpack(order + NUMBERS[kind], stream.take(struct.calcsize(NUMBERS[kind])))[0]
        if re.fullmatch(r"b\d+", kind):
            return stream.take_bits(int(kind[1:]))
        form = SPEC["types"][kind]
        if any(re.fullmatch(r"b\d+", str(f.get("type"))) for f in form["seq"]):
            assert form["meta"]["bit-endian"] == "be"
            stream = Stream(stream.take(sum(int(f["type"][1:]) for f in form["seq"]) // 8))
        return Node(form, stream, self, self.endian)


def step(at: Any, name: str) -> Any:
    return getattr(at, name) if isinstance(at, Stream) else at.look_up(name)


def parsed(vector: Vector) -> Node:
    packet = cobs_decode(vector.wire[:-1])
    assert packet is not None
    return Node(SPEC, Stream(packet), None, SPEC["meta"]["endian"])


def known(file: str) -> list[Vector]:
    return [v for v in load(file) if v.frame and v.frame["type"] != "UNKNOWN"]


def test_description_is_the_one_that_the_layout_makes() -> None:
    """If this fails: python -m firmware_protocol.ksy_text"""
    assert FILE.read_text(encoding="utf-8") == ksy()


@pytest.mark.parametrize("file", ["frames", "recordings"])
def test_every_golden_frame_has_the_fields_that_the_description_finds(file: str) -> None:
    for vector in known(file):
        node = parsed(vector)
        frame = dict(vector.frame or {})
        assert node.look_up("packet_type") == Type[frame.pop("type")]
        assert (node.look_up("version"), node.values["flags"]) == (1, frame.pop("flags"))
        assert node.values["link_seq"] == frame.pop("link_seq")
        body: Node = node.values["body"]
        frame.pop("payload", None)
        for name, value in frame.items():
            got = body.values[name]
            if isinstance(got, str):
                assert got.encode() == bytes.fromhex(value).rstrip(b"\x00"), (vector.name, name)
            else:
                assert (got & 0x37 if name == "format" else got) == value, (vector.name, name)
        assert node.values["crc"] == int.from_bytes((cobs_decode(vector.wire[:-1]) or b"")[-4:], "little")
        assert node.stream.at == node.stream.size


def test_samples_and_status_words_are_those_of_the_vectors() -> None:
    n = 0
    for vector in known("frames"):
        if "counts" not in vector.more and "values" not in vector.more:
            continue
        groups = [c.values["groups"] for c in parsed(vector).values["body"].values["conversions"]]
        samples = [[s for g in row for s in g.values["samples"]] for row in groups]
        if "counts" in vector.more:
            assert [[s.look_up("value") for s in row] for row in samples] == vector.more["counts"], (
                vector.name
            )
        else:
            assert samples == [[float(x) for x in row] for row in vector.more["values"]]
        words = [[g.values["status"] for g in row] for row in groups if "status" in row[0].values]
        fields = ("mark", "lead_off_p", "lead_off_n", "gpio")
        shown = [[tuple(w.values[f] for f in fields) for w in row] for row in words]
        expected = [[int(word, 16) for word in row] for row in vector.more.get("status_words", [])]
        assert shown == [[(w >> 20, w >> 12 & 255, w >> 4 & 255, w & 15) for w in row] for row in expected]
        n += 1
    assert n > 40


def test_channels_arguments_and_texts_are_found() -> None:
    by_name = {v.name: parsed(v).values["body"] for v in known("frames")}
    channels = by_name["info-scales"].values["channels"]
    assert [c.values["uv_per_count"] for c in channels] == [-0.02235, 5e-324, 1.7e308]
    assert [c.values["label"] for c in by_name["info-utf-8"].values["channels"]] == ["左前額葉一", "µ"]
    assert by_name["log-utf-8"].values["text"] == "a µ 板 𝛼"
    assert "payload" not in by_name["command-start-without-arguments"].values
    for opcode, command in COMMANDS.items():
        if command.arguments:
            arguments = by_name[f"command-{opcode.name.lower().replace('_', '-')}"].values["payload"]
            packed = bytes(range(1, 1 + command.struct.size))
            assert [arguments.values[f.name] for f in command.arguments] == list(
                command.struct.unpack(packed)
            )
            assert ("more" in arguments.values) == bool(command.more_arguments)


def test_a_wrong_description_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    (vector,) = [v for v in VECTORS if v.name == "data-t-us-wrap"]
    assert parsed(vector).values["body"].values["t_us"] == 2**32 - 1
    field = next(f for f in SPEC["types"]["data"]["seq"] if f["id"] == "t_us")
    monkeypatch.setitem(field, "type", "s4")
    assert parsed(vector).values["body"].values["t_us"] == -1
