"""Guided calibration as a pure state machine: sample number and events in, what to show out. No clock, no signal.

A trial is Graz-style: a baseline with a fixation cross, a cue for `cue_s`, the task until `task_s` after the cue, a
pause of drawn length. Blocks hold every class equally often in drawn order. Trials that were spoilt (artefact, loss,
an electrode off, an interruption) are asked again in a block of their own at the end, once.

References
----------
.. [1] Pfurtscheller & Neuper, Proc. IEEE 89(7):1123-1134, 2001: the Graz paradigm. doi:10.1109/5.939829
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bci.errors import DesignError
from bci.language import _

__all__ = ["AFTER_S", "Asked", "CalibrationPlan", "CueTiming", "GuidedCalibration", "Shown", "spans_of"]

#: What is left out after a spoilt trial, s: the movement's end and the rebound after it.
AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class CueTiming:
    """How long each part lasts, s.

    Parameters
    ----------
    lead_in_s : float
        Quiet signal at the beginning of each block, in which filters settle.
    baseline_s : float
        Fixation cross before the cue.
    cue_s : float
        How long the cue is shown; part of the task.
    task_s : float
        From the cue to the end of the task.
    pause_s : (shortest, longest)
        Drawn anew for each trial, so that nothing periodic can be learnt.
    between_s : float
        Rest between two blocks.
    """

    lead_in_s: float = 4.0
    baseline_s: float = 3.0
    cue_s: float = 1.25
    task_s: float = 4.0
    pause_s: tuple[float, float] = (1.5, 3.0)
    between_s: float = 20.0

    def __post_init__(self) -> None:
        low, high = self.pause_s
        if not (0.0 < self.cue_s <= self.task_s <= 30.0 and 0.5 <= low <= high <= 30.0):
            raise DesignError(
                _(
                    "a cue of {cue:g} s in a task of {task:g} s with pauses of {low:g}–{high:g} s is not possible: the "
                    "cue lies within the task, and a pause lasts half a second or more"
                ).format(cue=self.cue_s, task=self.task_s, low=low, high=high)
            )
        if not (self.baseline_s >= 1.0 and self.lead_in_s >= 1.0 and self.between_s >= 0.0):
            raise DesignError(
                _("baseline and lead-in last a second or more, the rest between blocks 0 s or more")
            )

    @property
    def trial_s(self) -> float:
        """Mean length of a trial."""
        return self.baseline_s + self.task_s + sum(self.pause_s) / 2


@dataclass(frozen=True, slots=True)
class CalibrationPlan:
    """What will be asked.

    Parameters
    ----------
    classes : tuple of str
        Cues; "rest" is the one that moves nothing.
    blocks, trials_per_class : int
        Trials of each class in each block.
    timing : CueTiming
    seed : int
        Of the order of trials and the length of pauses.
    """

    classes: tuple[str, ...] = ("rest", "right")
    blocks: int = 4
    trials_per_class: int = 10
    timing: CueTiming = field(default_factory=CueTiming)
    seed: int = 0

    def __post_init__(self) -> None:
        if len(set(self.classes)) < 2 or set(self.classes) <= {"rest"}:
            raise DesignError(
                _("expected two different classes or more, got {classes}").format(
                    classes=_(", ").join(self.classes) or _("none")
                )
            )
        if self.blocks < 1 or self.trials_per_class < 1:
            raise DesignError(_("a calibration has one block and one trial of each class at least"))

    @property
    def n_trials(self) -> int:
        return self.blocks * self.trials_per_class * len(self.classes)

    @property
    def seconds(self) -> float:
        """How long it takes if nothing has to be repeated."""
        t = self.timing
        return self.blocks * t.lead_in_s + self.n_trials * t.trial_s + (self.blocks - 1) * t.between_s


@dataclass(frozen=True, slots=True)
class Shown:
    """What people see from now on.

    Parameters
    ----------
    phase : str
        One of "lead-in", "rest" (baseline), "cue", "task", "pause", "between" (blocks), "paused", "done".
    label : str
        Class that is asked for in "cue" and "task", else "".
    block, trial : int
        Counted from 1; 0 before the first trial of a block.
    left_s : float
        Until this phase ends.
    done, total : int
        Trials that are over, and all that will be.
    total_left_s : float
        Until the end, as far as is known now.
    mark : str
        Marker to set at this very sample: a class with "cue", "spoilt" after a trial that will be repeated, "block"
        where a block begins. "" for none.
    beep : bool
        A sound for people who close their eyes.
    until : int or None
        Sample at which `step` should be called again at the latest; None: only an event goes on.
    ends_block : bool
        The board may stop: a block is over.
    pausing : bool
        It pauses after this trial.
    """

    phase: str
    label: str = ""
    block: int = 0
    trial: int = 0
    left_s: float = 0.0
    done: int = 0
    total: int = 0
    total_left_s: float = 0.0
    mark: str = ""
    beep: bool = False
    until: int | None = None
    ends_block: bool = False
    pausing: bool = False


@dataclass(slots=True)
class Asked:
    """One trial that was begun: its cue's sample, and why it does not count ("" if it does)."""

    block: int
    trial: int
    label: str
    cue_sample: int
    end_sample: int
    spoilt: str = ""
    repeated: bool = False


