"""A board's way over the bench: each measurement is recorded, judged from its recording, and stored.

Rules
-----
- Every take is a recording of its own below `boards/<serial>/<attempt>/`; verdicts rest on that file and nothing else.
- A measurement is stored when it is judged, whole. What was being recorded when the board was pulled out, the program
  killed or Esc pressed is left out; everything before stays. An attempt that lost its board stays open and goes on at
  the measurement where it stopped; a measurement of hours goes on at its take (`Course`).
- Sentences are kept in every language, so that a sheet can be printed for whoever reads it.
- Who answers and what connects things is given (`Operator`, `Rig`), and so are the clocks.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Protocol

from bci.errors import BudgetError, DeviceRefusedError, RecordingError
from bci.language import LANGUAGES, _, language, speaking
from bci.qualification.course import Course
from bci.qualification.figures import sentences
from bci.qualification.guide import (
    Abort,
    Event,
    Guide,
    Judged,
    Progress,
    Resumed,
    Stage,
    TakeDone,
    begin,
    plan,
    step,
)
from bci.qualification.limits import Limits
from bci.qualification.pictures import keep_picture
from bci.qualification.records import Attempt, verdict_of
from bci.qualification.result import Measurement, Result, Taken
from bci.qualification.rig import Rig, record, same_board
from bci.qualification.store import Batch
from bci.qualification.taken import taken_from
from bci.qualification.unbroken import Unbroken
from bci.qualification.whole_files import make_folder

__all__ = ["Operator", "attempt_folder", "qualify"]

MOST_SENTENCES = 3  # about one measurement; the sheet has them all


class Operator(Protocol):
    """Whoever stands at the bench."""

    def show(self, guide: Guide) -> None:
        """Something has changed, or a tenth of a second has passed."""

    def answer(self, guide: Guide) -> Event:
        """Wait for one of `guide.answers`."""

    def stopped(self) -> bool:
        """Esc was pressed."""


def attempt_folder(batch: Batch, attempt: Attempt) -> Path:
    """Where recordings, pictures and the sheet of an attempt lie."""
    return batch.folder / "boards" / attempt.serial / str(attempt.number)


def qualify(
    batch: Batch,
    attempt: Attempt,
    measurements: Sequence[Measurement],
    limits: Limits,
    rig: Rig,
    operator: Operator,
    *,
    clock_s: Callable[[], float] = time.monotonic,
    wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Attempt:
    """Go through what is still planned of an attempt.

    Parameters
    ----------
    measurements : sequence of Measurement
        In the order wanted; those that are done already are passed over.

    Returns
    -------
    attempt : Attempt
        Finished, or aborted by the operator.

    Raises
    ------
    DeviceError
        If the board cannot be opened, is lost, or another one was put in; the attempt stays open.
    BenchRecordError, RecordingError
        If batch or recordings cannot be written; the attempt stays open.
    """
    planned = {done.name for done in batch.measurements(attempt) if not done.done}
    todo = [m for m in measurements if m.name in planned]
    with rig.open(None, {}) as source:  # who is there, before anybody is asked to connect something
        n_channels = source.info.n_channels
        same_board(rig, source, attempt.device)
        device = source.info.device
    batch.met(attempt, device)
    bench = _Bench(batch, batch.attempt(attempt.id), limits, rig, operator, n_channels, clock_s)
    guide = begin(plan(todo, n_channels))
    while not guide.over:
        guide = bench.run(todo[guide.at], guide)
    operator.show(guide)
    at = wall_clock().isoformat(timespec="seconds")
    if guide.stage == Stage.ABORTED:
        return batch.abort(attempt, _("The operator stopped it."), at=at)
    return batch.finish(attempt, at=at)


class _Bench:
    """Everything that does not change from one measurement to the next."""

    def __init__(
        self,
        batch: Batch,
        attempt: Attempt,
        limits: Limits,
        rig: Rig,
        operator: Operator,
        n_channels: int,
        clock_s: Callable[[], float],
    ) -> None:
        self._batch, self._attempt, self._limits = batch, attempt, limits
        self._rig, self._operator, self._clock_s = rig, operator, clock_s
        self._n_channels = n_channels
        self._folder = attempt_folder(batch, attempt)
        make_folder(self._folder, below=batch.folder)

    def run(self, measurement: Measurement, guide: Guide) -> Guide:
        """One measurement, as often as the operator wants it; returns the guide at the next one, or over."""
        trial = _Trial(self._clock_s())
        if measurement.until_failure:
            guide = self._resumed(measurement, guide, trial)
        line = Unbroken(
            self._rig,
            device=self._attempt.device,
            notes=self._notes(measurement),
            real_time=measurement.real_time,
        )
        with contextlib.closing(line):
            return self._through(measurement, guide, trial, line)

    def _notes(self, measurement: Measurement) -> dict[str, str]:
        return {"serial": self._attempt.serial, "measurement": measurement.name}

    def _through(self, measurement: Measurement, guide: Guide, trial: _Trial, line: Unbroken) -> Guide:
        at = guide.at
        while not guide.over and guide.at == at:
            self._operator.show(guide)
            if guide.stage in (Stage.INSTRUCT, Stage.ASK):
                asked = guide.stage
                guide = step(guide, self._operator.answer(guide))
                if asked == Stage.INSTRUCT and guide.at > at:
                    self._keep(
                        measurement, trial, lambda: [_without(measurement, _("The operator left it out."))]
                    )
            elif guide.stage == Stage.MEASURE:
                if guide.take == 0:
                    trial = _Trial(self._clock_s())
                guide = self._take(measurement, guide, trial, line)
            else:
                line.close()
                results = self._judge(measurement, trial)
                guide = step(guide, Judged(verdict_of(results), _why(results)))
        return guide

    def _take(self, measurement: Measurement, guide: Guide, trial: _Trial, line: Unbroken) -> Guide:
        """Record the present take; the guide after it."""
        take = measurement.takes(self._n_channels)[guide.take]
        path = _free(self._folder, f"{measurement.name}-{guide.take + 1}")
        began_s = self._clock_s()
        watched = guide

        def heard(signal_s: float) -> None:
            nonlocal watched
            watched = step(watched, Progress(signal_s, self._clock_s() - began_s))
            self._operator.show(watched)

        try:
            if measurement.until_failure:
                whole = line.record(take, path, heard=heard, stopped=self._operator.stopped)
            else:
                whole = record(
                    self._rig,
                    take,
                    path,
                    notes=self._notes(measurement),
                    real_time=measurement.real_time,
                    device=self._attempt.device,
                    heard=heard,
                    stopped=self._operator.stopped,
                )
        except (
            DeviceRefusedError,
            BudgetError,
        ) as err:  # this board has no such setting: no fault, no figure
            trial.refused = str(err)
            return step(watched, TakeDone(last=True))
        if not whole:
            return step(watched, Abort())
        taken = taken_from(path, take)
        if not measurement.until_failure:
            trial.files.append(path)
            trial.taken.append(taken)
            return step(watched, TakeDone())
        trial.taken = [*trial.taken[:1], taken]
        results = measurement.evaluate(trial.taken, self._limits)
        course = Course(self._folder, measurement.name)
        course.add(take, path, results)
        trial.files = course.files
        return step(watched, TakeDone(last=verdict_of(results) == "fail"))

    def _resumed(self, measurement: Measurement, guide: Guide, trial: _Trial) -> Guide:
        """Behind the last take that was written down before the program was interrupted."""
        course = Course(self._folder, measurement.name)
        takes = measurement.takes(self._n_channels)[: len(course)]
        if not takes:
            return guide
        try:
            trial.taken = [taken_from(course.files[0], takes[0])]
            if len(takes) > 1:
                trial.taken.append(taken_from(course.files[-1], takes[-1]))
        except RecordingError:  # somebody took them away: nothing to compare with
            course.begin_anew()
            trial.taken = []
            return guide
        trial.files = course.files
        failed = verdict_of(measurement.evaluate(trial.taken, self._limits)) == "fail"
        return step(guide, Resumed(len(takes), last=failed))

    def _judge(self, measurement: Measurement, trial: _Trial) -> list[Result]:
        """Results of what was taken, stored."""
        if trial.refused:
            return self._keep(measurement, trial, lambda: [_without(measurement, trial.refused)])
        results = self._keep(measurement, trial, lambda: measurement.evaluate(trial.taken, self._limits))
        keep_picture(self._folder, measurement, trial.taken, results)
        return results

    def _keep(
        self, measurement: Measurement, trial: _Trial, results_of: Callable[[], list[Result]]
    ) -> list[Result]:
        """Store what a pure function says, its sentences in every language."""
        results = results_of()
        reasons = [{language(): result.reason} if result.reason else {} for result in results]
        for other in LANGUAGES if any(reasons) else ():
            with speaking(other):
                for told, result in zip(reasons, results_of(), strict=True):
                    if told:
                        told[other] = result.reason
        self._batch.keep(
            self._attempt,
            measurement.name,
            results,
            took_s=self._clock_s() - trial.began_s,
            files=[path.relative_to(self._batch.folder).as_posix() for path in trial.files],
            reasons=reasons,
        )
        return results


class _Trial:
    """What came of the present try of a measurement."""

    def __init__(self, began_s: float) -> None:
        self.began_s = began_s
        self.files: list[Path] = []
        self.taken: list[Taken] = []
        self.refused = ""


def _without(measurement: Measurement, why: str) -> Result:
    """A measurement that gave no figure at all."""
    return Result(measurement.name, None, math.nan, "", math.nan, None, None, "not measured", why)


def _why(results: Sequence[Result]) -> str:
    """What the operator is told of a measurement."""
    return " ".join(sentences(results)[:MOST_SENTENCES])


def _free(folder: Path, stem: str) -> Path:
    """A name that no earlier try has: recordings are never overwritten."""
    tries = (folder / (f"{stem}.bfp" if k == 1 else f"{stem}-again{k}.bfp") for k in count(1))
    return next(path for path in tries if not path.exists())
