"""The event log proves itself: run its events through `step` again and compare what came of them, bit for
bit.

With the recording of the signal beside it the whole chain closes: predictions made again from the `.bfp` give
the logged intents (`replay_intents`), and the logged events give the logged commands (`replay_log`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bci.decisions import Intent, Prediction
from bci.errors import RecordingError
from bci.language import _
from bci.prosthesis.event_log import read_header, read_log
from bci.prosthesis.events import Action, Asked, Entered, Refused
from bci.prosthesis.hand import Command
from bci.prosthesis.monitor_state import Rules, State
from bci.prosthesis.policy import IntentPolicy
from bci.prosthesis.profile_file import from_table
from bci.prosthesis.safety import step
from bci.prosthesis.user_profile import Profile

__all__ = ["Replay", "logged_intents", "logged_profile", "replay_intents", "replay_log"]


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay found.

    `identical` is True if everything logged came out again; `difference` names the first thing that did not.
    A log that was cut by a kill may lack the last actions; they are not counted against it.
    """

    events: int
    commands: int
    identical: bool
    difference: str = ""


def replay_log(path: str | Path) -> Replay:
    """Run a log's events through `step` and compare every action.

    Raises
    ------
    RecordingError
        The log is missing, foreign or damaged.
    """
    state: State | None = None
    expected: deque[Action] = deque()
    events = commands = 0
    for item in read_log(path):
        if isinstance(item, dict):
            rules = Rules(from_table(Profile, item["profile"]), item["refusal"], item["armable_until_us"])
            state = State(rules)
            continue
        if state is None:
            raise RecordingError(_("{path}: holds no header").format(path=path), path=path)
        if isinstance(item, Command | Entered | Refused):
            commands += isinstance(item, Command)
            wanted = expected.popleft() if expected else None
            if wanted != item:
                said = _("after event {number}: logged {logged}, made again {again}")
                return Replay(events, commands, False, said.format(number=events, logged=item, again=wanted))
            continue
        if expected:
            said = _("after event {number}: not in the log: {again}")
            return Replay(events, commands, False, said.format(number=events, again=expected[0]))
        events += 1
        state, actions = step(state, item)
        expected.extend(actions)
    return Replay(events, commands, True)


def logged_profile(path: str | Path) -> Profile:
    """The user's profile that was in force.

    Raises
    ------
    RecordingError
        The log is missing, foreign or damaged.
    """
    return from_table(Profile, read_header(path)["profile"])


def logged_intents(path: str | Path) -> list[Intent]:
    """All intents that reached the monitor, accepted or not."""
    return [
        Intent(
            item.number,
            item.action,
            item.sample_index,
            item.expires_sample,
            item.probability,
            item.probabilities,
        )
        for item in read_log(path)
        if isinstance(item, Asked)
    ]


def replay_intents(path: str | Path, predictions: Iterable[Prediction], policy: IntentPolicy) -> Replay:
    """Make the intents again from predictions and compare them with the logged ones, bit for bit."""
    logged = deque(logged_intents(path))
    count = made = 0
    for prediction in predictions:
        count += 1
        intent = policy.update(prediction)
        if intent is None:
            continue
        made += 1
        wanted = logged.popleft() if logged else None
        if intent != wanted:
            said = _("after decision {number}: logged {logged}, made again {again}")
            return Replay(count, made, False, said.format(number=count, logged=wanted, again=intent))
    if logged:
        return Replay(count, made, False, _("in the log only: {logged}").format(logged=logged[0]))
    return Replay(count, made, True)
