"""One stream, given to the decoder in every way a port might cut it."""

from __future__ import annotations

from itertools import pairwise

from firmware_protocol import Decoder, Fault, Frame

Events = list[Frame | Fault]


def in_pieces(wire: bytes, cuts: list[int], *, nonce: int | None = None) -> Events:
    """Events of `wire` cut at the positions `cuts`, and of its end."""
    decoder = Decoder(nonce=nonce)
    found: Events = []
    edges = [0, *sorted(cut % (len(wire) + 1) for cut in cuts), len(wire)]
    for start, end in pairwise(edges):
        found += decoder.feed(wire[start:end])
    return found + decoder.finish()


def decoded(wire: bytes, *, nonce: int | None = None) -> Events:
    """Events of `wire`, which must be the same whole and byte by byte."""
    whole = in_pieces(wire, [], nonce=nonce)
    by_byte = in_pieces(wire, list(range(len(wire))), nonce=nonce)
    assert [(e, e.offset) for e in by_byte] == [(e, e.offset) for e in whole]
    return whole


def frames_in(events: Events) -> list[Frame]:
    return [event for event in events if not isinstance(event, Fault)]


def faults_in(events: Events) -> list[tuple[str, int, int]]:
    """Kind, offset and length of each fault."""
    return [(str(e.kind), e.offset, e.length) for e in events if isinstance(e, Fault)]
