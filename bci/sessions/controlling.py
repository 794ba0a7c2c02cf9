"""The control session of a visit: a person arms, a measured check of rest and task, then free use; STOP at any time.

The loop is that of the demonstration (`ControlLoop`, `SafetyMonitor`); here stand the operator's buttons, the cues of
the measured check, the drift watch, and what goes into the visit. Nothing arms by itself and nothing recalibrates by
itself.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from bci.chunks import Chunk
from bci.errors import ArmingRefusedError, DeviceError, MonitorError, NotCertifiedError
from bci.language import _
from bci.pipeline import Model, model_digest
from bci.prosthesis import Certificate, Profile, SafetyMonitor
from bci.report.visit import ControlPart, Visit
from bci.sessions.arming import arm
from bci.sessions.bench import Bench
from bci.sessions.control import ControlLoop
from bci.sessions.control_files import DECISIONS, EVENTS, RECORDING
from bci.sessions.drift import DriftWatch, Reference
from bci.sessions.electrodes import ElectrodeWatch, left_out_sentence
from bci.sessions.folder import DecisionLog
from bci.sessions.guided import CalibrationPlan, CueTiming, GuidedCalibration, Shown
from bci.sessions.hands import open_hand
from bci.sessions.measured import Measured
from bci.sessions.room import DiskRoom
from bci.sessions.screen import (
    Screen,
    control_stage,
    cue_state,
    decision_state,
    electrode_states,
    hand_state,
    link_state,
    progress_state,
)
from bci.sessions.store import SessionStore, VisitFolder
from bci.sessions.summary import latency_ms
from bci.sessions.what_happened import commands_of, stops_of

__all__ = ["ControlOptions", "control"]

SHOWN_EVERY_S = 0.1
LOOK_EVERY_S = 1.0
#: A key that is held down sends STOP again and again; arming waits until it has been let go for so long.
RELEASED_NS = 500_000_000
READ_S = 0.25  # of an accelerated world, at most


@dataclass(frozen=True, slots=True)
class ControlOptions:
    """What is asked for.

    Parameters
    ----------
    hand : {"simulated", "ability", "rh56"}
    hand_port : str or None
        Where a real hand is; None: its simulator, in a process of its own.
    check_trials : int
        Trials of each class in the measured check; 0 leaves it out.
    minutes : float or None
        Of free use after it; None: until somebody ends it, where somebody watches, else none.
    movement : str
        As calibrated: "intended" or "executed".
    """

    hand: str = "simulated"
    hand_port: str | None = None
    check_trials: int = 8
    minutes: float | None = None
    movement: str = "intended"


def control(
    bench: Bench,
    store: SessionStore,
    folder: VisitFolder,
    screen: Screen,
    options: ControlOptions,
    *,
    model: Model,
    model_name: str = "",
    certificate: Certificate,
    reference: Reference | None,
    profile: Profile,
    person: bool,
    room: DiskRoom | None = None,
    clock_ns: Callable[[], int] = time.monotonic_ns,
) -> tuple[Visit, str]:
    """Run a control session; returns the visit with its `control`, and how it ended: "quit", "recalibrate" or "".

    Raises
    ------
    DiskFullError
        Too little room.
    DeviceError
        The board stopped for good; the hand holds, and everything recorded is kept.
    """
    room = room or DiskRoom(folder.path)
    room.require(60.0)
    with ExitStack() as stack:
        session = _Control(
            bench, folder, screen, options, model, model_name, profile, room, person, clock_ns, stack
        )
        session.open(certificate, reference)
        try:
            session.run()
        finally:
            screen.stops(None, "")
            screen.show(hand=None, probabilities=None, threshold=None, cue=None, progress=None, drift=None)
            part = session.close(store.wall_clock())
            visit = msgspec.structs.replace(folder.read(), control=part)
            visit = msgspec.structs.replace(
                visit, equipment=msgspec.structs.replace(visit.equipment, hand=session.hand_title)
            )
            store.keep(folder, visit)
    return visit, session.ending


class _Control:
    loop: ControlLoop
    monitor: SafetyMonitor

    def __init__(
        self,
        bench: Bench,
        folder: VisitFolder,
        screen: Screen,
        options: ControlOptions,
        model: Model,
        model_name: str,
        profile: Profile,
        room: DiskRoom,
        person: bool,
        clock_ns: Callable[[], int],
        stack: ExitStack,
    ) -> None:
        self.bench, self.folder, self.screen, self.options = bench, folder, screen, options
        self.model, self.model_name, self.profile = model, model_name, profile
        self.room, self.person = room, person
        self.clock_ns, self.stack = clock_ns, stack
        self.fs_hz = bench.info.fs_hz
        self.recording = folder.free(RECORDING, ".bfp")
        self.events = folder.free(EVENTS, ".jsonl")
        self.decisions = folder.free(DECISIONS, ".jsonl")
        self.electrodes = ElectrodeWatch(bench.info)
        self.measured = Measured(model, self.fs_hz)
        self.guide: GuidedCalibration | None = None
        self.drift: DriftWatch | None = None
        self.drift_said: list[str] = []
        self.contact_watched = False
        self.ended = False
        self.ending = ""
        self._first = -1
        self._free_from: int | None = None
        self._stopped_ns = -RELEASED_NS
        self._notes: list[str] = []
        self._shown_s = self._looked_s = -1.0
        self._wanted = False
        self._cue: dict[str, Any] | None = None
        self._progress: dict[str, Any] | None = None
        self._resting = False

    # ---- begin and end

    def open(self, certificate: Certificate, reference: Reference | None) -> None:
        """Record, start the monitor and its hand, and give STOP its way to it."""
        bench, options = self.bench, self.options
        hand, self.hand_title = open_hand(self.stack, options.hand, options.hand_port, fast=bench.fast)
        left_out = self.model.chain.left_out
        facts = {"what": "control", "left_out": list(left_out)}
        bench.record(self.recording, facts)
        self.contact_watched = bench.watch_contact()
        self._notes = [left_out_sentence(left_out)] if left_out else []
        self.monitor = self.stack.enter_context(
            SafetyMonitor(
                self.profile,
                log_path=self.events,
                certificate=certificate,
                hand=hand,
                clock="driven" if bench.fast else "monotonic",
                model=model_digest(self.model),
                channels=tuple(name for name in bench.info.channels if name not in left_out),
                notes=facts,
            )
        )
        self.screen.stops(self._stop, self.monitor.stop_address)
        self.log = self.stack.enter_context(DecisionLog(self.decisions))
        self.loop = ControlLoop(self.model, bench.info, self.monitor, self.profile)
        if reference is not None:
            self.drift = DriftWatch(reference, bench.info)
        if options.check_trials:
            plan = CalibrationPlan(
                classes=tuple(sorted({"rest", *self.model.classes})),
                blocks=1,
                trials_per_class=options.check_trials,
                timing=CueTiming(task_s=self.model.timing.task_s),
                seed=1,
            )
            self._plan = plan

    def close(self, now_s: float) -> ControlPart:
        """Disarm, end, and say what happened."""
        with suppress(MonitorError):
            self.monitor.sync()
        ended = self.monitor.close()
        self.log.close()
        with suppress(DeviceError):
            self.bench.source.stop()
        self.bench.watch_contact(False)
        statistics = self.bench.source.statistics
        return ControlPart(
            at_s=now_s,
            recording=self.recording.name,
            events=self.events.name,
            seconds=max(self.bench.next_sample - self._first, 0) / self.fs_hz if self._first >= 0 else 0.0,
            samples=statistics.samples,
            samples_lost=statistics.samples_lost,
            movements=self.measured.figures(self.events),
            per_run=self.measured.runs(self.events, begun=self._first),
            stops=stops_of(self.events),
            commands=commands_of(self.events),
            latency_ms=latency_ms(ended),
            drift=tuple(self.drift_said),
            model=self.model_name,
            model_sha256=model_digest(self.model),
            left_out=self.model.chain.left_out,
            contact_watched=self.contact_watched,
        )

    # ---- the loop

    def run(self) -> None:
        """Until somebody ends it, its time is over, or the disk is full."""
        bench = self.bench
        bench.start()
        while not self.ended:
            seconds = READ_S
            shown: Shown | None = None
            if self.guide is not None and bench.next_sample >= 0:
                shown = self.guide.step(bench.next_sample)
                if shown.until is not None:
                    seconds = min(seconds, max(shown.until - bench.next_sample, 1) / self.fs_hz)
                self._cued(shown)
            was_there = not bench.away
            for chunk in bench.read(seconds):
                self._take(chunk)
            if was_there and bench.away:
                self._stop("board lost")  # the monitor holds by itself when the signal is stale; this latches
            self._act()
            self._end_of_time()
            now_s = bench.next_sample / self.fs_hz
            if now_s - self._shown_s >= SHOWN_EVERY_S or bench.away:
                self._shown_s = now_s
                self._show()
        bench.stop()

    def _take(self, chunk: Chunk) -> None:
        if self._first < 0 and chunk.n_samples:
            self._first = chunk.first_sample
            self.contact_watched = self.contact_watched and chunk.status is not None
            if not self.contact_watched:
                self._notes.append(
                    _(
                        "This board cannot tell at once when an electrode falls off; keep an eye on the signal."
                    )
                )
        self.screen.signal(chunk)
        self.electrodes.process(chunk)
        if self.drift is not None:
            self.drift.process(chunk)
        last_byte_ns = None if self.bench.fast else self.bench.source.last_byte_ns
        for decided in self.loop.feed(chunk, last_byte_ns=last_byte_ns):
            view = self.monitor.state()
            self.measured.add(decided, view.mode, float(np.mean(view.position[:5])))
            self.log.write((decided.prediction,))
            if self.drift is not None:
                self.drift.decided((decided.prediction,), resting=self._resting)

    def _cued(self, shown: Shown) -> None:
        """A step of the measured check."""
        bench = self.bench
        if shown.mark and shown.mark not in ("spoilt", "block"):
            bench.cue(shown.mark, task_s=self.model.timing.task_s)
            self.measured.cue(shown.mark, bench.next_sample)
        self._resting = shown.phase in ("rest", "pause") or (
            shown.label == "rest" and shown.phase in ("cue", "task")
        )
        if shown.phase == "done":
            self.guide, self._cue, self._progress, self._resting = None, None, None, False
            self.measured.end(bench.next_sample)
            self._free_from = bench.next_sample
            self._notes = [_("The measured check is over. Now the hand may be used freely.")]
            return
        self._cue = cue_state(shown, movement=self.options.movement)
        self._progress = progress_state(shown, _("measured check"))

    def _act(self) -> None:
        """What was pressed, and what follows by itself."""
        pressed = self.screen.actions() if self.person else self._nobody()
        for action in pressed:
            if action == "stop":
                self._stop("screen")
            elif action == "arm":
                self._arm()
            elif action == "disarm":
                self.monitor.disarm()
                self._notes = [_("Disarmed. The hand holds where it is.")]
            elif action == "check":
                self._begin_check()
            elif action in ("quit", "recalibrate"):
                self.monitor.disarm()
                self.ending, self.ended = action, True
        if alarm := self.room.alarm(self.clock_ns() / 1e9):
            self.monitor.disarm()
            self._notes, self.ended = [alarm], True
            self.drift_said.append(alarm)

    def _nobody(self) -> list[str]:
        """Where nobody watches: arm as soon as it can be done, once."""
        if self._wanted or self.monitor.sync().mode != "idle":
            return []
        self._wanted = True
        return ["arm"]

    def _arm(self) -> None:
        if self.clock_ns() - self._stopped_ns < RELEASED_NS:
            self._notes = [_("The STOP key is still held down: let go of it, then arm again.")]
            return
        try:
            arm(self.monitor)
        except (ArmingRefusedError, NotCertifiedError) as err:
            self._wanted = False
            self._notes = [str(err)]
            return
        self._notes = []
        if self._free_from is None and self.guide is None:
            self._begin_check()

    def _begin_check(self) -> None:
        if not self.options.check_trials:
            self._free_from = self.bench.next_sample
        elif self.guide is None:
            self.guide = GuidedCalibration(self._plan, fs_hz=self.fs_hz)
            self.measured.begin(self.bench.next_sample)

    def _stop(self, source: str) -> None:
        """STOP: from any thread, at once."""
        self._stopped_ns = self.clock_ns()
        self.monitor.stop(source)

    def _end_of_time(self) -> None:
        if self._free_from is None:
            return
        minutes = self.options.minutes
        if minutes is None:
            minutes = math.inf if self.person else 0.0
        if (self.bench.next_sample - self._free_from) / self.fs_hz >= minutes * 60.0:
            self.ended = True

    # ---- what is shown

    def _show(self) -> None:
        view = self.monitor.state()
        state: dict[str, Any] = {
            "hand": hand_state(view),
            **decision_state(self.loop.policy.evidence or {}, self.model.policy.threshold),
            "cue": self._cue,
            "progress": self._progress,
            "link": link_state(self.bench.source.statistics),
            "stage": control_stage(view, measured=self._free_from is not None, drifted=bool(self.drift_said)),
            "notes": list(self._notes),
        }
        if self._shown_s - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = self._shown_s
            if electrodes := self.electrodes.look():
                state["electrodes"] = electrode_states(electrodes)
                if self.drift is not None:
                    self.drift.electrodes(electrodes)
            if self.drift is not None:
                found = self.drift.look()
                state["drift"] = found.state
                self.drift_said += [text for text in found.texts if text not in self.drift_said]
        if self.bench.away:
            state["notes"] = [
                _(
                    "The board's cable is out, or its power is off: the hand holds. Put it in again; "
                    "arm when it is back."
                )
            ]
        self.screen.show(**state)
