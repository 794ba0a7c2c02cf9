"""Hypothesis strategies for frames of every type, with values anywhere in their range."""

from __future__ import annotations

from hypothesis import strategies as st

from firmware_protocol import Command, Data, Event, Frame, Heartbeat, Info, Log, Response, Unknown
from firmware_protocol._fields import Format

U8, U16, U32, U64 = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32, 64))
FLAGS = st.integers(0, 0x7F)
#: Bytes as they occur: runs of zeros, of ones, of anything.
BYTES = st.one_of(st.binary(max_size=300), st.lists(st.sampled_from([0, 1, 255]), max_size=700).map(bytes))


@st.composite
def data_frames(draw: st.DrawFn) -> Data:
    form = Format(draw(st.sampled_from((0, 0, 1))), draw(st.booleans()), draw(st.sampled_from((8, 6, 4))))
    c = form.channels_per_converter
    n_channels = draw(st.integers(1, 64 // c)) * c if form.has_status else draw(st.integers(1, 64))
    size = form.frame_size(n_channels)
    n_samples = draw(st.integers(1, min(32, 635 // size)))
    payload = draw(st.binary(min_size=n_samples * size, max_size=n_samples * size))
    fields = draw(st.tuples(U16, FLAGS, U32, U32))
    return Data(*fields, n_channels, n_samples, draw(U8), payload, *form)


@st.composite
def info_frames(draw: st.DrawFn) -> Info:
    n_channels = draw(st.integers(1, 64))
    first = draw(st.integers(0, n_channels - 1))
    n_here = draw(st.integers(1, min(16, n_channels - first)))
    pages = draw(st.integers(1, 64))
    text = st.text(st.characters(exclude_characters="\x00", codec="utf-8"))
    uv = st.floats(allow_nan=False, allow_infinity=False).filter(bool)
    return Info(
        draw(U16),
        draw(FLAGS),
        draw(st.integers(0, pages - 1)),
        pages,
        first,
        draw(text.filter(lambda t: len(t.encode()) <= 24)),
        draw(text.filter(lambda t: len(t.encode()) <= 16)),
        draw(U32),
        draw(U8),
        draw(st.integers(1, 2**32 - 1)),
        draw(st.integers(1, 2**32 - 1)),
        draw(U8),
        n_channels,
        draw(st.integers(1, 3)),
        tuple(draw(st.lists(text.filter(lambda t: len(t.encode()) <= 15), min_size=n_here, max_size=n_here))),
        tuple(draw(st.lists(uv, min_size=n_here, max_size=n_here))),
        lead_off=draw(U8),
    )


events = st.builds(Event, U16, FLAGS, U32, U32, U8, U16, st.integers(-(2**31), 2**31 - 1))
responses = st.builds(Response, U16, FLAGS, U16, U8, U8, U64, st.binary(max_size=40))
commands = st.builds(Command, U16, FLAGS, U16, U8, st.binary(max_size=116))
logs = st.builds(Log, U16, FLAGS, U32, U8, st.text(max_size=150))
temperatures = st.none() | st.integers(-32767, 32767).map(lambda tenths: tenths / 10)
heartbeats = st.builds(Heartbeat, U16, FLAGS, U32, U64, U64, U64, U32, U16, temperatures)
unknowns = st.builds(Unknown, U16, FLAGS, st.sampled_from([0, 7, *range(9, 15)]), st.binary(max_size=647))

frames: st.SearchStrategy[Frame] = st.one_of(
    data_frames(), info_frames(), events, responses, commands, logs, heartbeats, unknowns
)
