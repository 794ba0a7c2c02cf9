"""The event log: what it writes, when, and that it replays to the same commands bit for bit."""

from __future__ import annotations

import json
import math
import random
import stat
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest

from bci.decisions import Prediction
from bci.errors import RecordingError
from bci.prosthesis import IntentPolicy, PolicyParameters, SimulatedHand, replay_intents, replay_log
from bci.prosthesis.event_log import EventLog, read_header, read_log
from bci.prosthesis.events import Arm, Asked, Heard, Replied, Stop, Tick, from_record, to_record
from bci.prosthesis.hand import Command, Reply
from bci.prosthesis.monitor_state import Mode
from bci.prosthesis.runner import Runner
from bci.prosthesis.safety import TICK_US
from bci.prosthesis.user_profile import Profile

from .steps import BRISK, FREE, QUIET, ZERO, rules
from .test_random_steps import random_event


def header(profile=BRISK):
    return {"profile": json.loads(json.dumps(asdict(profile))), "refusal": "", "armable_until_us": 10**15}


def session(path, seconds=6.0, hand=None):
    """A runner that has armed, closed the hand and gone on quietly."""
    runner = Runner(rules(BRISK), hand or SimulatedHand(), EventLog(path, header()))
    for n in range(1, int(seconds * 50)):
        t = n * TICK_US
        runner.feed(Tick(t))
        if n % 5 == 0:
            runner.feed(Heard(t, n, t))
        if n == 20:
            runner.feed(Arm(t))
        if n == 50:
            runner.feed(Asked(t, 1, "close", n - 5, n + 50, 0.875))
    return runner


def test_a_log_replays_to_the_same_commands_bit_for_bit(tmp_path):
    runner = session(tmp_path / "a.jsonl")
    runner.close()
    assert runner.state.mode is Mode.ARMED
    assert runner.state.setpoint == (0.05,) * 6
    found = replay_log(tmp_path / "a.jsonl")
    assert found.identical, found.difference
    assert found.commands == runner.state.frames


@pytest.mark.parametrize("seed", range(5))
def test_random_and_hostile_sessions_replay_bit_for_bit(tmp_path, seed):
    rng = random.Random(seed)

    class Erratic(SimulatedHand):
        def exchange(self, command):
            reply = super().exchange(command)
            if rng.random() < 0.01:
                raise OSError("unplugged")
            if rng.random() < 0.02:
                return Reply((math.nan,) * 6, QUIET, ZERO, FREE)
            return None if rng.random() < 0.1 else reply

    path = tmp_path / "a.jsonl"
    runner = session(path, 2.0, Erratic())
    for _ in range(3000):
        runner.feed(random_event(runner.state, rng))
    runner.close()
    found = replay_log(path)
    assert found.identical, found.difference
    assert found.commands == runner.state.frames


@pytest.mark.parametrize(("control", "movements"), [("switch", 10), ("proportional", 1)])
def test_intents_that_prolong_one_movement_are_no_movements_of_their_own(tmp_path, control, movements):
    log = EventLog(tmp_path / "a.jsonl", header())
    runner = Runner(rules(Profile(control=control)), SimulatedHand(), log)
    for n in range(1, 1 + 20 + 10 * 5):
        t = n * TICK_US
        runner.feed(Heard(t, n, t))
        runner.feed(Tick(t))
        if n == 10:
            runner.feed(Arm(t))
        if n > 20 and n % 5 == 0:
            runner.feed(Asked(t, n, "close", n, n + 25, 0.9))
    runner.close()
    assert runner.counts["intents accepted"] == 10
    assert len(runner.movements) == movements


def test_quiet_ticks_are_counted_and_everything_else_is_written_out(tmp_path):
    path = tmp_path / "a.jsonl"
    session(path, 60.0).close()
    lines = path.read_text().splitlines()
    assert len(lines) < 60 * 50 / 2
    assert len(lines) < 60 * 10 * 2 + 200
    kinds = [json.loads(line)["is"] for line in lines]
    assert kinds[0] == "header"
    assert {"beats", "heard", "asked", "arm", "entered", "command"} <= set(kinds)


def test_what_changes_is_in_the_file_before_the_hand_is_told(tmp_path):
    path = tmp_path / "a.jsonl"
    seen = []

    class Watching(SimulatedHand):
        def exchange(self, command):
            lines = path.read_text().splitlines()
            logged = [json.loads(line) for line in lines]
            frames = [r for r in logged if r["is"] == "command"]
            if command.kind == "move":
                seen.append(frames[-1]["number"] == command.number)
            return super().exchange(command)

    session(path, 2.0, Watching()).close()
    assert seen
    assert all(seen)


