"""A clinician at the keys, as a screen: presses what is offered, counts, and keeps what was shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bci.chunks import Chunk
from bci.sessions.calibrating import CalibrationOptions
from bci.sessions.guided import CalibrationPlan, CueTiming

#: Short enough for a test, long enough for a decoder of an able wearer.
SHORT = CalibrationOptions(
    plan=CalibrationPlan(blocks=2, trials_per_class=8, timing=CueTiming(between_s=5.0), seed=3)
)
WEARER = {"seed": 3, "intent": 1.6}


class Clinician:
    """Presses each wanted button once, when it is offered.

    Parameters
    ----------
    *wanted : str
        Actions in their order. "quit" waits until the measured check is over.
    hook : callable, optional
        Called with this clinician whenever keys are asked for; what it returns is pressed, too.
    """

    def __init__(self, *wanted: str, hook: Callable[[Clinician], list[str]] | None = None) -> None:
        self.wanted = list(wanted)
        self.hook = hook
        self.state: dict[str, Any] = {}
        self.notes: list[str] = []
        self.stages: list[str] = []
        self.modes: list[str] = []
        self.cues: list[tuple[str, str]] = []
        self.pressed: list[str] = []
        self.presses_until_armed: int | None = None
        self.samples = 0
        self.stop: Callable[[str], object] | None = None

    def show(self, **state: Any) -> None:
        for key, value in state.items():
            if value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = value
        self.notes += [n for n in state.get("notes") or () if not self.notes or n != self.notes[-1]]
        if stage := state.get("stage"):
            self.stages.append(stage["text"])
        if hand := state.get("hand"):
            self.modes.append(hand["mode"])
            if hand["mode"] == "armed" and self.presses_until_armed is None:
                self.presses_until_armed = len(self.pressed)
        if cue := state.get("cue"):
            self.cues.append((cue["phase"], cue["kind"]))

    def signal(self, chunk: Chunk) -> None:
        self.samples += chunk.n_samples

    def actions(self) -> list[str]:
        extra = self.hook(self) if self.hook else []
        return [*extra, *self._press()]

    def _press(self) -> list[str]:
        offered = [b["action"] for b in self.state.get("stage", {}).get("buttons", ())]
        if not self.wanted or self.wanted[0] not in offered:
            return []
        if self.wanted[0] == "next" and "electrodes" in self.state and not self.state["electrodes"]:
            return []  # nobody goes on before there is something to see
        if self.wanted[0] == "quit" and "check" not in offered:
            return []
        self.pressed.append(self.wanted.pop(0))
        return [self.pressed[-1]]

    def stops(self, stop: Callable[[str], object] | None, address: str) -> None:
        self.stop = stop
