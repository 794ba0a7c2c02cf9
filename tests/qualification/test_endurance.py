"""Hours on the bench: they go on after a crash, need no more memory and disk than minutes, and end with a failure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from bci.acquisition.simulator import parse_bench_fault
from bci.errors import DeviceError, RecordingError
from bci.qualification import bench, pictures
from bci.qualification.attempts import chosen
from bci.qualification.course import KEPT, MOST_POINTS, Course
from bci.qualification.desk import Desk
from bci.qualification.guide import Guide, Stage
from bci.qualification.limits import Limits, shipped_limits
from bci.qualification.measurements import MEASUREMENTS, endurance
from bci.qualification.records import Attempt, Done
from bci.qualification.result import Measurement, Result, Take, Taken
from bci.qualification.rig import Rig
from bci.qualification.store import Batch
from tests.qualification.made_up import Answers, measurement, result, short
from tests.qualification.test_store import FACTS

LIMITS = shipped_limits()


class Judge:
    """Judges a take by its number; keeps how many takes it was ever given at once."""

    def __init__(self, fails_at: int = 0) -> None:
        self.fails_at, self.most = fails_at, 0
        self.judged: list[int] = []

    def __call__(self, takens: Sequence[Taken], limits: Limits) -> list[Result]:
        number = int(takens[-1].take.name)
        self.most = max(self.most, len(takens))
        self.judged.append(number)
        assert takens[0].take.name == "1"
        failed = number == self.fails_at
        return [
            result(
                value=float(number), verdict="fail" if failed else "pass", reason="Gone." if failed else ""
            )
        ]


def hours(n_takes: int, judge: Judge) -> Measurement:
    takes = [replace(short(str(k + 1), seconds=0.1), after_s=60.0 * k) for k in range(n_takes)]
    return measurement("hours", *takes, evaluate=judge, until_failure=True)


class Bench:
    """A rig without a board: each take is a file that holds its name, and passes in no time."""

    simulated = True

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._desk = Desk(seed=1)
        self._plain = self._desk.take(short())
        monkeypatch.setattr(bench, "Unbroken", lambda rig, **_more: self)
        monkeypatch.setattr(bench, "taken_from", self._taken_from)
        monkeypatch.setattr(pictures, "as_svg", lambda *_: "<svg/>")

    @contextmanager
    def open(self, record_to: Path | None, notes: Mapping[str, Any]) -> Iterator[Any]:
        yield SimpleNamespace(info=self._plain.info)

    def close(self) -> None:
        pass

    def record(self, take: Take, path: Path, *, heard: Any, stopped: Any) -> bool:
        path.write_text(take.name)
        heard(take.seconds)
        return not stopped()

    def _taken_from(self, path: Path, take: Take) -> Taken:
        if not path.is_file():
            raise RecordingError("gone", path=path)
        assert path.read_text() == take.name
        return replace(self._plain, take=take)


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def run(
    batch: Batch, board: Bench, what: Measurement, operator: Answers, attempt: Attempt | None = None
) -> tuple[Attempt, Done]:
    started = attempt or batch.begin("SN1", [what.name], **FACTS)
    ended = bench.qualify(batch, started, [what], LIMITS, cast(Rig, board), operator)
    return ended, batch.measurements(ended)[0]


def recordings(folder: Path) -> list[str]:
    return sorted(
        (path.name for path in folder.glob("**/hours-*.bfp")), key=lambda name: int(name[6:].split(".")[0])
    )


def test_hours_keep_the_first_take_the_last_ones_and_the_course(board: Bench, tmp_path: Path) -> None:
    judge, n = Judge(), KEPT + 5
    with Batch(tmp_path, create=True) as batch:
        attempt, done = run(batch, board, hours(n, judge), Answers())
    assert attempt.verdict == "pass"
    assert judge.most == 2
    kept = [1, *range(n - KEPT + 1, n + 1)]
    assert recordings(tmp_path) == [f"hours-{k}.bfp" for k in kept]
    assert [Path(name).name for name in done.files] == recordings(tmp_path)
    course = Course(tmp_path / "boards/SN1/1", "hours").results()
    assert [r.value for r in course] == [float(k) for k in range(1, n + 1)]
    assert [int(r.facts["minutes"]) for r in course] == list(range(n))


def test_a_failure_ends_the_hours(board: Bench, tmp_path: Path) -> None:
    with Batch(tmp_path, create=True) as batch:
        attempt, done = run(batch, board, hours(9, Judge(fails_at=3)), Answers())
    assert attempt.verdict == "fail"
    assert recordings(tmp_path) == ["hours-1.bfp", "hours-2.bfp", "hours-3.bfp"]
    assert [r.reason for r in done.results] == ["Gone."]


@pytest.mark.parametrize("ending", ["pulled out", "killed"])
def test_hours_go_on_where_they_were_interrupted(board: Bench, tmp_path: Path, ending: str) -> None:
    class Breaks(Answers):
        def show(self, guide: Guide) -> None:
            super().show(guide)
            if guide.take == 3:
                raise DeviceError("gone", port="x") if ending == "pulled out" else RuntimeError("kill -9")

    with Batch(tmp_path, create=True) as batch:
        attempt = batch.begin("SN1", ["hours"], **FACTS)
        with pytest.raises((DeviceError, RuntimeError)):
            run(batch, board, hours(5, Judge()), Breaks(), attempt)
        open_now = batch.board("SN1").open
        assert open_now is not None
        judge, operator = Judge(), Answers()
        ended, done = run(batch, board, hours(5, judge), operator, open_now)
    assert ended.verdict == "pass"
    assert judge.judged[0] == 3  # the last one that was written down; nothing before it is recorded again
    measured = [guide for guide in operator.seen if guide.stage == Stage.MEASURE and guide.signal_s]
    assert {guide.take for guide in measured} == {3, 4}
    assert sum(take.seconds for take in operator.seen[0].plan[0].takes) == pytest.approx(1.0)
    assert [guide.done_s for guide in measured] == [pytest.approx(0.7), pytest.approx(0.9)]
    assert done.results[0].value == 5.0


def test_a_failure_that_was_written_down_before_the_crash_is_not_tried_again(
    board: Bench, tmp_path: Path
) -> None:
    with Batch(tmp_path, create=True) as batch:
        attempt = batch.begin("SN1", ["hours"], **FACTS)

        class Breaks(Answers):
            def show(self, guide: Guide) -> None:
                if guide.stage == Stage.JUDGE:
                    raise RuntimeError("kill -9")

        with pytest.raises(RuntimeError):
            run(batch, board, hours(5, Judge(fails_at=2)), Breaks(), attempt)
        ended, _done = run(batch, board, hours(5, Judge(fails_at=2)), Answers(), batch.attempt(attempt.id))
    assert ended.verdict == "fail"
    assert recordings(tmp_path) == ["hours-1.bfp", "hours-2.bfp"]


def test_without_its_recordings_a_course_begins_anew(board: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "boards/SN1/1"
    folder.mkdir(parents=True)
    Course(folder, "hours").add(short("1"), folder / "hours-1.bfp", [result()])
    with Batch(tmp_path, create=True) as batch:
        judge = Judge()
        _ended, done = run(batch, board, hours(2, judge), Answers())
    assert judge.judged[:2] == [1, 2]
    assert len(done.files) == 2


def test_a_line_that_was_left_half_written_is_cut_off(tmp_path: Path) -> None:
    course = Course(tmp_path, "hours")
    for k in range(3):
        course.add(
            Take(str(k), 60.0, after_s=60.0 * k), tmp_path / f"hours-{k}.bfp", [result(value=float(k))]
        )
    path = tmp_path / "hours.course.jsonl"
    assert path.stat().st_mode & 0o077 == 0
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:17])
    again = Course(tmp_path, "hours")
    assert len(again) == 3
    assert path.read_bytes() == whole
    assert [r.value for r in again.results()] == [0.0, 1.0, 2.0]


def test_a_week_is_drawn_with_as_many_points_as_a_picture_shows(tmp_path: Path) -> None:
    course = Course(tmp_path, "hours")
    course._lines = [{"minutes": float(k), "file": "x", "values": [["t", None, 0.0]]} for k in range(10_080)]
    assert MOST_POINTS / 2 < len(course.results()) <= MOST_POINTS


# ---- the measurement itself ----------------------------------------------------------------------------------


def test_endurance_is_part_of_a_run_when_hours_are_asked_for() -> None:
    assert "endurance" not in [m.name for m in chosen(MEASUREMENTS)]
    with_hours = chosen(MEASUREMENTS, hours=0.5)
    assert [m.name for m in with_hours][-1] == "endurance"
    assert len(with_hours) == len(chosen(MEASUREMENTS)) + 1
    alone = chosen(MEASUREMENTS, only=["endurance"], hours=0.5)
    assert [(m.name, len(m.takes(8))) for m in alone] == [("endurance", 30)]
    assert [len(m.takes(8)) for m in chosen(MEASUREMENTS, only=["endurance"])] == [240]


def test_the_sentence_and_the_picture_tell_the_minutes() -> None:
    desk, measured = Desk(seed=2), endurance(1.0)
    takes = measured.takes(8)
    first = desk.take(takes[0])
    desk._front_end.fault(parse_bench_fault("gain:ch4:+0.5%"))
    last = desk.take(takes[36])
    results = measured.evaluate([first, last], LIMITS)
    (failed,) = [r for r in results if r.verdict == "fail"]
    assert failed.reason == "Gain of ch4 changed by +0.50 % within 37 min."
    history: list[Any] = measured.evaluate([first], LIMITS)
    figure = measured.picture([first, last], [*history, *results])
    (line,) = [line for line in figure.axes[0].lines if line.get_label() == "ch4"]
    np.testing.assert_allclose(np.asarray(line.get_xdata()), [1.0, 37.0])
    np.testing.assert_allclose(np.asarray(line.get_ydata()), [0.0, 0.5], atol=0.02)
