"""Training: honest numbers, no certificate by chance, clear refusals."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from bci.chunks import SignalInfo
from bci.errors import (
    DesignError,
    LabelError,
    NotCertifiedError,
    ShapeError,
    TooFewRunsError,
    TooFewTrialsError,
)
from bci.evaluation import balanced_accuracy, chance_threshold
from bci.pipeline import (
    Model,
    OnlinePipeline,
    Run,
    certify,
    model_digest,
    score_control,
    score_cued,
    train,
)
from tests.pipeline.synthetic import CHANNELS, make_run, recut

LABELS = ("grasp", "rest")


def test_runs_never_trained_on_are_decoded_well_above_chance(model: Model, runs: list[Run]) -> None:
    score = score_cued(model, runs[2:])
    assert score.n_trials == 32
    assert score.balanced_accuracy > 0.85
    assert score.interval.low > score.chance_level == 0.5
    assert score.chance_threshold == chance_threshold(32)
    assert score.balanced_accuracy_motor > 0.8
    assert score.probabilities.shape == (32, 2)


def test_the_hand_follows_cues_with_few_false_movements(model: Model, runs: list[Run]) -> None:
    score = score_control(model, runs[2:])
    assert score.n_events == 16
    assert score.true_positive_rate > max(0.5, score.blind_true_positive_rate)
    assert score.false_positives_per_min < 3.0
    assert 0.5 < score.latency_s_median < 4.5
    assert score.idle_s + score.hit_window_s == pytest.approx(sum(run.duration_s for run in runs[2:]))


def test_validation_says_what_left_out_runs_showed(model: Model) -> None:
    validation = model.validation
    assert validation.refusal == ""
    assert validation.balanced_accuracy is not None
    assert validation.low is not None
    assert 0.5 < validation.low < validation.balanced_accuracy <= 1.0
    assert validation.control is not None
    assert validation.control.n_events == 16
    assert validation.policy_variants > 1
    assert model.training.trials == {"grasp": 16, "rest": 16}
    assert model.motor_channels == ("C3", "Cz", "C4", "F3")


def test_a_certificate_speaks_for_this_model_and_montage(model: Model) -> None:
    certificate = certify(model)
    assert certificate.model == model_digest(model)
    assert certificate.channels == CHANNELS
    assert certificate.refusal(1000.0, model=model_digest(model), channels=CHANNELS) == ""
    assert "run out" in certificate.refusal(1000.0 + 13 * 3600)
    other = replace(model, cued=replace(model.cued, clip=9.0))
    assert "another model" in certificate.refusal(1000.0, model=model_digest(other))
    with pytest.raises(NotCertifiedError, match="states no time"):
        certify(replace(model, validation=replace(model.validation, issued_s=None)))


def test_a_signal_without_intent_is_never_certified() -> None:
    nothing = [make_run(seed=seed, trials=12, depth=0.0) for seed in (20, 21)]
    model = train(nothing, labels=LABELS, issued_s=0.0)
    assert "not shown to beat chance" in model.validation.refusal
    with pytest.raises(NotCertifiedError, match="beat chance"):
        certify(model)


def test_one_run_trains_but_says_that_nothing_validates_it(runs: list[Run]) -> None:
    model = train(runs[:1], labels=LABELS, issued_s=0.0)
    assert score_cued(model, runs[2:]).balanced_accuracy > 0.8
    assert model.validation.balanced_accuracy is None
    assert "at least 2 runs" in model.validation.refusal
    with pytest.raises(NotCertifiedError, match="at least 2 runs"):
        certify(model)


def test_a_run_without_one_of_the_classes_leaves_nothing_to_validate(runs: list[Run]) -> None:
    lacking = replace(runs[1], markers=tuple(m for m in runs[1].markers if m.label == "rest"))
    model = train([runs[0], lacking], labels=LABELS)
    assert (
        "record every class in every run" in model.validation.refusal
        or "2 classes" in model.validation.refusal
    )


def test_validation_of_cued_trials_never_saw_their_run(model: Model, runs: list[Run]) -> None:
    """What a model trained on the one run says of the other, both ways, is the validation."""
    scores = [score_cued(train([runs[i]], labels=LABELS, control=False), [runs[1 - i]]) for i in (0, 1)]
    labels = np.concatenate([score.labels for score in scores])
    predicted = np.concatenate([score.predicted for score in scores])
    assert model.validation.balanced_accuracy == balanced_accuracy(labels, predicted)


def test_a_decoder_of_cued_windows_alone_trains_without_control_and_runs_no_hand(runs: list[Run]) -> None:
    model = train(runs[:2], labels=LABELS, control=False)
    assert model.asynchronous is None
    assert score_cued(model, runs[2:]).balanced_accuracy > 0.85
    with pytest.raises(DesignError, match="control=True"):
        OnlinePipeline(model, runs[0].info)


def test_decisions_come_with_and_without_adaptation(model: Model, runs: list[Run]) -> None:
    alone = score_cued(model, runs[2:], adapt=False)
    following = score_cued(model, runs[2:])
    assert alone.balanced_accuracy > 0.85
    assert (alone.probabilities != following.probabilities).any()
    shuffled = score_cued(model, [replace(runs[2], markers=runs[2].markers[::-1])], adapt=False)
    assert (shuffled.probabilities == score_cued(model, [runs[2]], adapt=False).probabilities).all()


def test_training_does_not_depend_on_how_runs_were_cut(model: Model, runs: list[Run]) -> None:
    pieces = [recut(run, range(0, 1000, 13)) for run in runs[:2]]
    again = train(pieces, labels=LABELS, budget_per_min=3.0, issued_s=1000.0)
    assert model_digest(again) == model_digest(model)


def test_two_movements_and_rest_make_three_classes() -> None:
    runs = [make_run(seed=seed, trials=16) for seed in (30, 31)]
    renamed = []
    for run in runs:
        left = iter(range(99))
        markers = (
            replace(m, label="left" if m.label == "rest" and next(left) % 2 else m.label) for m in run.markers
        )
        renamed.append(replace(run, markers=tuple(markers)))
    model = train(renamed, labels=("grasp", "left", "rest"), budget_per_min=5.0)
    assert model.classes == ("grasp", "left", "rest")
    assert model.cued.weights.shape[1:] == (3, 5, 5)
    movements_only = train(renamed, labels=("grasp", "left"), budget_per_min=5.0)
    assert movements_only.cued.classes == ("grasp", "left")
    assert movements_only.classes == ("grasp", "left", "rest")


def test_a_montage_without_motor_channels_has_no_motor_figure() -> None:
    info = SignalInfo(("O1", "Oz", "O2", "Pz", "P3"), Fraction(125))
    runs = [make_run(seed=seed, trials=10, info=info) for seed in (40, 41)]
    model = train(runs, labels=LABELS)
    assert model.motor is None
    assert math.isnan(score_cued(model, runs).balanced_accuracy_motor)


def test_what_cannot_be_trained_on_is_refused_by_name(runs: list[Run]) -> None:
    few = replace(runs[0], markers=runs[0].markers[:6])
    with pytest.raises(TooFewTrialsError, match=r"at least 5.*Record another run") as trials:
        train([few], labels=LABELS)
    assert sum(trials.value.counts.values()) == 6
    with pytest.raises(LabelError, match="at least two"):
        train(runs[:2], labels=("grasp",))
    with pytest.raises(LabelError, match="found grasp, rest"):
        train(runs[:2], labels=("left", "right"))
    with pytest.raises(TooFewRunsError):
        train([], labels=LABELS)
    with pytest.raises(ShapeError, match="same channels"):
        train([runs[0], make_run(seed=0, info=SignalInfo(CHANNELS[:3], Fraction(125)))], labels=LABELS)
    with pytest.raises(DesignError, match="shorter window"):
        train(runs[:2], labels=LABELS, task_s=1.5)
    with pytest.raises(DesignError, match="not possible"):
        train(runs[:2], labels=LABELS, step_s=0.001)
    with pytest.raises(DesignError):
        train(runs[:2], labels=LABELS, bands_hz=((8.0, 70.0),))
