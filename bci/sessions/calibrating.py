"""The guided calibration of a visit: cues shown and marked, spoilt trials asked again, then an honest result.

`GuidedCalibration` decides what is shown when; here it is fed with the board's sample numbers, the trials are judged,
the decoder is trained on the blocks, and what came of it goes into the visit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from bci.chunks import Chunk, Marker
from bci.language import _, ngettext
from bci.pipeline import Run
from bci.report.visit import CalibrationPart, DroppedTrial, Override, Visit
from bci.sessions.bench import Bench
from bci.sessions.electrodes import left_out_sentence
from bci.sessions.guided import AFTER_S, Asked, CalibrationPlan, GuidedCalibration, Shown, spans_of
from bci.sessions.learning import learn
from bci.sessions.readiness import training_run
from bci.sessions.room import DiskRoom
from bci.sessions.screen import Screen, button, class_word, cue_state, link_state, progress_state, stage
from bci.sessions.store import SessionStore, VisitFolder
from bci.sessions.trial_watch import TrialWatch
from bci.sessions.warm_up import Compiling

__all__ = ["CalibrationOptions", "announce", "calibrate", "result_sentence"]

#: The screens' share: a look at most so often, s of the board's time.
SHOWN_EVERY_S = 0.2
BYTES_PER_SAMPLE = 3.6  # of one channel in a recording, frames and notes included
MIN_TRIALS = 5


@dataclass(frozen=True, slots=True)
class CalibrationOptions:
    """What is asked for.

    Parameters
    ----------
    plan : CalibrationPlan
    movement : {"intended", "executed"}
        Executed by users who can move one hand, intended by those who cannot.
    budget_per_min : float
        False movements per minute that the policy may cost.
    left_out : tuple of str
        Bad electrodes that the decoder does not take.
    override : Override or None
        Who answered for them, where somebody had to.
    """

    plan: CalibrationPlan = field(default_factory=CalibrationPlan)
    movement: str = "intended"
    budget_per_min: float = 1.0
    left_out: tuple[str, ...] = ()
    override: Override | None = None


def announce(options: CalibrationOptions) -> str:
    """What is coming, said beforehand."""
    plan = options.plan
    words = ", ".join(f"“{class_word(label, movement=options.movement)}”" for label in plan.classes)
    said = _(
        "{blocks} blocks of {trials} trials take about {minutes} minutes. Cues: {words}. Between blocks there is "
        "a rest of {rest} s; you can pause at any time."
    ).format(
        blocks=plan.blocks,
        trials=plan.trials_per_class * len(plan.classes),
        minutes=f"{plan.seconds / 60:.0f}",
        words=words,
        rest=f"{plan.timing.between_s:.0f}",
    )
    return " ".join(filter(None, (said, left_out_sentence(options.left_out))))


def calibrate(
    bench: Bench,
    store: SessionStore,
    folder: VisitFolder,
    screen: Screen,
    options: CalibrationOptions,
    *,
    person: bool,
    room: DiskRoom | None = None,
    compiling: Compiling | None = None,
) -> Visit:
    """Run a calibration and write recording, model and result into the visit's folder.

    Parameters
    ----------
    bench : Bench
        Idle.
    store, folder
        Where it goes.
    screen : Screen
    options : CalibrationOptions
    person : bool
        Somebody watches; otherwise nothing is waited for.
    room : DiskRoom, optional
        Default: of the visit's folder.
    compiling : Compiling, optional
        Kernels that are being compiled beside it.

    Returns
    -------
    visit : Visit
        Its `calibration` says whether the hand may be armed, and if not, why and what to try.

    Raises
    ------
    DiskFullError
        Too little room for the recording.
    DeviceError
        The board stopped for good. What was recorded is kept.
    """
    room = room or DiskRoom(folder.path)
    info = bench.info
    room.require(options.plan.seconds * 1.3 * info.fs_hz * info.n_channels * BYTES_PER_SAMPLE / 1e6)
    recording = folder.free("calibration", ".bfp")
    notes = {"what": "guided calibration", "movement": options.movement, "left_out": list(options.left_out)}
    bench.record(recording, notes)
    bench.watch_contact()
    session = _Guided(bench, screen, options, room, person=person)
    try:
        session.run()
    finally:
        bench.watch_contact(False)
    screen.show(
        stage=stage(_("Calibration"), _("Learning from {n} trials …").format(n=len(session.guide.kept))),
        cue=None,
    )
    statistics = bench.source.statistics
    part = CalibrationPart(
        at_s=store.wall_clock(),
        recording=recording.name,
        classes=options.plan.classes,
        movement=options.movement,
        trials_kept={name: sum(t.label == name for t in session.guide.kept) for name in options.plan.classes},
        dropped=_dropped(session.guide.asked),
        seconds=session.seconds,
        samples=statistics.samples,
        samples_lost=statistics.samples_lost,
        cued={},
        ended=session.ended,
        left_out=options.left_out,
        override=options.override,
    )
    part = _train(part, session, folder, options, store.wall_clock, compiling)
    visit = msgspec.structs.replace(folder.read(), calibration=part)
    store.keep(folder, visit)
    screen.show(stage=stage(_("Calibration"), result_sentence(part)), notes=list(part.advice), progress=None)
    return visit


def result_sentence(part: CalibrationPart) -> str:
    """The result in words: figure, interval and chance, and whether the hand may be armed."""
    if not part.cued:
        return _("Not ready: {why}").format(why=part.refusal)
    low, high = part.cued["interval_95"]
    said = _(
        "{share} of the trials were recognised (95 % {low}–{high}; guessing gives {chance}), "
        "in blocks that were left out."
    ).format(
        share=f"{part.cued['balanced_accuracy']:.0%}",
        low=f"{low:.0%}",
        high=f"{high:.0%}",
        chance=f"{part.cued['chance']:.0%}",
    )
    if not part.ready:
        return said + " " + _("Not ready for control: {why}").format(why=part.refusal)
    return said + " " + _("Ready for control.")


class _Guided:
    """The cued part: feeds the state machine, keeps the signal, judges the trials."""

    def __init__(
        self,
        bench: Bench,
        screen: Screen,
        options: CalibrationOptions,
        room: DiskRoom,
        *,
        person: bool,
    ) -> None:
        self.bench, self.screen, self.options, self.room = bench, screen, options, room
        self.person = person
        self.guide = GuidedCalibration(options.plan, fs_hz=bench.info.fs_hz)
        self.watch = TrialWatch(bench.info, left_out=options.left_out)
        self.blocks: list[list[Chunk]] = [[]]
        self.idle: list[tuple[int, int]] = []  # samples of pauses and rests between blocks
        self.ended = ""
        self.seconds = 0.0
        self._shown_at = -1
        self._judged = 0
        self._notes: list[str] = []

    def run(self) -> None:
        """Until the plan is done, somebody ends it, or it cannot go on."""
        bench = self.bench
        bench.start()
        while bench.next_sample < 0:
            self._take(bench.read(0.1))
        first = bench.next_sample
        shown = self._step(first)
        while shown.phase != "done":
            for event in self._events(shown):
                shown = self._step(bench.next_sample, event)
            if shown.phase == "done":
                break
            wait = 0.5 if shown.until is None else (shown.until - bench.next_sample) / bench.info.fs_hz
            before = bench.next_sample
            self._take(bench.read(min(max(wait, 0.0), 5.0)))
            if shown.phase in ("paused", "between") and bench.next_sample > before:
                self.idle.append((before, bench.next_sample))
            shown = self._step(bench.next_sample)
        bench.stop()
        self.seconds = (bench.next_sample - first) / bench.info.fs_hz

    def _take(self, chunks: Sequence[Chunk]) -> None:
        for chunk in chunks:
            self.blocks[-1].append(chunk)
            self.watch.process(chunk)
            self.screen.signal(chunk)

    def _step(self, sample: int, event: str = "") -> Shown:
        """One step of the machine, and what follows from it for board, trials and screens."""
        guide, bench = self.guide, self.bench
        shown = guide.step(sample, event)
        if shown.mark in self.options.plan.classes:
            bench.cue(shown.mark, task_s=self.options.plan.timing.task_s)
        elif shown.mark == "block":
            bench.mark("block", value=shown.block)
        finished = [trial for trial in guide.asked[self._judged :] if trial.end_sample or trial.spoilt]
        for trial in finished:
            self._judged += 1
            why = trial.spoilt or self.watch.verdict(trial.cue_sample, trial.end_sample)
            if why:
                trial.spoilt = why
                bench.mark("spoilt", value=trial.trial)
        if shown.ends_block and shown.phase == "between":
            bench.stop()
            self.blocks.append([])
            bench.start()
        if (
            self._shown_at < 0
            or shown.mark
            or event
            or sample - self._shown_at >= SHOWN_EVERY_S * guide.fs_hz
        ):
            self._shown_at = sample
            self._show(shown)
        return shown

    def _events(self, shown: Shown) -> list[str]:
        """What happened besides time: keys, the cable, the disk."""
        events = []
        if self.bench.away and shown.phase != "paused":
            self._notes = [
                _("The board's cable is out, or its power is off. Put it in again; it goes on by itself.")
            ]
            events.append("lost")
        elif not self.bench.away and self._notes and shown.phase == "paused":
            self._notes = []
            events.append("resume")
        if alarm := self.room.alarm(time.monotonic()):
            self.ended = alarm
            events.append("quit")
        for action in self.screen.actions():
            if action == "stop":
                events.append("pause")
            elif action in ("pause", "resume", "next"):
                events.append(action)
            elif action == "quit":
                self.ended = _("Ended by the operator.")
                events.append("quit")
        return events

    def _show(self, shown: Shown) -> None:
        told = ngettext("{n} trial will be asked again.", "{n} trials will be asked again.", self._spoilt)
        notes = [*self._notes, *([told.format(n=self._spoilt)] if self._spoilt else [])]
        if shown.pausing:
            notes.insert(0, _("It pauses after this trial."))
        buttons = [button("quit", _("End"))]
        if shown.phase == "paused":
            buttons.insert(0, button("resume", _("Go on")))
        elif shown.phase == "between":
            buttons.insert(0, button("next", _("Next block now")))
        else:
            buttons.insert(0, button("pause", _("Pause")))
        self.screen.show(
            cue=cue_state(shown, movement=self.options.movement),
            progress=progress_state(
                shown, _("trial {done} of {total}").format(done=shown.done, total=shown.total)
            ),
            stage=stage(_("Calibration"), _phase_sentence(shown), *buttons),
            link=link_state(self.bench.source.statistics),
            notes=notes,
        )

    @property
    def _spoilt(self) -> int:
        return sum(bool(t.spoilt) and not t.repeated for t in self.guide.asked)

    def runs(self) -> list[Run]:
        """The blocks as the decoders take them: pauses and spoilt trials are gaps, said to be."""
        info, spans, runs = self.bench.info, self.spans(), []
        for chunks in self.blocks:
            samples = [c for c in chunks if c.n_samples]
            if not samples:
                continue
            first, end = samples[0].first_sample, samples[-1].end_sample
            cues = [Marker(t.cue_sample, t.label) for t in self.guide.kept if first <= t.cue_sample < end]
            run = training_run(info, chunks, spans, cues)
            if cues and run.chunks:
                runs.append(run)
        return runs

    def spans(self) -> tuple[tuple[int, int], ...]:
        """Samples that teach nothing: pauses, and spoilt trials."""
        spoilt = spans_of(self.guide.asked, after_s=AFTER_S, fs_hz=self.bench.info.fs_hz)
        return (*self.idle, *spoilt)

    def blocks_of_samples(self) -> tuple[tuple[int, int], ...]:
        """Where each block lies in the recording."""
        blocks = [[c for c in chunks if c.n_samples] for chunks in self.blocks]
        return tuple((chunks[0].first_sample, chunks[-1].end_sample) for chunks in blocks if chunks)


def _phase_sentence(shown: Shown) -> str:
    match shown.phase:
        case "lead-in":
            return _("Block {block} begins. Sit still, look at the cross.").format(block=shown.block)
        case "rest":
            return _("Look at the cross.")
        case "cue" | "task":
            return _("Do it now, until the pause.") if shown.label != "rest" else _("Rest, until the pause.")
        case "pause":
            return _("Pause. Blink and swallow now.")
        case "between":
            return _("Block {block} is over. Rest.").format(block=shown.block)
        case "paused":
            return _("Paused. Nothing is asked until you go on.")
    return _("That was the last trial.")


def _train(
    part: CalibrationPart,
    session: _Guided,
    folder: VisitFolder,
    options: CalibrationOptions,
    wall_clock: Callable[[], float],
    compiling: Compiling | None,
) -> CalibrationPart:
    """Learn from what counts; a calibration that gives no model says why."""
    if min(part.trials_kept.values()) < MIN_TRIALS:
        told = _(", ").join(
            f"{class_word(k, movement=options.movement)} {n}" for k, n in part.trials_kept.items()
        )
        why = _("Too few trials for a decoder: {counts}; at least {n} of each are needed.").format(
            counts=told, n=MIN_TRIALS
        )
        return msgspec.structs.replace(part, refusal=why, advice=(_("Calibrate again, with a rest before."),))
    part = msgspec.structs.replace(part, blocks=session.blocks_of_samples(), spans=session.spans())
    if compiling is not None:
        compiling.wait_for_training()
    return learn(
        part,
        session.runs(),
        folder,
        task_s=options.plan.timing.task_s,
        budget_per_min=options.budget_per_min,
        issued_s=wall_clock(),
        left_out=options.left_out,
    )


def _dropped(trials: Sequence[Asked]) -> tuple[DroppedTrial, ...]:
    """Trials that do not count, and whether each was asked again."""
    again = sum(trial.repeated for trial in trials)
    dropped = []
    for trial in (trial for trial in trials if trial.spoilt):
        repeated = not trial.repeated and again > 0
        again -= repeated
        dropped.append(DroppedTrial(trial.block, trial.trial, trial.label, trial.spoilt, repeated))
    return tuple(dropped)
