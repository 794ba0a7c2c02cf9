"""From calibrated predictions to a prosthetic hand that moves when meant, and never otherwise.

`IntentPolicy` turns predictions into numbered, expiring intents; `SafetyMonitor` is the handle of a process
of its own that decides every frame to the hand anew and holds on any doubt. Names load when they are first
used: the monitor's process needs neither numpy nor numba.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bci.prosthesis.ability import AbilityHand
    from bci.prosthesis.certificate import Certificate
    from bci.prosthesis.drawing import hand_lines, hand_svg
    from bci.prosthesis.drill import Drill, run_drill
    from bci.prosthesis.hand import DOFS, Command, Hand, Reply
    from bci.prosthesis.hand_simulator import HandSimulator
    from bci.prosthesis.monitor import SafetyMonitor, Snapshot
    from bci.prosthesis.operating_point import PolicyChoice, choose_policy
    from bci.prosthesis.policy import IntentPolicy, PolicyParameters
    from bci.prosthesis.profile_file import read_profile
    from bci.prosthesis.replay import Replay, logged_intents, logged_profile, replay_intents, replay_log
    from bci.prosthesis.rh56 import Rh56Hand
    from bci.prosthesis.sequences import Sequences
    from bci.prosthesis.simulated import SimulatedHand
    from bci.prosthesis.stop_lines import send_stop
    from bci.prosthesis.user_profile import Grip, Limits, Opening, Profile, Signal

__all__ = [
    "DOFS",
    "AbilityHand",
    "Certificate",
    "Command",
    "Drill",
    "Grip",
    "Hand",
    "HandSimulator",
    "IntentPolicy",
    "Limits",
    "Opening",
    "PolicyChoice",
    "PolicyParameters",
    "Profile",
    "Replay",
    "Reply",
    "Rh56Hand",
    "SafetyMonitor",
    "Sequences",
    "Signal",
    "SimulatedHand",
    "Snapshot",
    "choose_policy",
    "hand_lines",
    "hand_svg",
    "logged_intents",
    "logged_profile",
    "read_profile",
    "replay_intents",
    "replay_log",
    "run_drill",
    "send_stop",
]

_HOME = {
    "ability": ("AbilityHand",),
    "certificate": ("Certificate",),
    "drill": ("Drill", "run_drill"),
    "drawing": ("hand_lines", "hand_svg"),
    "hand": ("DOFS", "Command", "Hand", "Reply"),
    "hand_simulator": ("HandSimulator",),
    "monitor": ("SafetyMonitor", "Snapshot"),
    "operating_point": ("PolicyChoice", "choose_policy"),
    "policy": ("IntentPolicy", "PolicyParameters"),
    "profile_file": ("read_profile",),
    "user_profile": ("Grip", "Limits", "Opening", "Profile", "Signal"),
    "replay": ("Replay", "logged_intents", "logged_profile", "replay_intents", "replay_log"),
    "rh56": ("Rh56Hand",),
    "sequences": ("Sequences",),
    "simulated": ("SimulatedHand",),
    "stop_lines": ("send_stop",),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"bci.prosthesis.{_MODULE[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