class GuidedCalibration:
    """Walks through a plan; see `step`.

    Parameters
    ----------
    plan : CalibrationPlan
    fs_hz : float

    Attributes
    ----------
    asked : list of Asked
        Every trial whose cue was shown, in order.
    """

    def __init__(self, plan: CalibrationPlan, *, fs_hz: float) -> None:
        self.plan, self.fs_hz = plan, fs_hz
        self.asked: list[Asked] = []
        rng = np.random.default_rng((plan.seed, 17))
        self._blocks = [
            [str(c) for c in rng.permutation(np.repeat(plan.classes, plan.trials_per_class))]
            for _ in range(plan.blocks)
        ]
        self._pauses = rng.uniform(*plan.timing.pause_s, size=2 * plan.n_trials)
        self._block, self._trial = 0, -1  # of the list; -1 before the first trial
        self._phase = ""
        self._until: int | None = 0
        self._resumes_at = 0
        self._pausing = False
        self._repeating = False
        self._mark = ""
        self._beep = False

    @property
    def done(self) -> bool:
        return self._phase == "done"

    @property
    def kept(self) -> list[Asked]:
        """Trials that count."""
        return [trial for trial in self.asked if not trial.spoilt and trial.end_sample]

    def step(self, sample: int, event: str = "") -> Shown:
        """Go on to `sample`, at which `event` happens.

        Parameters
        ----------
        sample : int
            Conversion number of the next sample; never goes back.
        event : str
            "" time alone; "pause", "resume"; "next" ends the rest between blocks; "quit" ends everything;
            "lost" the board is away (an interruption that "resume" ends); "spoilt: WHY" the trial that runs, or has
            just run, does not count.

        Returns
        -------
        Shown
            The newest state. Call again at `until`, or with the next event.
        """
        self._mark, self._beep = "", False
        ends_block = self._take(sample, event)
        if not self._phase:  # the first call
            self._begin_block(sample)
        elif self._until is not None and sample >= self._until and not ends_block:
            ends_block = self._go_on(sample)
        return self._shown(sample, ends_block)

    # ---- events

    def _take(self, sample: int, event: str) -> bool:
        if event.startswith("spoilt:"):
            self._spoil(event.removeprefix("spoilt:").strip())
        elif event in ("pause", "lost"):
            if event == "lost" and self._phase in ("cue", "task", "pause"):
                self._spoil("lost")
            if event == "pause" and self._phase in ("cue", "task"):
                self._pausing = True  # after this trial
            elif self._phase not in ("paused", "between", "done", ""):
                self._pause()
        elif event == "resume" and self._phase == "paused":
            self._begin_trial_lead(sample)
        elif event == "resume":
            self._pausing = False
        elif event == "next" and self._phase == "between":
            self._until = sample
        elif event == "quit" and self._phase != "done":
            if self._phase in ("cue", "task"):
                self._spoil("interrupted")
            self._phase, self._until = "done", None
            return True
        return False

    def _spoil(self, why: str) -> None:
        if self.asked and self._phase in ("cue", "task", "pause") and not self.asked[-1].spoilt:
            self.asked[-1].spoilt = why

    def _pause(self) -> None:
        if self._phase in ("cue", "task"):
            self.asked[-1].spoilt = self.asked[-1].spoilt or "interrupted"
        self._pausing = False
        if self._phase == "rest":
            self._trial -= 1  # its cue has not come: it is still to be asked
        self._phase, self._until = "paused", None

    # ---- time

    def _go_on(self, sample: int) -> bool:
        t = self.plan.timing
        if self._phase in ("lead-in", "pause"):
            if self._phase == "pause" and self._trial + 1 >= len(self._blocks[self._block]):
                return self._end_block(sample)
            if self._pausing:
                self._pause()
            else:
                self._trial += 1
                self._enter("rest", sample, t.baseline_s)
        elif self._phase == "rest":
            label = self._blocks[self._block][self._trial]
            self.asked.append(
                Asked(self._block + 1, self._trial + 1, label, sample, 0, repeated=self._repeating)
            )
            self._mark, self._beep = label, True
            self._enter("cue", sample, t.cue_s)
        elif self._phase == "cue" and t.task_s > t.cue_s:
            self._enter("task", self.asked[-1].cue_sample, t.task_s)
        elif self._phase in ("cue", "task"):
            self.asked[-1].end_sample = sample
            self._mark = "spoilt" if self.asked[-1].spoilt else ""
            self._enter("pause", sample, float(self._pauses[len(self.asked) % len(self._pauses)]))
        elif self._phase == "between":
            self._block += 1
            self._trial = -1
            self._begin_block(sample)
        return False

    def _begin_block(self, sample: int) -> None:
        self._mark = "block"
        self._enter("lead-in", sample, self.plan.timing.lead_in_s)

    def _begin_trial_lead(self, sample: int) -> None:
        """After an interruption: quiet signal first, then the trial that is due."""
        if self._trial + 1 >= len(self._blocks[self._block]):
            self._enter("pause", sample, 0.0)
        else:
            self._enter("lead-in", sample, self.plan.timing.lead_in_s)

    def _end_block(self, sample: int) -> bool:
        if self._block + 1 >= len(self._blocks) and not self._repeating:
            again = [trial.label for trial in self.asked if trial.spoilt and not trial.repeated]
            if again:
                self._repeating = True
                self._blocks.append(again[: self.plan.trials_per_class * len(self.plan.classes)])
        if self._block + 1 < len(self._blocks):
            self._pausing = False
            self._enter("between", sample, self.plan.timing.between_s)
        else:
            self._phase, self._until = "done", None
        return True

    def _enter(self, phase: str, sample: int, seconds: float) -> None:
        self._phase, self._until = phase, sample + round(seconds * self.fs_hz)

    # ---- what is shown

    def _shown(self, sample: int, ends_block: bool) -> Shown:
        over = len(self.asked) - (self._phase in ("cue", "task"))
        total = sum(len(block) for block in self._blocks)
        if not self._repeating:
            total += sum(bool(trial.spoilt) for trial in self.asked)
        left = 0.0 if self._until is None else max(self._until - sample, 0) / self.fs_hz
        return Shown(
            phase=self._phase,
            label=self.asked[-1].label if self._phase in ("cue", "task") else "",
            block=self._block + 1,
            trial=self._trial + 1,
            left_s=left,
            done=over,
            total=total,
            total_left_s=self._left_s(over, total, left),
            mark=self._mark,
            beep=self._beep,
            until=self._until,
            ends_block=ends_block,
            pausing=self._pausing,
        )

    def _left_s(self, over: int, total: int, left: float) -> float:
        if self._phase == "done":
            return 0.0
        t = self.plan.timing
        to_come = total - over - (self._phase in ("cue", "task"))
        more_blocks = max(len(self._blocks) - self._block - 1, 0)
        begun = self._phase == "rest"
        seconds = left + (to_come - begun) * t.trial_s + more_blocks * (t.lead_in_s + t.between_s)
        if self._phase == "between":
            seconds -= t.between_s
        if begun:
            seconds += t.trial_s - t.baseline_s
        elif self._phase in ("cue", "task"):
            seconds += sum(t.pause_s) / 2 + (t.task_s - t.cue_s if self._phase == "cue" else 0.0)
        return max(seconds, 0.0)


def spans_of(trials: Sequence[Asked], *, after_s: float, fs_hz: float) -> list[tuple[int, int]]:
    """Samples of trials that do not count, from the cue until `after_s` past their end."""
    extra = round(after_s * fs_hz)
    return [(t.cue_sample, max(t.end_sample, t.cue_sample) + extra) for t in trials if t.spoilt]
