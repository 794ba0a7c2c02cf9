"""Offline is online: any cut gives the same bits, and no decision rests on a gap."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.chunks import Chunk, Marker, SignalInfo
from bci.decisions import Prediction
from bci.decoders.frozen import view_covariances
from bci.errors import LabelError, MontageMismatchError, RateMismatchError, ShapeError
from bci.language import speaking
from bci.pipeline import FilterChain, Model, OnlinePipeline, Run, cued_windows, split_runs
from bci.pipeline.windows import say_reason
from tests.pipeline.synthetic import CHANNELS, INFO, make_run, recut, with_loss

CUTS = st.lists(st.integers(1, 999), max_size=40)


def predictions(model: Model, run: Run, *, adapt: bool = True) -> list[Prediction]:
    pipeline = OnlinePipeline(model, run.info, adapt=adapt)
    return [prediction for chunk in run.chunks for prediction in pipeline.step(chunk)]


def damaged(run: Run) -> Run:
    """The same run with a burst of NaN in one channel."""
    (whole,) = run.chunks
    data = whole.data_uv.copy()
    data[1, 1000:1004] = np.nan
    return replace(run, chunks=(replace(whole, data_uv=data),))


@given(cuts=CUTS)
@settings(max_examples=5, deadline=None)
def test_any_cut_of_the_stream_gives_the_same_predictions_bit_for_bit(
    model: Model, runs: list[Run], cuts: list[int]
) -> None:
    run = damaged(runs[2])
    assert predictions(model, recut(run, cuts)) == predictions(model, run)


def test_one_sample_at_a_time_gives_the_same_predictions_bit_for_bit(model: Model) -> None:
    run = make_run(seed=11, trials=2, first_sample=37)
    assert predictions(model, recut(run, range(1000))) == predictions(model, run)


def test_predictions_fall_due_on_multiples_of_the_step_and_name_their_last_sample(
    model: Model, runs: list[Run]
) -> None:
    found = predictions(model, runs[2])
    step = model.timing.step_samples
    ends = [p.sample_index + 1 for p in found]
    first = runs[2].first_sample
    assert ends == list(range(first - first % step + step, runs[2].end_sample + 1, step))
    assert step == 12  # 0.096 s at 125 Hz: never longer than asked for


def test_a_decision_is_the_decoder_on_the_covariances_of_the_cleaned_window(
    model: Model, runs: list[Run]
) -> None:
    """The sliding sums against the plain windows: the same within rounding."""
    run, n = runs[2], model.timing.window_samples
    stage = model.chain.start()
    cleaned = np.concatenate([stage.process(chunk).data_uv for chunk in run.chunks], axis=2)
    assert model.asynchronous is not None
    pipeline = OnlinePipeline(model, run.info, adapt=False)
    valid = [p for chunk in run.chunks for p in pipeline.step(chunk) if p.valid]
    for prediction in valid[::50]:
        end = prediction.sample_index + 1 - run.first_sample
        covs = view_covariances(cleaned[None, :, :, end - n : end], model.asynchronous.views)
        expected, _ = model.asynchronous.predict_proba(covs)
        assert prediction.probabilities == pytest.approx(expected[0], abs=1e-10)


def test_references_follow_the_run_and_say_so(model: Model, runs: list[Run]) -> None:
    pipeline = OnlinePipeline(model, runs[2].info)
    assert pipeline.recentring is not None
    for chunk in runs[2].chunks:
        pipeline.step(chunk)
    moved = [update for update in pipeline.recentring.log if update.weight > 0]
    assert len(moved) > 20
    assert {update.reason for update in pipeline.recentring.log} <= {"", "artefact", "one class only"}
    still = OnlinePipeline(model, runs[2].info, adapt=False)
    assert still.recentring is None


def test_no_decision_rests_on_the_start_of_a_stream(model: Model, runs: list[Run]) -> None:
    found = predictions(model, runs[2])
    n = model.timing.window_samples
    for p in found:
        if p.sample_index + 1 - n < runs[2].first_sample:
            assert not p.valid
            assert p.reason
    assert all(p.valid for p in found if p.sample_index + 1 - n >= runs[2].first_sample + 125)


@pytest.mark.parametrize("lost", [1, 3, 40, 700])
def test_no_decision_rests_on_lost_samples(model: Model, runs: list[Run], lost: int) -> None:
    run = with_loss(runs[2], 5000, lost)
    gap = range(run.first_sample + 5000, run.first_sample + 5000 + lost)
    n = model.timing.window_samples
    touching = [
        p
        for p in predictions(model, run)
        if p.sample_index + 1 > gap.start and p.sample_index + 1 - n < gap.stop
    ]
    assert touching
    assert not any(p.valid for p in touching)
    assert f"{lost} samples were lost" in touching[0].reason or lost > 5
    later = [p for p in predictions(model, run) if p.sample_index > gap.stop + n + 125]
    assert all(p.valid for p in later)


@given(cuts=CUTS, lost=st.sampled_from([2, 300]))
@settings(max_examples=5, deadline=None)
def test_a_gap_gives_the_same_bits_however_what_follows_is_cut(
    model: Model, runs: list[Run], cuts: list[int], lost: int
) -> None:
    run = with_loss(runs[2], 5000, lost)
    head, tail = run.chunks
    edges = sorted({0, tail.n_samples, *(tail.n_samples * cut // 1000 for cut in cuts)})
    pieces = [
        Chunk(tail.data_uv[:, a:b], tail.first_sample + a, lost_before=tail.lost_before if a == 0 else 0)
        for a, b in pairwise(edges)
    ]
    assert predictions(model, replace(run, chunks=(head, *pieces))) == predictions(model, run)


def test_a_nan_spoils_the_windows_that_hold_it_and_no_later_one(model: Model, runs: list[Run]) -> None:
    clean, spoilt = (predictions(model, run, adapt=False) for run in (runs[2], damaged(runs[2])))
    n, nan = model.timing.window_samples, range(runs[2].first_sample + 1000, runs[2].first_sample + 1004)
    for before, after in zip(clean, spoilt, strict=True):
        if nan.start <= after.sample_index and after.sample_index + 1 - n < nan.stop:
            assert not after.valid
        if after.sample_index < nan.start:
            assert after == before
        if after.sample_index + 1 - n > nan.stop + 10 * 125:
            assert after.probabilities == pytest.approx(before.probabilities, abs=1e-6)


def test_a_dead_channel_is_named_and_nothing_is_decided(model: Model, runs: list[Run]) -> None:
    (whole,) = runs[2].chunks
    data = whole.data_uv.copy()
    data[1, 8000:] = data[1, 8000]
    found = predictions(model, replace(runs[2], chunks=(replace(whole, data_uv=data),)))
    late = [p for p in found if p.sample_index - runs[2].first_sample > 8000 + 10 * 125]
    assert late
    assert all(not p.valid and p.reason == "no signal on Cz" for p in late)


def test_a_signal_unlike_training_is_flagged(model: Model, runs: list[Run]) -> None:
    (whole,) = runs[2].chunks
    strong = whole.data_uv.copy()
    strong[4] += 500.0 * np.random.default_rng(0).standard_normal(whole.n_samples)
    usual = [p.outlier for p in predictions(model, runs[2]) if p.valid]
    strange = [
        p.outlier
        for p in predictions(model, replace(runs[2], chunks=(replace(whole, data_uv=strong),)))
        if p.valid
    ]
    assert np.mean(usual) < 0.05
    assert all(strange)


def test_restart_begins_anew_like_the_first_start(model: Model, runs: list[Run]) -> None:
    pipeline = OnlinePipeline(model, INFO)
    for chunk in runs[2].chunks:
        pipeline.step(chunk)
    again = [p for chunk in runs[3].chunks for p in pipeline.step(chunk)]
    assert again == predictions(model, runs[3])


def test_another_rate_or_montage_is_refused_by_name(model: Model) -> None:
    with pytest.raises(RateMismatchError, match=r"250 Hz.*125 Hz") as rate:
        OnlinePipeline(model, SignalInfo(CHANNELS, Fraction(250)))
    assert (rate.value.got_hz, rate.value.expected_hz) == (250.0, 125.0)
    with pytest.raises(MontageMismatchError, match=r"needs F3.*has Oz"):
        OnlinePipeline(model, SignalInfo((*CHANNELS[:-1], "Oz"), Fraction(125)))
    with pytest.raises(MontageMismatchError, match="come as F3 Pz"):
        OnlinePipeline(model, SignalInfo(CHANNELS[::-1], Fraction(125)))
    with pytest.raises(ShapeError):
        OnlinePipeline(model, INFO).step(Chunk(np.zeros((3, 10)), 0))


@given(cuts=CUTS)
@settings(max_examples=10, deadline=None)
def test_cued_windows_have_the_same_bits_however_a_run_was_cut(runs: list[Run], cuts: list[int]) -> None:
    chain = FilterChain.design(INFO)
    whole = cued_windows(runs[:1], chain, labels=("grasp", "rest"))
    pieces = cued_windows([recut(runs[0], cuts)], chain, labels=("grasp", "rest"))
    assert whole.data_uv.tobytes() == pieces.data_uv.tobytes()
    assert whole.data_uv.shape == (16, 5, 375)


def test_a_cued_window_is_the_live_signal_after_its_cue(runs: list[Run]) -> None:
    chain = FilterChain.design(INFO)
    stage = chain.start()
    live = np.concatenate(
        [stage.process(chunk).data_uv for chunk in recut(runs[1], range(0, 1000, 7)).chunks], axis=2
    )
    found = cued_windows(runs[1:2], chain, labels=("grasp",), window_s=(1.0, 2.0))
    cue = next(m.sample_index for m in runs[1].markers if m.label == "grasp") - runs[1].first_sample
    assert found.bands_uv[0].tobytes() == live[:, :, cue + 125 : cue + 250].tobytes()
    assert (found.data_uv == found.bands_uv[:, 0]).all()


def test_cues_without_a_whole_clean_window_are_dropped_with_the_reason(runs: list[Run]) -> None:
    cue = runs[0].markers[3].sample_index - runs[0].first_sample
    run = with_loss(runs[0], cue + 200, 3)
    run = replace(run, markers=(*run.markers, Marker(run.end_sample - 100, "rest")))
    found = cued_windows([run], FilterChain.design(INFO), labels=("grasp", "rest"))
    assert len(found.labels) == 15
    assert [(m.sample_index - run.first_sample, reason) for m, reason in found.dropped] == [
        (cue, "3 samples were lost and bridged by a line"),
        (run.end_sample - 100 - run.first_sample, "the run ends before the window does"),
    ]


def test_an_unknown_label_is_refused_with_those_that_are_there(runs: list[Run]) -> None:
    with pytest.raises(LabelError, match=r"no cue left.*found grasp, rest") as caught:
        cued_windows(runs[:1], FilterChain.design(INFO), labels=("left", "rest"))
    assert caught.value.found == ("grasp", "rest")


def test_a_stream_is_split_at_every_start_and_a_late_marker_goes_where_its_sample_lies() -> None:
    data = np.zeros((5, 100))
    late = Marker(90, "rest")
    chunks = [
        Chunk(data, 0, restart=True, markers=(Marker(10, "grasp"),)),
        Chunk(data, 200, restart=True, markers=(late, Marker(250, "grasp"))),
        Chunk(data, 300),
    ]
    first, second = split_runs(INFO, chunks)
    assert [m.sample_index for m in first.markers] == [10, 90]
    assert [m.sample_index for m in second.markers] == [250]
    assert (len(first.chunks), len(second.chunks), second.end_sample) == (1, 2, 400)
    assert second.duration_s == pytest.approx(200 / 125)


def test_a_board_that_was_reset_counts_anew_and_the_run_before_keeps_its_length_and_its_markers() -> None:
    data, nothing = np.zeros((5, 100)), np.zeros((5, 0))
    chunks = [
        Chunk(data, 2000, restart=True, markers=(Marker(2010, "grasp"),)),
        Chunk(data, 2100, markers=(Marker(2150, "rest"),)),
        Chunk(nothing, 0),  # the news of the reset
        Chunk(data, 0, restart=True, markers=(Marker(30, "grasp"),)),
        Chunk(data, 3000, restart=True, markers=(Marker(80, "rest"), Marker(3010, "grasp"))),
    ]
    runs = split_runs(INFO, chunks)
    assert [(run.first_sample, run.end_sample) for run in runs] == [(2000, 2200), (0, 100), (3000, 3100)]
    assert [[m.sample_index for m in run.markers] for run in runs] == [[2010, 2150], [30, 80], [3010]]


def test_every_reason_of_a_window_is_said_in_chinese_too_and_kept_in_english(
    model: Model, runs: list[Run]
) -> None:
    flat = runs[2].chunks[0].data_uv.copy()
    flat[2] = 0.0
    whole = replace(runs[2], chunks=(replace(runs[2].chunks[0], data_uv=flat),))
    found = {
        p.reason
        for run in (with_loss(runs[2], 1000, 3), with_loss(runs[2], 1000, 300), damaged(runs[2]), whole)
        for p in predictions(model, run)
        if not p.valid
    }
    assert len(found) == 5, found
    for reason in found:
        assert say_reason(reason) == reason
        with speaking("zh"):
            assert not any(word in say_reason(reason) for word in ("the", "samples", "signal", "held")), (
                reason
            )
