"""Evaluation on runs not seen: folds, rivals on the same trials, learning curve, courses and patterns."""

from __future__ import annotations

import numpy as np
import pytest

from bci.errors import LabelError, TooFewRunsError
from bci.evaluation import balanced_accuracy
from bci.pipeline import (
    Evaluation,
    Fold,
    Run,
    choose_folds,
    evaluate,
    learning_curve,
    score_cued,
    shuffled_within_runs,
    train,
)
from tests.pipeline.synthetic import make_run

LABELS = ("grasp", "rest")
FEW_BANDS = {"bands_hz": ((8.0, 30.0), (8.0, 12.0))}


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    """Weaker than elsewhere, so that decoders err and differ."""
    return [make_run(seed=seed, first_sample=seed * 100_000, depth=0.15) for seed in range(4)]


@pytest.fixture(scope="module")
def found(runs: list[Run]) -> Evaluation:
    return evaluate(runs, labels=LABELS, folds=[Fold((0, 1), (2, 3))], budget_per_min=3.0, **FEW_BANDS)


def test_folds_leave_each_run_or_each_session_out_once() -> None:
    assert choose_folds(3) == [Fold((1, 2), (0,)), Fold((0, 2), (1,)), Fold((0, 1), (2,))]
    by_day = choose_folds(4, sessions=["mon", "mon", "tue", "wed"])
    assert by_day == [Fold((2, 3), (0, 1)), Fold((0, 1, 3), (2,)), Fold((0, 1, 2), (3,))]
    assert choose_folds(4, train=[0, 1], test=[3]) == [Fold((0, 1), (3,))]


def test_folds_that_would_deceive_are_refused_with_the_reason() -> None:
    with pytest.raises(TooFewRunsError, match="measure its drift"):
        choose_folds(1)
    with pytest.raises(TooFewRunsError, match="at least 2 sessions"):
        choose_folds(3, sessions=["mon"] * 3)
    with pytest.raises(LabelError, match="run 2 trains and tests"):
        choose_folds(3, train=[0, 1], test=[1])
    with pytest.raises(LabelError, match="no run 5 among 3"):
        choose_folds(3, train=[0], test=[4])
    with pytest.raises(LabelError, match="training and test runs are needed"):
        choose_folds(3, train=[0])


def test_the_default_scores_what_training_and_scoring_by_hand_score(
    found: Evaluation, runs: list[Run]
) -> None:
    model = train(runs[:2], labels=LABELS, budget_per_min=3.0, **FEW_BANDS)
    score = score_cued(model, runs[2:])
    default = found.cued["default"]
    assert default.labels.tolist() == score.labels.tolist()
    np.testing.assert_array_equal(default.probabilities, score.probabilities)
    assert found.balanced_accuracy == balanced_accuracy(score.labels, score.predicted)
    assert set(default.per_run) == {2, 3}
    assert default.interval.low < default.balanced_accuracy < default.interval.high


def test_every_decoder_answers_the_same_trials(found: Evaluation) -> None:
    assert list(found.cued) == [
        *("default", "default, not adapted", "motor channels", "TS + LR", "CSP + LDA"),
    ]
    default = found.cued["default"]
    for one in found.cued.values():
        assert one.labels.tolist() == default.labels.tolist()
        assert one.runs.tolist() == default.runs.tolist()
        assert one.balanced_accuracy > one.chance_threshold > one.chance == 0.5
        assert 0.0 <= one.brier_score < 0.5
        assert one.log_loss < np.log(2)
    gain = found.against("TS + LR")
    expected = default.balanced_accuracy - found.cued["TS + LR"].balanced_accuracy
    assert gain.difference == pytest.approx(expected, abs=1e-12)
    assert gain.interval.low <= gain.difference <= gain.interval.high


def test_control_is_counted_over_whole_runs_and_apart(found: Evaluation) -> None:
    assert found.control is not None
    assert found.refusals == ()
    assert set(found.control_per_run) == {2, 3}
    assert found.control.n_events == sum(s.n_events for s in found.control_per_run.values()) == 16
    assert found.control.true_positive_rate > found.control.blind_true_positive_rate


def test_the_probability_rises_after_the_cue_of_a_movement_and_not_after_rest(found: Evaluation) -> None:
    late = (found.course_s > 2.5) & (found.course_s < 4.0)
    before = found.course_s < -0.5
    grasp, rest = found.courses["grasp"], found.courses["rest"]
    assert grasp.shape == rest.shape == (16, len(found.course_s))
    assert np.nanmean(grasp[:, late]) > np.nanmean(grasp[:, before]) + 0.2
    assert np.nanmean(grasp[:, late]) > np.nanmean(rest[:, late]) + 0.2


def test_patterns_point_at_the_channel_where_the_rhythm_is(found: Evaluation) -> None:
    assert list(found.patterns) == ["8–30 Hz", "8–12 Hz"]
    pattern = found.patterns["8–12 Hz"]
    assert found.channels[int(np.argmax(np.abs(pattern)))] == "C3"
    assert found.channels[int(np.argmax(found.weighed_pattern))] == "C3"


def test_leaving_runs_out_in_turn_scores_every_trial_once(runs: list[Run]) -> None:
    seen = []
    result = evaluate(
        runs[:3],
        labels=LABELS,
        rivals=("TS + LR",),
        control=False,
        progress=lambda done, total: seen.append((done, total)),
        **FEW_BANDS,
    )
    assert result.control is None
    assert len(result.cued["default"].labels) == 48
    assert sorted(set(result.cued["TS + LR"].runs.tolist())) == [0, 1, 2]
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_a_learning_curve_trains_on_the_first_trials_and_tests_on_the_same_ones(runs: list[Run]) -> None:
    fold = Fold((0, 1), (2,))
    curve = learning_curve(runs, labels=LABELS, fold=fold, trials_per_class=(10, 16, 99), **FEW_BANDS)
    assert list(curve) == [10, 16]  # 16 of each class are all there are
    whole = evaluate(runs, labels=LABELS, folds=[fold], rivals=(), control=False, **FEW_BANDS)
    np.testing.assert_array_equal(curve[16].probabilities, whole.cued["default"].probabilities)
    assert curve[10].labels.tolist() == curve[16].labels.tolist()


def test_an_unknown_rival_is_named(runs: list[Run]) -> None:
    with pytest.raises(LabelError, match="TS \\+ LR, CSP \\+ LDA"):
        evaluate(runs[:2], labels=LABELS, rivals=("magic",), control=False, **FEW_BANDS)


def test_shuffled_folds_are_had_by_their_name_alone_and_test_every_trial_once(runs: list[Run]) -> None:
    parts, folds = shuffled_within_runs(runs[:2], labels=LABELS, n_folds=4)
    assert len(folds) == 4
    tested = [m.sample_index for fold in folds for i in fold.testing for m in parts[i].markers]
    assert sorted(tested) == sorted(m.sample_index for run in runs[:2] for m in run.markers)
    for fold in folds:
        train_cues, test_cues = ({m.sample_index for i in part for m in parts[i].markers} for part in fold)
        assert len(train_cues) + len(test_cues) == 32
        assert not train_cues & test_cues
    result = evaluate(parts, labels=LABELS, folds=folds, rivals=(), control=False, **FEW_BANDS)
    assert len(result.cued["default"].labels) == 32
    with pytest.raises(LabelError, match="at least 2 folds"):
        shuffled_within_runs(runs, labels=LABELS, n_folds=1)
