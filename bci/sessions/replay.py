"""Decide again from the recorded wire, and compare with what was decided live, bit for bit.

Three links are checked: the recording gives the logged predictions, the predictions give the logged intents, and
the logged events give the logged commands to the hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from bci.acquisition import Recording
from bci.decisions import Prediction
from bci.errors import RecordingError
from bci.language import _
from bci.pipeline import Model, OnlinePipeline, Run, load_model, split_runs
from bci.prosthesis import IntentPolicy, logged_profile, replay_intents, replay_log
from bci.sessions.control_files import ControlFiles
from bci.sessions.folder import SessionFolder, read_decisions

__all__ = ["Comparison", "decide_again", "replay_session"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a replay found. `difference` is "" where everything came out the same."""

    predictions: int
    intents: int
    events: int
    commands: int
    difference: str

    @property
    def identical(self) -> bool:
        return not self.difference


def decide_again(model: Model, runs: list[Run]) -> Iterator[Prediction]:
    """Predictions of whole runs, through the stages that run live."""
    for run in runs:
        pipeline = OnlinePipeline(model, run.info)
        for chunk in run.chunks:
            yield from pipeline.step(chunk)


def replay_session(folder: SessionFolder | ControlFiles) -> Comparison:
    """Replay a session that `bci demo` or `bci control` wrote; `control_files` finds the files of either.

    Raises
    ------
    RecordingError, ModelFileError
        If a file is missing, foreign or damaged.
    """
    model = load_model(folder.model)
    logged = list(read_decisions(folder.decisions))
    recording = Recording(folder.recording)
    runs = split_runs(recording.info, recording)
    if not logged or not runs:
        raise RecordingError(
            _("{path} holds no decisions to compare with").format(path=folder.path), path=folder.path
        )
    first, last = logged[0].sample_index, logged[-1].sample_index
    control = [run for run in runs if run.end_sample > first and run.first_sample <= last]
    again = list(decide_again(model, control))
    difference = _compare(logged, again)
    policy = IntentPolicy.for_profile(model.policy, logged_profile(folder.events), fs_hz=model.chain.fs_hz)
    intents = replay_intents(folder.events, again, policy)
    commands = replay_log(folder.events)
    return Comparison(
        predictions=len(again),
        intents=intents.commands,
        events=commands.events,
        commands=commands.commands,
        difference=difference or intents.difference or commands.difference,
    )


def _compare(logged: list[Prediction], again: list[Prediction]) -> str:
    for number, (a, b) in enumerate(zip_longest(logged, again), 1):
        if a != b:
            return _("decision {number}: logged {logged}, made again {again}").format(
                number=number, logged=a, again=b
            )
    return ""
