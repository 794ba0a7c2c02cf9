"""How a trained model does on runs it has not seen: the stages and the policy of control, and no choices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.decisions import Prediction
from bci.decoders.adaptation import AdaptationParameters, Recentring
from bci.decoders.frozen import FrozenEnsemble, mix, view_covariances
from bci.errors import TooFewTrialsError
from bci.evaluation import (
    EventScore,
    balanced_accuracy,
    chance_level,
    match_events,
)
from bci.language import _
from bci.pipeline.decided import Labelled
from bci.pipeline.model import Model
from bci.pipeline.online import OnlinePipeline
from bci.pipeline.runs import Run, task_events
from bci.pipeline.windows import cued_windows
from bci.prosthesis.policy import REST, IntentPolicy

__all__ = ["CuedScore", "count_control", "decide_run", "predict_run", "score_control", "score_cued"]


@dataclass(frozen=True, slots=True, eq=False)
class CuedScore(Labelled):
    """Decisions on cued windows, one per trial.

    Parameters
    ----------
    classes : tuple of str
    labels, predicted : ndarray of str, shape (n_trials,)
    probabilities : ndarray, shape (n_trials, n_classes)
        Of `predicted`, in the order of `classes`.
    predicted_motor : ndarray of str, shape (n_trials,), or None
    probabilities_motor : ndarray, shape (n_trials, n_classes), or None
        What the motor channels alone say.
    runs : ndarray of int, shape (n_trials,)
    dropped : int
        Cues without a usable window (loss, end of run).
    """

    classes: tuple[str, ...]
    labels: NDArray[np.str_]
    predicted: NDArray[np.str_]
    probabilities: F64
    predicted_motor: NDArray[np.str_] | None
    probabilities_motor: F64 | None
    runs: NDArray[np.int64]
    dropped: int

    @property
    def n_trials(self) -> int:
        return len(self.labels)

    @property
    def balanced_accuracy_motor(self) -> float:
        """The same from the motor channels alone; NaN where the montage has none."""
        if self.predicted_motor is None:
            return math.nan
        return balanced_accuracy(self.labels, self.predicted_motor)

    @property
    def chance_level(self) -> float:
        """What guessing reaches on average."""
        return chance_level(len(self.classes))


def score_cued(model: Model, runs: Sequence[Run], *, adapt: bool = True) -> CuedScore:
    """Decide every cued trial of `runs` with the cued decoder.

    Parameters
    ----------
    model : Model
    runs : sequence of Run
    adapt : bool
        Whether references follow each run causally, as the model says: a trial is decided, then it may move them for
        the trials after it. False decides every trial by itself.

    Raises
    ------
    LabelError, ShapeError, RateMismatchError, MontageMismatchError
        If the runs do not fit the model; the message says how.
    TooFewTrialsError
        If a class has no usable trial.
    """
    classes = model.cued.classes
    found = cued_windows(runs, model.chain, labels=classes, window_s=model.timing.cue_window_s)
    counts = {name: int(np.sum(found.labels == name)) for name in classes}
    if not all(counts.values()):
        told = ", ".join(f"{n} of {name}" for name, n in counts.items())
        raise TooFewTrialsError(
            _("every class needs a usable trial, got {told}").format(told=told), counts=counts, needed=1
        )
    names = np.array(classes)
    parameters = model.cued_adaptation if adapt else None
    probabilities = _decide(model.cued, found.bands_uv, found.runs, parameters)
    motor = None
    if model.motor is not None:
        motor = _decide(model.motor, found.bands_uv[:, :, model.motor_rows], found.runs, parameters)
    return CuedScore(
        classes=classes,
        labels=found.labels,
        predicted=names[np.argmax(probabilities, axis=1)],
        probabilities=probabilities,
        predicted_motor=None if motor is None else names[np.argmax(motor, axis=1)],
        probabilities_motor=motor,
        runs=found.runs,
        dropped=len(found.dropped),
    )


def decide_run(decoder: FrozenEnsemble, covs: F64, adaptation: AdaptationParameters | None) -> F64:
    """Probabilities, shape (n_windows, n_classes), of the windows of one run in their order.

    `covs` holds one covariance per member, shape (n_windows, m, n, n). With `adaptation` references follow the run;
    without, each window stands for itself.
    """
    if adaptation is None:
        return decoder.predict_proba(covs)[0]
    each, _ = Recentring(decoder, adaptation).run(covs)
    return decoder.calibration.probabilities(mix(each, decoder.shares, decoder.clip))


def _decide(
    decoder: FrozenEnsemble, bands_uv: F64, runs: NDArray[np.int64], adaptation: AdaptationParameters | None
) -> F64:
    covs = view_covariances(bands_uv, decoder.views)
    return np.concatenate([decide_run(decoder, covs[runs == run], adaptation) for run in np.unique(runs)])


def score_control(model: Model, runs: Sequence[Run], *, adapt: bool = True) -> EventScore:
    """Let the asynchronous decoder and its policy run over whole runs and count what they did.

    Errors as of `OnlinePipeline`. The output is on for the one decision at which an intent is issued.
    """
    return sum(
        (count_control(model, run, predict_run(model, run, adapt=adapt)) for run in runs), EventScore()
    )


def predict_run(model: Model, run: Run, *, adapt: bool = True) -> list[Prediction]:
    """Every prediction of the asynchronous decoder over one run. Errors as of `OnlinePipeline`."""
    pipeline = OnlinePipeline(model, run.info, adapt=adapt)
    return [prediction for chunk in run.chunks for prediction in pipeline.step(chunk)]


def count_control(model: Model, run: Run, predictions: Sequence[Prediction]) -> EventScore:
    """What the model's policy makes of the predictions of one run, counted against its cues."""
    policy = IntentPolicy(model.policy, fs_hz=model.chain.fs_hz)
    intents = [policy.update(prediction) for prediction in predictions]
    return match_events(
        [p.sample_index for p in predictions],
        [REST if intent is None else intent.action for intent in intents],
        task_events(run, [name for name in model.classes if name != REST], task_s=model.timing.task_s),
        fs_hz=model.chain.fs_hz,
        span=(run.first_sample, run.end_sample),
        rest=REST,
    )
