"""Golden vectors: wire bytes, and what they mean, for whoever writes this protocol in another language.

`python -m firmware_protocol.golden` writes vectors/*.json; a test holds them to the codec. docs/vectors.md says what
stands in them. What a decoder finds is told by the reference decoder; the tests of codec and specification are what
that stands on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firmware_protocol import _golden_faults, _golden_frames
from firmware_protocol._fields import INT24
from firmware_protocol.codec import encode
from firmware_protocol.exchange import Fields, fields_of, found_in
from firmware_protocol.frames import Data, Frame

__all__ = ["FILES", "Vector", "load", "made"]

FOLDER = Path(__file__).with_name("vectors")
FILES = ("frames", "streams", "damage", "recordings")
FORMAT = "BFP golden vectors, version 1"


@dataclass(frozen=True, slots=True)
class Vector:
    """One vector.

    Parameters
    ----------
    name : str
        Unique among all files.
    about : str
        What it shows.
    wire : bytes
        A whole stream.
    found : list of Fields
        What a decoder finds in it, in order; where there is a `frame`, that alone, and the files leave it out.
    frame : Fields, optional
        Of files `frames` and `recordings`: the frame whose wire form `wire` is.
    more : dict
        Of DATA: `counts`, or `values` of float32, and `status_words`, each a row for each conversion.
    """

    name: str
    about: str
    wire: bytes
    found: list[Fields]
    frame: Fields | None
    more: dict[str, Any]


def load(file: str) -> list[Vector]:
    """The vectors of vectors/`file`.json as they are handed out."""
    content = json.loads((FOLDER / f"{file}.json").read_text(encoding="utf-8"))
    vectors = []
    for more in content["vectors"]:
        name, about, wire = more.pop("name"), more.pop("about"), bytes.fromhex(more.pop("wire"))
        frame = more.pop("frame", None)
        found = _alone(wire, frame) if frame else more.pop("found")
        vectors.append(Vector(name, about, wire, found, frame, more))
    return vectors


def made() -> dict[str, str]:
    """The text of each file, by its name."""
    return {
        "frames": _text("Frames, one a vector: to encode and to decode.", _of(_golden_frames.frames())),
        "streams": _text("Streams without damage: to decode.", _of_streams(_golden_frames.streams())),
        "damage": _text("Damaged streams: to decode.", _of_streams(_golden_faults.damage())),
        "recordings": _text(
            "HOST packets of recordings, to encode and to decode; no board sends them.",
            _of(_golden_frames.recordings(), nonce=_golden_frames.NONCE),
            nonce=_golden_frames.NONCE,
        ),
    }


def _of(frames: Iterable[tuple[str, str, Frame]], nonce: int | None = None) -> Iterator[dict[str, Any]]:
    for name, about, frame in frames:
        wire = encode(frame)
        fields = fields_of(frame)
        assert found_in(wire, nonce=nonce) == _alone(wire, fields), name
        vector = {"name": name, "about": about, "wire": wire.hex(" "), "frame": fields}
        if isinstance(frame, Data):
            vector |= _samples(frame)
        yield vector


def _alone(wire: bytes, frame: Fields) -> list[Fields]:
    """What a decoder finds in the wire form of one frame."""
    return [{"type": frame["type"], "offset": 0, "bytes": len(wire) - 1} | frame]


def _of_streams(sent: Iterable[_golden_frames.Sent]) -> Iterator[dict[str, Any]]:
    for name, about, wire in sent:
        yield {"name": name, "about": about, "wire": wire.hex(" "), "found": found_in(wire)}


def _samples(frame: Data) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if frame.sample_type == INT24:
        shown["counts"] = frame.counts()
    else:
        shown["values"] = [[repr(value) for value in row] for row in frame.values()]
    if frame.has_status:
        shown["status_words"] = [[f"{word:06x}" for word in row] for row in frame.status_words()]
    return shown


def _text(about: str, vectors: Iterable[dict[str, Any]], *, nonce: int | None = None) -> str:
    """JSON with one line for each key of a vector, so that a change shows as one line."""
    head: dict[str, Any] = {"format": FORMAT, "about": about}
    if nonce is not None:
        head["nonce"] = nonce
    lines = ["{"]
    lines += [f"  {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    lines.append('  "vectors": [')
    bodies = []
    for vector in vectors:
        rows = [
            f"      {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}"
            for key, value in vector.items()
        ]
        bodies.append("    {\n" + ",\n".join(rows) + "\n    }")
    lines.append(",\n".join(bodies))
    return "\n".join([*lines, "  ]", "}", ""])


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for _name, _content in made().items():
        (FOLDER / f"{_name}.json").write_text(_content, encoding="utf-8")
