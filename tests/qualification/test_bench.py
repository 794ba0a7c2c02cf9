"""A board's way over the bench: a simulated board behind a real port, an operator whose answers are on a list."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bci.acquisition import SimulatedBoard, open_source
from bci.acquisition.simulator import Bench
from bci.errors import DeviceError, RecordingError
from bci.qualification.bench import qualify
from bci.qualification.guide import Abort, Again, Go, Guide, Skip, Stage
from bci.qualification.limits import shipped_limits
from bci.qualification.measurements import MEASUREMENTS
from bci.qualification.records import Attempt
from bci.qualification.result import Measurement, Setting, Take
from bci.qualification.rig import SimulatedRig, record
from bci.qualification.store import Batch
from bci.qualification.taken import _wrong, taken_from
from firmware_protocol import LeadOff, Pattern, TestSignal
from firmware_protocol.patterns import pattern_counts
from tests.qualification.made_up import Answers, ClumsyRig, measurement, result, short
from tests.qualification.test_store import FACTS

LIMITS = shipped_limits()
TONE = {"kind": "generator", "frequency_hz": 10.0, "amplitude_uv": 1e4, "mode": "differential"}


def run(
    tmp_path: Path,
    rig: SimulatedRig,
    operator: Answers,
    *measurements: Measurement,
    attempt: Attempt | None = None,
) -> tuple[Attempt, list[Any]]:
    with Batch(tmp_path / "batch", create=True) as batch:
        started = attempt or batch.begin("SN1", [m.name for m in measurements], **FACTS)
        ended = qualify(batch, started, measurements, LIMITS, rig, operator)
        return ended, batch.measurements(ended)


def real(name: str) -> Measurement:
    return next(m for m in MEASUREMENTS if m.name == name)


# ---- what is taken -------------------------------------------------------------------------------------------


def test_a_take_is_what_its_recording_holds_with_the_scale_of_its_own_setting(
    board: SimulatedBoard, tmp_path: Path
) -> None:
    take = Take("a", 1.0, Setting(gain=1, mux=1, rate_hz=500), settle_s=0.2)
    assert record(SimulatedRig(board), take, tmp_path / "a.bfp", notes={}, real_time=False)
    taken = taken_from(tmp_path / "a.bfp", take)
    assert (taken.fs_hz, taken.data_uv.shape) == (500.0, (8, 500))
    assert taken.info.uv_per_count[0] == pytest.approx(4.5e6 / (2**23 - 1))
    assert taken.clock is not None
    assert taken.clock.arrived_ns.size == 0  # as fast as it goes: arrivals say nothing
    assert np.all(np.diff(taken.clock.sample) == taken.clock.n_samples[1:])
    assert taken.wire.n_faults == taken.lost_link == taken.lost_device == 0
    assert taken.wire.n_bytes > 0.9 * taken.n_samples * 8 * 3
    again = taken_from(tmp_path / "a.bfp", take)
    np.testing.assert_array_equal(taken.data_uv, again.data_uv)


def test_after_a_take_the_board_is_idle_and_set_as_it_wakes_up(board: SimulatedBoard, tmp_path: Path) -> None:
    setting = Setting(gain=6, mux=5, test_signal=TestSignal.FAST, lead_off=LeadOff.DC, rate_hz=1000)
    record(SimulatedRig(board), Take("a", 0.2, setting), tmp_path / "a.bfp", notes={}, real_time=False)
    with open_source(board.port, check_pattern=False) as source:
        client = source.client  # type: ignore[attr-defined]
        assert source.info.rate == 250
        assert client.read_registers(0x05, 8) == bytes([0x60] * 8)  # CHnSET: gain 24, electrode
        source.start()  # would be refused as BUSY if it still streamed


def test_damage_on_the_line_is_counted_and_its_samples_are_missing(tmp_path: Path) -> None:
    take = short(seconds=4.0)
    with SimulatedBoard(Bench(seed=3), speed=0) as damaged:
        rig = SimulatedRig(damaged)
        record(rig, take, tmp_path / "warm.bfp", notes={}, real_time=False)
        damaged.fault("flip", every_bytes=4000, times=6)
        record(rig, take, tmp_path / "a.bfp", notes={}, real_time=False)
    taken = taken_from(tmp_path / "a.bfp", take)
    assert taken.wire.n_faults > 0
    assert taken.lost_link > 0
    assert taken.lost_device == 0
    assert np.isnan(taken.data_uv).any()


@pytest.mark.parametrize("pattern", [Pattern.RAMP, Pattern.PRBS])
def test_each_wrong_sample_of_a_pattern_is_counted(pattern: Pattern) -> None:
    index = np.array([0, 1, 77, 2**31, 2**32 - 1], dtype=np.uint32)
    counts = np.array([pattern_counts(pattern, int(k), 16) for k in index], dtype=np.int32)
    assert _wrong(index, counts, pattern) == 0
    counts[2, 3] ^= 1
    counts[4, 15] ^= 1 << 22
    assert _wrong(index, counts, pattern) == 2


# ---- the way over the bench ----------------------------------------------------------------------------------


def test_measurements_are_recorded_judged_and_stored(board: SimulatedBoard, tmp_path: Path) -> None:
    attempt, done = run(
        tmp_path,
        SimulatedRig(board),
        Answers(),
        measurement("one", short("x"), short("y")),
        measurement("two"),
    )
    assert (attempt.state, attempt.verdict) == ("finished", "pass")
    assert "simulated 3" in attempt.device
    assert [d.name for d in done] == ["one", "two"]
    assert [r.test for r in done[0].results] == ["x", "y"]
    assert [(tmp_path / "batch" / name).is_file() for name in done[0].files] == [True, True]
    assert (tmp_path / "batch/boards/SN1/1/one.en.svg").read_text().startswith("<svg")
    assert done[0].took_s > 0


def test_a_failure_is_told_in_both_languages(board: SimulatedBoard, tmp_path: Path) -> None:
    from bci.language import language

    def judge(takens: Any, limits: Any) -> list[Any]:
        return [result(verdict="fail", reason={"en": "Too high.", "zh": "过高。"}[language()])]

    attempt, _done = run(tmp_path, SimulatedRig(board), Answers(), measurement("one", evaluate=judge))
    assert attempt.verdict == "fail"
    with Batch(tmp_path / "batch") as batch:
        (told,) = batch._row("SELECT reason FROM results")
    assert told == '{"en": "Too high.", "zh": "过高。"}'


def test_a_board_pulled_out_in_the_middle_leaves_the_attempt_open_and_it_goes_on(tmp_path: Path) -> None:
    long = measurement("two", short(seconds=600.0))
    with SimulatedBoard(Bench(seed=3), speed=0) as pulled, Batch(tmp_path / "batch", create=True) as batch:
        attempt = batch.begin("SN1", ["one", "two"], **FACTS)
        rig = SimulatedRig(pulled)

        class Puller(Answers):
            def show(self, guide: Guide) -> None:
                if guide.at == 1 and guide.signal_s > 0.5:
                    pulled.unplug()

        with pytest.raises(DeviceError):
            qualify(batch, attempt, [measurement("one"), long], LIMITS, rig, Puller())
        left = batch.board("SN1").open
        assert left is not None
        assert [d.done for d in batch.measurements(left)] == [True, False]
        first = batch.measurements(left)[0]
        pulled.plug()
        ended = qualify(batch, left, [measurement("one"), measurement("two")], LIMITS, rig, Answers())
        assert ended.verdict == "pass"
        assert batch.measurements(ended)[0] == first  # not measured again
        # the broken one is still there
        assert batch.measurements(ended)[1].files[0].endswith("two-1-again2.bfp")


def test_esc_while_it_streams_aborts_and_puts_the_board_at_rest(
    board: SimulatedBoard, tmp_path: Path
) -> None:
    operator = Answers(stop_when=lambda guide: guide.signal_s > 0.2)
    attempt, done = run(tmp_path, SimulatedRig(board), operator, measurement("one", short(seconds=600.0)))
    assert (attempt.state, attempt.verdict) == ("aborted", "")
    assert not done[0].done
    assert operator.seen[-1].stage == Stage.ABORTED
    with open_source(board.port, check_pattern=False) as source:
        source.start()  # idle: a streaming board refuses START


def test_a_setting_that_the_board_has_not_is_no_fault_of_it(board: SimulatedBoard, tmp_path: Path) -> None:
    odd = measurement("odd", Take("x", 0.2, Setting(gain=5)))
    attempt, done = run(tmp_path, SimulatedRig(board), Answers(), odd, measurement("one"))
    assert attempt.verdict == "not measured"
    assert "refused SET_CHANNEL" in done[0].results[0].reason
    assert done[1].verdict == "pass"


def test_endurance_ends_with_the_first_failed_take(board: SimulatedBoard, tmp_path: Path) -> None:
    takes = [short(str(k)) for k in range(5)]

    def judge(takens: Any, limits: Any) -> list[Any]:
        return [
            result(verdict="fail" if len(takens) == 2 else "pass", reason="Gone." if len(takens) == 2 else "")
        ]

    attempt, done = run(
        tmp_path,
        SimulatedRig(board),
        Answers(),
        measurement("hours", *takes, evaluate=judge, until_failure=True),
    )
    assert attempt.verdict == "fail"
    assert len(done[0].files) == 2


def test_the_operator_is_led_and_may_leave_a_measurement_out(board: SimulatedBoard, tmp_path: Path) -> None:
    toned = measurement("toned", replace(short(), connect=TONE, instruction="Connect it."))
    operator = Answers(Skip(), Go())
    attempt, done = run(tmp_path, SimulatedRig(board), operator, toned, replace(toned, name="toned2"))
    assert [asked for asked, _text in operator.asked] == [Stage.INSTRUCT, Stage.INSTRUCT]
    assert done[0].results[0].reason == "The operator left it out."
    assert done[1].verdict == "pass"
    assert attempt.verdict == "not measured"


def test_no_operator_no_measurement(board: SimulatedBoard, tmp_path: Path) -> None:
    toned = measurement("toned", replace(short(), connect=TONE, instruction="Connect it."))
    attempt, done = run(tmp_path, SimulatedRig(board), Answers(Abort()), toned)
    assert attempt.state == "aborted"
    assert not done[0].done


# ---- clumsy hands --------------------------------------------------------------------------------------------


def test_a_generator_that_is_not_connected_is_said_and_can_be_put_right(
    board: SimulatedBoard, tmp_path: Path
) -> None:
    rig = ClumsyRig(board, lambda what: {"kind": "shorted"})

    class PutsItRight(Answers):
        def answer(self, guide: Guide) -> Any:
            if guide.stage == Stage.ASK:
                rig.mistake = lambda what: what
            return super().answer(guide)

    operator = PutsItRight(Go(), Go(), Again(), Go(), Go())
    attempt, done = run(tmp_path, rig, operator, real("linearity"))
    sentences = [text for stage, text in operator.asked if stage == Stage.ASK]
    assert len(sentences) == 1
    assert "generator" in sentences[0]
    assert attempt.verdict == "pass"
    assert done[0].tries == 2


@pytest.mark.parametrize(
    ("name", "mistake"), [("leads", {"kind": "resistors", "kohm": 10.0}), ("linearity", {"kind": "shorted"})]
)
def test_a_wrong_resistor_or_no_generator_never_fails_a_board(
    board: SimulatedBoard, tmp_path: Path, name: str, mistake: dict[str, Any]
) -> None:
    rig = ClumsyRig(board, lambda what: mistake if what["kind"] in ("resistors", "generator") else what)
    operator = Answers(Go(), Go(), Skip(), Skip())
    attempt, done = run(tmp_path, rig, operator, real(name))
    assert attempt.verdict == "not measured"
    assert {r.verdict for r in done[0].results} <= {"pass", "not measured"}
    assert any(stage == Stage.ASK and text for stage, text in operator.asked)


def test_a_recording_without_a_sample_is_refused(board: SimulatedBoard, tmp_path: Path) -> None:
    with open_source(board.port, record_to=tmp_path / "empty.bfp"):
        pass
    with pytest.raises(RecordingError, match="no sample"):
        taken_from(tmp_path / "empty.bfp", short())
