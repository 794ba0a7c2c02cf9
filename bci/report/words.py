"""What machine words of a visit are called by people: classes, findings, commands. Said through `_` when shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from bci.language import N_, _
from bci.report.visit import DroppedTrial

__all__ = [
    "CLASSES",
    "class_word",
    "command_word",
    "file_word",
    "finding_word",
    "latency_word",
    "level_word",
    "movement_word",
    "reasons",
]

#: Classes that cues have.
CLASSES = {
    "rest": N_("rest"),
    "left": N_("left hand"),
    "right": N_("right hand"),
    "hand": N_("hand"),
    "grasp": N_("grasp"),
    "feet": N_("feet"),
    "tongue": N_("tongue"),
    "close": N_("close"),
    "open": N_("open"),
}
LEVELS = {"good": N_("good"), "fair": N_("fair"), "bad": N_("bad")}
#: Why an electrode is not good or a trial was not used.
FINDINGS = {
    "artefact": N_("artefact"),
    "blink": N_("blink"),
    "muscle": N_("muscle"),
    "flat": N_("flat"),
    "railed": N_("at the end of the range"),
    "saturated": N_("saturated"),
    "saturation": N_("saturated"),
    "noisy": N_("noisy"),
    "noise": N_("noisy"),
    "waves": N_("slow waves"),
    "offset": N_("large electrode potential"),
    "weak": N_("weak signal"),
    "amplitude": N_("large amplitude"),
    "jump": N_("jump"),
    "step": N_("jump"),
    "mains": N_("mains hum"),
    "lead-off": N_("electrode off"),
    "off": N_("electrode off"),
    "loose": N_("loose"),
    "drift": N_("slow waves"),
    "impedance": N_("high impedance"),
    "lost": N_("samples lost"),
    "interrupted": N_("interrupted"),
}
MOVEMENTS = {"executed": N_("Executed movement"), "intended": N_("Intended movement (motor imagery)")}
COMMANDS = {
    "hold": N_("hold"),
    "move": N_("move"),
    "open": N_("open"),
    "close": N_("close"),
    "power": N_("power grip"),
    "pinch": N_("pinch"),
    "key": N_("key grip"),
    "point": N_("point"),
}
#: What a session leaves in its folder.
FILES = {
    "recording": N_("Recording"),
    "model": N_("Model"),
    "events": N_("Event log"),
    "decisions": N_("Decisions"),
    "report": N_("Report"),
}
LATENCIES = {"median": N_("median"), "p90": N_("90 % within"), "p99": N_("99 % within"), "worst": N_("worst")}


def class_word(name: str) -> str:
    """What people call a class; as all of these, the name itself where there is no word for it."""
    return _word(CLASSES, name)


def level_word(name: str) -> str:
    """How good an electrode is."""
    return _word(LEVELS, name)


def finding_word(name: str) -> str:
    """Why an electrode is not good, or a trial was not used."""
    return _word(FINDINGS, name)


def reasons(dropped: Iterable[DroppedTrial]) -> dict[str, int]:
    """Why trials were not used, and how many for each reason; "artefact (muscle C3)" counts as artefact (muscle)."""
    counts: Counter[str] = Counter()
    for trial in dropped:
        what, _bracket, kind = trial.reason.partition(" (")
        word = finding_word(what)
        if kind:
            word += f" ({finding_word(kind.rstrip(')').split(' ')[0])})"
        counts[word] += 1
    return dict(counts)


def movement_word(name: str) -> str:
    """Executed or intended."""
    return _word(MOVEMENTS, name)


def command_word(name: str) -> str:
    """What the hand was told."""
    return _word(COMMANDS | CLASSES, name)


def file_word(name: str) -> str:
    """A file of a session."""
    return _word(FILES, name)


def latency_word(name: str) -> str:
    """Which figure of a latency."""
    return _word(LATENCIES, name)


def _word(table: dict[str, str], name: str) -> str:
    return _(table[name]) if name in table else name
