"""What viewers are told: the newest of everything, never a backlog, and nothing that was not offered."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bci.chunks import Chunk
from bci.language import use_language
from bci.web._wire import JSON, SIGNAL, MessageReader, pack_json, pack_signal, plain, samples_of
from bci.web.hub import MOST_VIEWERS, Hub
from bci.web.words import page_words, render_page, static_files

CHANNELS = ("C3", "Cz", "C4")
VIEW = {"do": "view", "band": "none", "notch_hz": 0, "seconds": 10, "pixels": 1000}


def chunk(n, first=0, seed=0):
    x = np.random.default_rng(seed).normal(0, 10, (3, n))
    return Chunk(np.asfortranarray(x), first)


@pytest.fixture
def hub():
    return Hub(CHANNELS, fs_hz=1000.0)


def give(hub, *chunks):
    reader = MessageReader()
    for each in chunks:
        for kind, body in reader.feed(pack_signal(each, 1)):
            hub.take(kind, body)


def told(viewer, now_ns=10):
    messages = viewer.messages(now_ns)
    return [json.loads(m) for m in messages if isinstance(m, str)], [
        m for m in messages if isinstance(m, bytes)
    ]


def states(viewer):
    merged = {}
    for message in told(viewer)[0]:
        merged |= message["state"] if message["is"] == "state" else {}
    return merged


def test_a_signal_goes_through_the_pipe_bit_for_bit():
    sent = chunk(37, 2**40)
    ((kind, body),) = MessageReader().feed(pack_signal(sent, 99))
    came = samples_of(body)
    assert (kind, came.first_sample, came.handed_ns) == (SIGNAL, 2**40, 99)
    np.testing.assert_array_equal(came.data_uv, sent.data_uv)


def test_messages_are_the_same_however_the_pipe_cuts_them():
    stream = pack_json({"a": 1}) + pack_signal(chunk(5), 0) + pack_json({"b": "中"})
    whole = MessageReader().feed(stream)
    reader = MessageReader()
    single = [m for k in range(len(stream)) for m in reader.feed(stream[k : k + 1])]
    assert single == whole
    assert [kind for kind, _ in whole] == [JSON, SIGNAL, JSON]


def test_an_impossible_length_ends_the_stream():
    with pytest.raises(ValueError, match="announced"):
        MessageReader().feed(b"J\xff\xff\xff\xff")


def test_what_a_browser_cannot_read_is_made_plain():
    value = {
        "a": float("nan"),
        "b": np.float64(1.5),
        "c": np.array([1, 2]),
        "d": (True, np.bool_(False)),
        5: {"x"},
    }
    assert plain(value) == {"a": None, "b": 1.5, "c": [1, 2], "d": [True, False], "5": ["x"]}


def test_a_viewer_gets_the_newest_state_once(hub):
    viewer = hub.enter(read_only=False)
    for p in (0.1, 0.5, 0.9):
        hub.show({"probabilities": {"right": p}})
    assert states(viewer) == {"probabilities": {"right": 0.9}}
    assert states(viewer) == {}
    hub.show({"threshold": 0.8, "probabilities": None})
    assert states(viewer) == {"threshold": 0.8, "probabilities": None}


def test_one_who_comes_later_is_told_everything(hub):
    hub.show({"threshold": 0.8, "notes": ["a"]})
    assert states(hub.enter(read_only=False)) == {"threshold": 0.8, "notes": ["a"]}


def test_columns_come_once_and_without_a_hole(hub):
    viewer = hub.enter(read_only=False)
    viewer.look_at(VIEW)
    seen = []
    for k in range(40):
        give(hub, chunk(57, 57 * k, seed=k))
        hub.tick(k)
        for data in told(viewer)[1]:
            columns = int.from_bytes(data[8:12], "little")
            first = int(np.frombuffer(data, "<f8", 1, 16)[0])
            seen += range(first, first + columns)
    assert seen == list(range(40 * 57 // 10))


def test_a_viewer_that_was_away_gets_one_picture_and_no_backlog(hub):
    viewer = hub.enter(read_only=False)
    viewer.look_at(VIEW)
    for k in range(400):
        give(hub, chunk(500, 500 * k))
        hub.tick(k)
    _, frames = told(viewer)
    assert len(frames) == 1
    assert len(frames[0]) == 32 + 2 * 4 * 3 * 1000


def test_the_memory_of_the_hub_does_not_grow_with_time(hub):
    hub.enter(read_only=False).look_at(VIEW)
    for k in range(200):
        give(hub, chunk(500, 500 * k))
        hub.tick(k)
    kept = sum(piece.data_uv.shape[1] for piece in hub._history.pieces())
    assert kept <= 30_500
    assert hub._pending == []


def test_pictures_nobody_looks_at_are_dropped(hub):
    viewer = hub.enter(read_only=False)
    for seconds in (5, 10, 20, 30):
        viewer.look_at(VIEW | {"seconds": seconds})
    assert len(hub._sweeps) == 1
    hub.leave(viewer)
    assert len(hub._sweeps) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"pixels": 10**9},
        {"pixels": 1.5},
        {"pixels": True},
        {"band": None},
        {"band": ["none"]},
        {"seconds": "10"},
        {"notch_hz": 49},
    ],
)
def test_a_view_that_makes_no_sense_is_refused(hub, wrong):
    with pytest.raises(ValueError, match="view"):
        hub.enter(read_only=False).look_at(VIEW | wrong)


def test_only_so_many_may_watch(hub):
    entered = [hub.enter(read_only=False) for _ in range(MOST_VIEWERS + 1)]
    assert entered[-1] is None
    assert hub.enter(read_only=True) is not None


def test_damaged_messages_are_passed_over(hub):
    for kind, body in [(JSON, b"{"), (JSON, b"[]"), (JSON, b'{"do":"show"}'), (SIGNAL, b"123"), (b"X", b"")]:
        hub.take(kind, body)
    hub.tick(0)
    assert hub.samples == 0
    assert hub.versions == {}


def test_a_signal_of_another_cap_is_not_drawn(hub):
    give(hub, Chunk(np.zeros((5, 10), order="F"), 0))
    hub.tick(0)
    assert hub.samples == 0


def test_lost_samples_are_counted(hub):
    give(hub, chunk(10, 0), chunk(10, 25))
    hub.tick(0)
    assert hub.lost == 15


def test_buttons_are_those_of_the_stage(hub):
    assert hub.buttons() == set()
    hub.show({"stage": {"title": "x", "buttons": [{"action": "pause", "label": "Pause"}]}})
    assert hub.buttons() == {"pause"}
    hub.show({"stage": None})
    assert hub.buttons() == set()


def test_bands_find_the_rhythm(hub):
    hub.enter(read_only=False)
    t = np.arange(3000) / 1000
    x = np.array(
        [10 * np.sqrt(2) * np.sin(2 * np.pi * 10 * t), 5 * np.sqrt(2) * np.sin(2 * np.pi * 20 * t), 0 * t]
    )
    give(hub, Chunk(np.asfortranarray(x), 0))
    hub.tick(0)
    bands = hub.value("bands")
    rms = dict(zip(bands["names"], np.array(bands["rms_uv"]).T, strict=True))
    assert rms["alpha"] == pytest.approx([10, 0, 0], abs=0.1)
    assert rms["beta"] == pytest.approx([0, 5, 0], abs=0.1)


def test_every_word_of_the_page_is_chinese_in_chinese():
    use_language("zh")
    words = page_words(static_files())
    assert len(words) > 50
    same = [english for english, said in words.items() if english == said]
    assert same == []


def test_a_title_cannot_become_a_script():
    html = render_page(
        "<title>{{title}}</title>{{words}}", language="zh", title="<script>", words={"a": "</script><script>"}
    )
    assert "<script>" not in html