def test_a_log_cut_anywhere_replays_as_far_as_it_goes(tmp_path):
    path = tmp_path / "a.jsonl"
    session(path, 2.0).close()
    data = path.read_bytes()
    for cut in range(len(data) - 700, len(data), 13):
        path.write_bytes(data[:cut])
        found = replay_log(path)
        assert found.identical, (cut, found.difference)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"kind":"move"', '"kind":"hold"'),
        ('"probability":0.875', '"probability":"nan"'),
        ('"number":60', '"number":61'),
    ],
)
def test_a_log_that_was_altered_is_noticed(tmp_path, old, new):
    path = tmp_path / "a.jsonl"
    session(path).close()
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    found = replay_log(path)
    assert not found.identical
    assert found.difference


def test_a_missing_action_is_noticed(tmp_path):
    path = tmp_path / "a.jsonl"
    session(path).close()
    lines = path.read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if '"is":"entered"' in line)
    path.write_text("\n".join(lines[:first] + lines[first + 1 :]))
    assert not replay_log(path).identical


@pytest.mark.parametrize(
    "text", ["", "{}", "nonsense", '{"is":"header","format":"bci-hand-log","version":9}', "[]"]
)
def test_a_foreign_file_is_refused_by_name(tmp_path, text):
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    if text:
        with pytest.raises(RecordingError, match="line 1"):
            list(read_log(path))
    else:
        assert list(read_log(path)) == []
        with pytest.raises(RecordingError, match="no header"):
            read_header(path)
    with pytest.raises(RecordingError):
        list(read_log(tmp_path / "missing.jsonl"))


def test_damage_before_the_last_line_is_named(tmp_path):
    path = tmp_path / "a.jsonl"
    session(path, 2.0).close()
    lines = path.read_text().splitlines()
    for bad in (
        '{"is":"tick"',
        '{"is":"tick","t":1}',
        '{"is":"what"}',
        '{"no":1}',
        '{"is":"beats","n":"many"}',
    ):
        path.write_text("\n".join([*lines[:5], bad, *lines[5:]]))
        with pytest.raises(RecordingError, match="line 6"):
            list(read_log(path))


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_only_its_owner_can_read_a_log_and_none_is_overwritten(tmp_path):
    path = tmp_path / "a.jsonl"
    EventLog(path, header()).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        EventLog(path, header())


