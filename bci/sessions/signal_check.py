"""The quality gate: look at all electrodes, say what to do, refuse to go on with bad ones unless somebody answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bci.errors import ElectrodesError
from bci.language import _
from bci.report.visit import CheckPart, ElectrodeState, Override
from bci.sessions.bench import Bench
from bci.sessions.electrodes import Electrode, ElectrodeWatch, cap_off, summary_sentence
from bci.sessions.screen import Screen, button, electrode_states, stage

__all__ = ["Gate", "SignalCheck"]

#: Signal that a verdict rests on, and what filters need before it, s.
WINDOW_S, SETTLE_S = 4.0, 1.5
LOOK_S = 0.5


@dataclass(frozen=True, slots=True)
class Gate:
    """What may pass.

    Parameters
    ----------
    needed : tuple of str
        Electrodes that the decoder takes; empty: all.
    override : tuple of str
        Electrodes that may be bad all the same, each named; "all" names every one.
    by : str
        Who answers for that; without it nothing is overridden.
    """

    needed: tuple[str, ...] = ()
    override: tuple[str, ...] = ()
    by: str = ""

    def bad(self, electrodes: Sequence[Electrode]) -> tuple[str, ...]:
        """Needed electrodes that are bad."""
        return tuple(
            e.name for e in electrodes if e.level == "bad" and (not self.needed or e.name in self.needed)
        )

    def refused(self, electrodes: Sequence[Electrode]) -> tuple[str, ...]:
        """Those of them that nobody has answered for."""
        bad = self.bad(electrodes)
        if not self.by or "all" in self.override:
            return () if self.by else bad
        return tuple(name for name in bad if name not in self.override)

    def refusal(self, electrodes: Sequence[Electrode]) -> str:
        """Why it does not go on, "" if it does."""
        names = self.refused(electrodes)
        if not names:
            return ""
        if cap_off(electrodes):
            return summary_sentence(electrodes)
        chosen = [e for e in electrodes if e.name in names]
        told = " ".join(f"{e.sentence} {e.advice}" for e in chosen[:3])
        return _(
            "Electrodes that the decoder needs are bad: {names}. {what} To go on all the same, name them and yourself: "
            "--override {list} --by NAME."
        ).format(names=", ".join(names), what=told, list=",".join(names))


class SignalCheck:
    """Look at the electrodes until somebody goes on, or once where nobody watches.

    Parameters
    ----------
    bench : Bench
        Idle before and after.
    screen : Screen
    gate : Gate
    person : bool
        Somebody watches and presses keys; otherwise the first look decides.
    refuse : bool
        False only looks: nothing is refused, e.g. after the control.
    wall_clock : callable
        Seconds since 1970.

    Attributes
    ----------
    electrodes : tuple of Electrode
        The newest look.
    """

    def __init__(
        self,
        bench: Bench,
        screen: Screen,
        gate: Gate,
        *,
        person: bool,
        refuse: bool = True,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.bench, self.screen, self.gate = bench, screen, gate
        self.person, self.refuse, self.wall_clock = person, refuse, wall_clock
        self.electrodes: tuple[Electrode, ...] = ()
        self._notes: list[str] = []

    def run(self) -> CheckPart | None:
        """The look that was passed; None if somebody ended it.

        Raises
        ------
        ElectrodesError
            Nobody watches, and electrodes that are needed are bad.
        """
        bench = self.bench
        mode = bench.measure_impedance()
        watch = ElectrodeWatch(bench.info, self.gate.needed, lead_off=mode, window_s=WINDOW_S)
        gate, going_on = self.gate, not self.person
        shown_s = seen_s = 0.0
        bench.start()
        try:
            while True:
                for chunk in bench.read(LOOK_S):
                    watch.process(chunk)
                    self.screen.signal(chunk)
                    seen_s += chunk.n_samples / bench.info.fs_hz
                if seen_s >= WINDOW_S + SETTLE_S:
                    self.electrodes = watch.look()
                for action in self.screen.actions() if self.person else ():
                    if action == "quit":
                        return None
                    if action == "override" and self.gate.by:
                        gate, going_on = Gate(self.gate.needed, ("all",), self.gate.by), True
                    going_on = going_on or action == "next"
                if self.electrodes and going_on and not bench.away:
                    refusal = gate.refusal(self.electrodes) if self.refuse else ""
                    if not refusal:
                        return _part(self.electrodes, gate, self.wall_clock(), self.refuse)
                    if not self.person:
                        raise ElectrodesError(refusal, electrodes=gate.refused(self.electrodes))
                    self._notes, going_on = [refusal], False
                if seen_s - shown_s >= LOOK_S or bench.away:
                    shown_s = seen_s
                    self._show()
        finally:
            bench.stop()
            bench.measure_impedance(False)

    def _show(self) -> None:
        gate, electrodes = self.gate, self.electrodes
        buttons = [button("next", _("Go on"))]
        if gate.by and gate.bad(electrodes):
            buttons.append(button("override", _("Go on all the same")))
        if not gate.refused(electrodes):
            self._notes = []
        away = _("The board's cable is out, or its power is off. Put it in again; it goes on by itself.")
        self.screen.show(
            electrodes=electrode_states(electrodes),
            stage=stage(_("Signal check"), summary_sentence(electrodes), *buttons, button("quit", _("End"))),
            notes=[away] if self.bench.away else self._notes,
        )


def _part(electrodes: Sequence[Electrode], gate: Gate, now_s: float, refuse: bool) -> CheckPart:
    bad = gate.bad(electrodes) if refuse else ()
    return CheckPart(
        at_s=now_s,
        electrodes=tuple(ElectrodeState(e.name, e.level, e.findings, e.impedance_kohm) for e in electrodes),
        override=Override(by=gate.by, at_s=now_s, electrodes=bad) if bad else None,
    )
