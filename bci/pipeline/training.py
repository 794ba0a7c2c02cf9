"""From cued runs to a `Model`. Nothing else goes in, and what is honest in it comes from runs left out.

Two decoders are trained, the cued one on windows after cues, the asynchronous one on windows that slide
over whole runs: those that lie wholly inside a task carry its label, those that touch none are rest, those
in between teach nothing. Each is then trained anew with one run left out at a time; the scores of the
left-out runs give the temperature, the outlier distance, the policy's operating point and the validation.
One run alone gives none of these, and a model without validation never arms a hand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.decisions import Prediction
from bci.decoders.calibration import fit_temperature
from bci.decoders.frozen import FrozenTangentSpace, softmax
from bci.decoders.tangent_space import TangentSpaceDecoder
from bci.dsp import covariances, oas
from bci.errors import DesignError, LabelError, PolicyRefusedError, TooFewRunsError, TooFewTrialsError
from bci.evaluation import balanced_accuracy, balanced_accuracy_interval, chance_level, run_blocked_folds
from bci.pipeline.chain import FilterChain
from bci.pipeline.model import Model, Timing, Training, Validation
from bci.pipeline.online import no_prediction
from bci.pipeline.runs import Run, task_events
from bci.pipeline.windows import CuedWindows, SlidingWindow, SlidingWindows, cued_windows
from bci.prosthesis import choose_policy
from bci.prosthesis.policy import REST, PolicyParameters

__all__ = ["MOTOR_CHANNELS", "train"]

#: Electrodes over motor and premotor cortex that most montages have.
MOTOR_CHANNELS = ("F3", "Fz", "F4", "C3", "Cz", "C4")

_MIN_TRIALS = 5
# Neighbouring windows of the grid share 95 % of their samples: every fifth teaches the decoder the same.
_THIN = 5
# Share of the left-out windows that count as seen before; one in a thousand costs less than one freeze a
# minute.
_INLIERS = 0.999


def train(
    runs: Sequence[Run],
    *,
    labels: Sequence[str],
    window_s: tuple[float, float] = (0.5, 3.5),
    task_s: float = 4.0,
    band_hz: tuple[float, float] = (8.0, 30.0),
    order: int = 4,
    notch_hz: tuple[float, ...] = (),
    sliding_s: float = 2.0,
    step_s: float = 0.1,
    motor_channels: Sequence[str] = MOTOR_CHANNELS,
    budget_per_min: float = 1.0,
    issued_s: float | None = None,
) -> Model:
    """Train, calibrate and validate the decoders of one user on cued runs.

    Parameters
    ----------
    runs : sequence of Run
        Two or more for a model that may arm a hand.
    labels : sequence of str
        Marker labels that are cues, two or more; "rest" is the one that moves nothing and may be left out.
    window_s : (start, end), s
        Window of the cued decoder relative to the cue.
    task_s : float, s
        How long the movement was to be made or intended after its cue.
    band_hz, order, notch_hz
        See `FilterChain.design`.
    sliding_s, step_s : float, s
        Window and step of the asynchronous decoder; the step is rounded down to whole samples and the
        window to whole steps.
    motor_channels : sequence of str
        Those present are also decoded alone; see `Model.motor`.
    budget_per_min : float
        False activations per minute that the policy may cost.
    issued_s : float, optional
        Time of training, seconds since 1970, for a certificate that runs out.

    Returns
    -------
    Model
        `model.validation` says how well it does and whether it may arm a hand.

    Raises
    ------
    LabelError
        If fewer than two labels are given or one occurs nowhere.
    TooFewTrialsError
        If a class has fewer than 5 usable trials.
    ShapeError, DesignError
        If the runs do not belong together, or times and frequencies do not fit.
    """
    movements = tuple(name for name in labels if name != REST)
    if len(set(labels)) < 2 or not movements:
        raise LabelError(
            "expected at least two different cue labels, one of them a movement, "
            f"got {', '.join(labels) or 'none'}",
            expected=tuple(labels),
        )
    if not runs:
        raise TooFewRunsError("expected at least one run to train on, got none", n_runs=0, needed=1)
    chain = FilterChain.design(runs[0].info, band_hz=band_hz, order=order, notch_hz=notch_hz)
    timing = _timing(chain, window_s=window_s, task_s=task_s, sliding_s=sliding_s, step_s=step_s)

    trials = cued_windows(runs, chain, labels=labels, window_s=window_s)
    counts = _require_trials(trials, labels)
    cued = _train(_of_trials(trials))
    motor_names = tuple(name for name in chain.channels if name in motor_channels)
    motor = None
    if len(motor_names) >= 2:
        motor = _train(_of_trials(trials, rows=[chain.channels.index(name) for name in motor_names]))

    sliding = [_slide(run, chain, timing) for run in runs]
    asynchronous = _train(_of_sliding(runs, sliding, movements, timing))

    validation = Validation(
        "", chance=chance_level(len(set(labels))), budget_per_min=budget_per_min, issued_s=issued_s
    )
    policy = PolicyParameters()
    if cued.left_out is None or asynchronous.left_out is None:
        reason = cued.why_not or asynchronous.why_not
        validation = replace(validation, refusal=reason)
    else:
        validation = _validate_cued(validation, cued, motor)
        predictions = _left_out_predictions(sliding, asynchronous)
        events = [task_events(run, movements, task_s=task_s) for run in runs]
        try:
            choice = choose_policy(predictions, events, fs_hz=chain.fs_hz, budget_per_min=budget_per_min)
        except PolicyRefusedError as err:
            validation = replace(validation, refusal=validation.refusal or str(err))
        else:
            policy = choice.parameters
            validation = replace(validation, control=choice.training, policy_variants=choice.variants)
    return Model(
        chain=chain,
        cued=cued.decoder,
        motor=None if motor is None else motor.decoder,
        motor_channels=() if motor is None else motor_names,
        asynchronous=asynchronous.decoder,
        timing=timing,
        policy=policy,
        validation=validation,
        training=Training(
            digest=_digest(runs, labels),
            runs=len(runs),
            duration_s=sum(run.duration_s for run in runs),
            trials=counts,
            dropped=len(trials.dropped),
        ),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Samples:
    """Shrunk covariances with the run and the class of each; class "" teaches nothing."""

    covs: F64
    names: NDArray[np.str_]
    runs: NDArray[np.int64]
    fitted: NDArray[np.bool_]

    @property
    def labelled(self) -> NDArray[np.bool_]:
        result: NDArray[np.bool_] = self.names != ""
        return result

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(np.unique(self.names[self.labelled]).tolist())


@dataclass(frozen=True, slots=True, eq=False)
class _Trained:
    """A calibrated decoder, and what decoders that had not seen a run said of its windows."""

    decoder: FrozenTangentSpace
    samples: _Samples
    left_out: tuple[F64, F64] | None
    why_not: str = ""

    def predicted(self) -> NDArray[np.str_]:
        """Most probable class of each window by its left-out score."""
        assert self.left_out is not None
        named: NDArray[np.str_] = np.array(self.decoder.classes)[np.argmax(self.left_out[0], axis=1)]
        return named


def _train(samples: _Samples) -> _Trained:
    """Fit on everything; calibrate on scores of left-out runs where there are any."""
    decoder = _fit(samples, np.flatnonzero(samples.fitted))
    try:
        scores, distances = _leave_runs_out(samples)
    except (TooFewRunsError, TooFewTrialsError) as err:
        return _Trained(decoder, samples, None, str(err))
    labelled = samples.labelled
    targets = np.searchsorted(samples.classes, samples.names[labelled])
    calibrated = decoder.calibrated(
        temperature=fit_temperature(scores[labelled], targets),
        outlier_distance=float(np.quantile(distances, _INLIERS)),
    )
    return _Trained(calibrated, samples, (scores, distances))


def _fit(samples: _Samples, rows: NDArray[np.int64]) -> FrozenTangentSpace:
    one = TangentSpaceDecoder().fit_covariances(samples.covs[rows], samples.names[rows]).frozen_
    return FrozenTangentSpace(
        one.classes, one.whitening[0], one.weights[0], one.bias[0], outlier_distance=one.outlier_distance
    )


def _leave_runs_out(samples: _Samples) -> tuple[F64, F64]:
    """Scores and distances of every window from a decoder that saw nothing of its run."""
    scores = np.empty((len(samples.names), len(samples.classes)))
    distances = np.empty(len(samples.names))
    for training, testing in run_blocked_folds(samples.runs):
        decoder = _fit(samples, training[samples.fitted[training]])
        if decoder.classes != samples.classes:
            missing = ", ".join(sorted(set(samples.classes) - set(decoder.classes)))
            raise TooFewTrialsError(
                f"with one run left out no window of {missing} remains: record every class in every run",
                counts={},
                needed=2,
            )
        scores[testing], distances[testing] = decoder.scores(samples.covs[testing])
    return scores, distances


def _of_trials(trials: CuedWindows, *, rows: list[int] | None = None) -> _Samples:
    data = trials.data_uv if rows is None else trials.data_uv[:, rows]
    everything = np.ones(len(trials.labels), dtype=np.bool_)
    return _Samples(covariances(data, shrinkage="oas"), trials.labels, trials.runs, everything)


def _slide(run: Run, chain: FilterChain, timing: Timing) -> list[SlidingWindow]:
    """Every point of the decision grid of a run, through the online stages."""
    stage = SlidingWindows(chain, window_samples=timing.window_samples, step_samples=timing.step_samples)
    return [window for chunk in run.chunks for window in stage.process(chunk)]


def _of_sliding(
    runs: Sequence[Run], sliding: list[list[SlidingWindow]], movements: tuple[str, ...], timing: Timing
) -> _Samples:
    """The usable windows of all runs; of those with a label every fifth is fitted."""
    covs, names, fitted, numbers = [], [], [], []
    for i, (run, windows) in enumerate(zip(runs, sliding, strict=True)):
        usable = [
            (window.end_sample, window.covariance) for window in windows if window.covariance is not None
        ]
        ends = np.array([end for end, _ in usable], dtype=np.int64)
        covs += [cov for _, cov in usable]
        name = np.full(len(ends), REST, dtype=f"<U{max(map(len, (*movements, REST)))}")
        for event in task_events(run, movements, task_s=timing.task_s):
            starts = ends - timing.window_samples
            touches = (ends > event.cue_sample) & (starts < event.end_sample)
            inside = (starts >= event.cue_sample) & (ends <= event.end_sample)
            name[touches] = ""
            name[inside] = event.label
        names.append(name)
        fitted.append((name != "") & (np.arange(len(name)) % _THIN == 0))
        numbers.append(np.full(len(ends), i, dtype=np.int64))
    n = runs[0].info.n_channels
    return _Samples(
        oas(np.array(covs).reshape(-1, n, n), timing.window_samples),
        np.concatenate(names),
        np.concatenate(numbers),
        np.concatenate(fitted),
    )


def _left_out_predictions(sliding: list[list[SlidingWindow]], trained: _Trained) -> list[list[Prediction]]:
    """What the asynchronous decoder would have said live over each run, had it been trained on the others."""
    assert trained.left_out is not None
    scores, distances = trained.left_out
    decoder = trained.decoder
    rows = zip(
        softmax(scores / decoder.temperature).tolist(),
        (distances > decoder.outlier_distance).tolist(),
        strict=True,
    )
    predictions: list[list[Prediction]] = []
    for windows in sliding:
        predictions.append([])
        for window in windows:
            last = window.end_sample - 1
            if window.covariance is None:
                predictions[-1].append(no_prediction(last, decoder.classes, window.reason))
            else:
                probabilities, outlier = next(rows)
                predictions[-1].append(
                    Prediction(last, decoder.classes, tuple(probabilities), outlier=outlier)
                )
    return predictions


def _validate_cued(validation: Validation, cued: _Trained, motor: _Trained | None) -> Validation:
    names = cued.samples.names
    interval = balanced_accuracy_interval(names, cued.predicted())
    refusal = ""
    if not interval.low > validation.chance:
        refusal = (
            "the decoder is not shown to beat chance: the lower bound of its balanced accuracy is "
            f"{interval.low:.2f}, chance is {validation.chance:.2f}. Record more runs, or see to the signal."
        )
    return replace(
        validation,
        refusal=refusal,
        balanced_accuracy=balanced_accuracy(names, cued.predicted()),
        low=interval.low,
        high=interval.high,
        balanced_accuracy_motor=(
            None if motor is None or motor.left_out is None else balanced_accuracy(names, motor.predicted())
        ),
    )


def _timing(
    chain: FilterChain, *, window_s: tuple[float, float], task_s: float, sliding_s: float, step_s: float
) -> Timing:
    step = int(step_s * chain.rate)
    window = round(sliding_s * chain.rate / step) * step if step else 0
    if window < 2 or not window_s[0] < window_s[1]:
        raise DesignError(
            f"windows of {sliding_s} s every {step_s} s, and from {window_s[0]} to {window_s[1]} s after the "
            f"cue, are not possible at {chain.fs_hz:g} Hz"
        )
    if window > chain.samples(task_s):
        raise DesignError(
            f"a task of {task_s} s holds no sliding window of {window / chain.fs_hz:g} s: "
            "choose a shorter window"
        )
    return Timing(window_s, task_s, window, step)


def _require_trials(trials: CuedWindows, labels: Sequence[str]) -> dict[str, int]:
    counts = {name: int(np.sum(trials.labels == name)) for name in labels}
    if min(counts.values()) < _MIN_TRIALS:
        told = ", ".join(f"{n} of {name}" for name, n in counts.items())
        lost = f"; {len(trials.dropped)} more were unusable: {trials.dropped[0][1]}" if trials.dropped else ""
        raise TooFewTrialsError(
            f"every class needs at least {_MIN_TRIALS} trials, got {told}{lost}. Record another run.",
            counts=counts,
            needed=_MIN_TRIALS,
        )
    return counts


def _digest(runs: Sequence[Run], labels: Sequence[str]) -> str:
    """SHA-256 of samples and cues, the same however the runs were cut into chunks."""
    sha = hashlib.sha256()
    for run in runs:
        sha.update(f"{run.first_sample} {run.info.rate} {run.info.channels}".encode())
        for chunk in run.chunks:
            if chunk.lost_before:
                sha.update(f"{chunk.first_sample} {chunk.lost_before}".encode())
            sha.update(np.ascontiguousarray(chunk.data_uv.T).data)
        for marker in sorted(run.markers, key=lambda marker: marker.sample_index):
            if marker.label in labels:
                sha.update(f"{marker.sample_index} {marker.label}".encode())
    return sha.hexdigest()
