"""What the steps of a visit show, and what is pressed: a terminal, the page in the browser, a test, or several at once.

A step calls `show` with the keys of `bci.web.LivePage.show`; texts arrive already translated. It asks `actions` what
was pressed since: names of the buttons in `stage`, and "stop".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from bci.acquisition import Statistics
from bci.chunks import Chunk
from bci.language import _
from bci.prosthesis import Snapshot
from bci.prosthesis.monitor_state import say_cause
from bci.sessions.electrodes import Electrode
from bci.sessions.guided import Shown

__all__ = [
    "Screen",
    "Screens",
    "button",
    "class_word",
    "control_stage",
    "cue_state",
    "electrode_states",
    "hand_state",
    "progress_state",
    "stage",
]

Stop = Callable[[str], object]


class Screen(Protocol):
    """Shows and never waits."""

    def show(self, **state: Any) -> None:
        """Newest values by key; None takes one away."""
        ...

    def signal(self, chunk: Chunk) -> None:
        """The signal as it came."""
        ...

    def actions(self) -> list[str]:
        """What was pressed since the last call."""
        ...

    def stops(self, stop: Stop | None, address: str) -> None:
        """From now on STOP calls `stop` with its source at once (or reaches the monitor at `address`); None: it is the
        action "stop" again."""
        ...


class Screens:
    """Several at once. One that fails, as a browser that was closed does, is left out from then on.

    Attributes
    ----------
    failed : list of str
        What the screens that were left out said.
    """

    def __init__(self, *screens: Screen) -> None:
        self._screens = list(screens)
        self.failed: list[str] = []

    def show(self, **state: Any) -> None:
        if self.failed:
            gone = _("The page in the browser is gone; everything goes on without it.")
            state["notes"] = [*(state.get("notes") or ()), gone]
        self._each(lambda screen: screen.show(**state))

    def signal(self, chunk: Chunk) -> None:
        self._each(lambda screen: screen.signal(chunk))

    def actions(self) -> list[str]:
        pressed: list[str] = []
        self._each(lambda screen: pressed.extend(screen.actions()))
        return pressed

    def stops(self, stop: Stop | None, address: str) -> None:
        self._each(lambda screen: screen.stops(stop, address))

    def _each(self, do: Callable[[Screen], object]) -> None:
        for screen in list(self._screens):
            try:
                do(screen)
            except Exception as err:  # a screen must not end what it shows
                self._screens.remove(screen)
                self.failed.append(f"{type(err).__name__}: {err}")


def stage(title: str, text: str, *buttons: dict[str, str]) -> dict[str, Any]:
    """The value of `show(stage=…)`."""
    return {"title": title, "text": text, "buttons": list(buttons)}


def control_stage(view: Snapshot, *, measured: bool, drifted: bool) -> dict[str, Any]:
    """The stage of a control session, with what can be pressed in this state of the hand.

    `measured`: a measured check is over and can be done again; `drifted`: calibrating again is offered.
    """
    title, quit_ = _("Control"), button("quit", _("End"))
    again = [button("recalibrate", _("Calibrate again"))] if drifted else []
    if view.stopped:
        text = _("STOP: the hand holds. Arm again only when it is clear why.")
        return stage(title, text, button("arm", _("Arm again")), *again, quit_)
    if view.mode in ("armed", "moving", "hold"):
        check = [button("check", _("Measure again"))] if measured else []
        text = _("The hand follows. Space or Esc is STOP.")
        return stage(title, text, button("disarm", _("Disarm")), *check, *again, quit_)
    text = _("The hand is disarmed. See that nobody is in its way, then arm. Space or Esc is STOP.")
    return stage(title, text, button("arm", _("Arm")), *again, quit_)


def button(action: str, label: str) -> dict[str, str]:
    """One button of a stage; in a terminal the first is Enter, the others their own letter."""
    return {"action": action, "label": label}


def electrode_states(electrodes: Sequence[Electrode]) -> list[dict[str, Any]]:
    """The value of `show(electrodes=…)`."""
    return [asdict(electrode) | {"findings": list(electrode.findings)} for electrode in electrodes]


def cue_state(shown: Shown, *, movement: str) -> dict[str, Any]:
    """The value of `show(cue=…)`."""
    return {
        "word": class_word(shown.label, movement=movement) if shown.label else _break_word(shown.phase),
        "kind": shown.label,
        "phase": shown.phase if shown.phase in ("rest", "cue", "task") else "pause",
        "left_s": round(shown.left_s, 1),
        "beep": shown.beep,
    }


def _break_word(phase: str) -> str:
    """What the wearer reads while nothing is asked for."""
    match phase:
        case "pause":
            return _("blink now")
        case "between":
            return _("a break")
        case "paused":
            return _("paused")
    return ""


def progress_state(shown: Shown, text: str) -> dict[str, Any]:
    """The value of `show(progress=…)`."""
    return {
        "done": shown.done,
        "total": shown.total,
        "left_s": round(shown.total_left_s),
        "text": text,
    }


def decision_state(evidence: Mapping[str, float], threshold: float) -> dict[str, Any]:
    """The values of `show(probabilities=…, threshold=…)`, of evidence and its threshold in natural log-odds."""
    return {
        "probabilities": {name: _probability(value) for name, value in evidence.items()} or None,
        "threshold": _probability(threshold),
    }


def _probability(log_odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(min(log_odds, 50.0), -50.0)))


def link_state(statistics: Statistics) -> dict[str, Any]:
    """The value of `show(link=…)`; the page measures its delay itself."""
    return {"lost": statistics.samples_lost, "latency_ms": None, "faults": statistics.faults}


def hand_state(view: Snapshot) -> dict[str, Any]:
    """The value of `show(hand=…)`; the cause in the language spoken now."""
    return {
        "mode": "stale" if view.mode == "hold" and "no fresh signal" in view.cause else view.mode,
        "position": list(view.position),
        "contact": list(view.contact),
        "cause": say_cause(view.cause),
        "stopped": view.stopped,
    }


def class_word(label: str, *, movement: str) -> str:
    """What a cue asks for, in words for the user."""
    if label == "rest":
        return _("rest")
    if movement == "executed":
        known = {
            "left": _("move the left hand"),
            "right": _("move the right hand"),
            "feet": _("move the feet"),
        }
    else:
        known = {
            "left": _("intend to move the left hand"),
            "right": _("intend to move the right hand"),
            "feet": _("intend to move the feet"),
        }
    return known.get(label, label)