def test_a_full_disk_holds_the_hand_and_frames_go_on(tmp_path, monkeypatch):
    runner = session(tmp_path / "a.jsonl", 1.1)
    runner.feed(Asked(runner.state.t_us, 9, "open", 1, 10**6, 0.9))
    assert runner.state.mode is Mode.MOVING
    frames = runner.state.frames

    def full(fd, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bci.prosthesis.event_log.os.write", full)
    runner.feed(Tick(runner.state.t_us + TICK_US))
    assert runner.state.mode is Mode.HOLD
    assert runner.command.kind == "hold"
    runner.feed(Tick(runner.state.t_us + TICK_US))
    assert runner.state.frames > frames
    assert not runner.summary()["log_complete"]
    runner.close()


class Spoilt(SimulatedHand):
    """An adapter that goes wrong once its hand moves."""

    def __init__(self, spoil):
        super().__init__()
        self._spoil = spoil

    def exchange(self, command):
        reply = super().exchange(command)
        return self._spoil(reply) if command.kind == "move" else reply


def blow(reply):
    raise KeyError("a mistake in an adapter")


@pytest.mark.parametrize(
    ("spoil", "doubt"),
    [
        (blow, "hand-link"),
        (lambda reply: "P 1 2 3", "hand-link"),
        (lambda reply: replace(reply, position=None), "hand-link"),
        (lambda reply: replace(reply, current_a=("x",) * 6), "hand-link"),
        (lambda reply: replace(reply, temperature_c=None), "hand-link"),
        (lambda reply: replace(reply, position=reply.position[:5]), "hand-fault"),
        (lambda reply: replace(reply, contact=(False,) * 7), "hand-fault"),
        (lambda reply: replace(reply, force_n=()), "hand-fault"),
        (lambda reply: replace(reply, current_a=(0.0,)), "hand-fault"),
        (lambda reply: replace(reply, position=np.full(6, np.nan)), "hand-fault"),
    ],
)
def test_whatever_an_adapter_gets_wrong_the_hand_is_held_in_that_very_step(tmp_path, spoil, doubt):
    path = tmp_path / "a.jsonl"
    runner = session(path, 1.04, Spoilt(spoil))
    assert runner.state.mode is Mode.HOLD
    assert doubt in runner.state.doubts
    moved = [a for a in read_log(path) if isinstance(a, Command) and a.kind == "move"]
    assert len(moved) == 1
    kind = "look" if doubt == "hand-link" else "hold"  # whoever is lost may stand anywhere
    assert (runner.command.number, runner.command.kind) == (moved[0].number + 1, kind)
    runner.feed(Tick(runner.state.t_us + TICK_US))
    runner.close()
    assert replay_log(path).identical
    assert runner.summary()["log_complete"]


def test_an_adapter_may_compute_with_numbers_of_numpy(tmp_path):
    def numpys(reply):
        return Reply(
            np.asarray(reply.position, dtype=np.float32),
            np.asarray(reply.current_a),
            np.asarray(reply.force_n),
            np.asarray(reply.contact),
            np.float32(30.0),
        )

    path = tmp_path / "a.jsonl"
    runner = session(path, 1.5, Spoilt(numpys))
    runner.close()
    assert runner.state.mode is Mode.ARMED
    assert runner.state.setpoint == (0.05,) * 6
    assert runner.summary()["log_complete"]
    assert replay_log(path).identical


def test_text_that_is_no_unicode_is_logged_and_stops_nothing(tmp_path):
    """Half a surrogate pair: JSON lets it through, and so do the names of files in an error message."""
    path = tmp_path / "a.jsonl"
    runner = session(path, 1.1)
    runner.feed(Stop(runner.state.t_us, "\ud800 button"))
    assert runner.state.mode is Mode.HOLD
    runner.close()
    assert runner.summary()["log_complete"]
    assert [e.source for e in read_log(path) if isinstance(e, Stop)] == ["\ud800 button"]
    assert replay_log(path).identical


def test_an_event_that_cannot_be_written_is_a_log_that_failed(tmp_path):
    runner = session(tmp_path / "a.jsonl", 1.02)
    runner.feed(Stop(runner.state.t_us, b"no text"))
    assert {"log", "stop"} <= runner.state.doubts
    assert not runner.summary()["log_complete"]
    runner.close()


def test_a_hand_that_cannot_be_closed_does_not_keep_the_log_from_being_whole(tmp_path):
    class Stuck(SimulatedHand):
        def close(self):
            raise RuntimeError("no")

    runner = session(tmp_path / "a.jsonl", 1.1, Stuck())
    runner.close()
    assert replay_log(tmp_path / "a.jsonl").identical


def test_a_step_that_raises_holds_the_hand(tmp_path, monkeypatch):
    runner = session(tmp_path / "a.jsonl", 2.0)
    from bci.prosthesis import safety

    def broken(state, event, t):
        raise ZeroDivisionError

    monkeypatch.setitem(safety._HANDLERS, Stop, broken)
    runner.feed(Stop(runner.state.t_us))
    assert runner.state.mode is Mode.HOLD
    assert "internal" in runner.state.doubts
    runner.close()


def test_intents_made_again_from_predictions_equal_the_logged_ones(tmp_path):
    parameters = PolicyParameters(threshold=0.5, dwell_s=0.0)
    predictions = [
        Prediction(i * 5, ("rest", "close"), (0.3, 0.7) if i % 40 > 20 else (0.8, 0.2)) for i in range(200)
    ]
    path = tmp_path / "a.jsonl"
    runner = session(path, 2.0)
    policy = IntentPolicy(parameters, fs_hz=50.0)
    for prediction in predictions:
        intent = policy.update(prediction)
        if intent is not None:
            runner.feed(Asked(runner.state.t_us, **asdict(intent)))
    runner.close()
    path.write_text(
        "\n".join(line for line in path.read_text().splitlines() if '"probability":0.875' not in line)
    )
    found = replay_intents(path, predictions, IntentPolicy(parameters, fs_hz=50.0))
    assert found.identical, found.difference
    assert found.commands > 2
    other = [Prediction(p.sample_index, p.classes, (0.31, 0.69)) for p in predictions]
    assert not replay_intents(path, other, IntentPolicy(parameters, fs_hz=50.0)).identical
    assert not replay_intents(path, [], IntentPolicy(parameters, fs_hz=50.0)).identical


def test_records_keep_every_bit():
    reply = Reply(
        (0.1 + 0.2, math.inf, -math.inf, 5e-324, 1.0, 0.0), QUIET, ZERO, (True, *FREE[1:]), 36.6, "é"
    )
    for item in (
        Replied(7, reply),
        Asked(1, 2, "nan", 3, 4, 1 / 3),
        Asked(1, 2, "a", 3, 4, math.inf),
        Tick(9),
        Heard(1, 2, 3, 4, True),
    ):
        assert from_record(json.loads(json.dumps(to_record(item), allow_nan=False))) == item


def test_the_default_profile_replays_too(tmp_path):
    log = EventLog(tmp_path / "a.jsonl", header(Profile()))
    runner = Runner(rules(Profile()), SimulatedHand(object_at=(0.4,) * 6), log)
    for n in range(1, 300):
        t = n * TICK_US
        for event in (Tick(t), Heard(t, n, t)):
            runner.feed(event)
        if n == 10:
            runner.feed(Arm(t))
            runner.feed(Asked(t, 1, "grasp", n, n + 50, 0.9))
    runner.close()
    assert runner.state.contact == (True,) * 6
    assert runner.state.mode is Mode.ARMED
    assert replay_log(tmp_path / "a.jsonl").identical
