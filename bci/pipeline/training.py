"""From cued runs to a `Model`. Nothing else goes in, and what is honest in it comes from runs left out.

Two ensembles are trained (see `bci.decoders.ensemble`), the cued one on windows after cues, the asynchronous one on
windows that slide over whole runs: those that lie wholly inside a task carry its label, those that touch none are rest,
those in between teach nothing. Members are weighed, probabilities calibrated and the policy's operating point chosen on
runs that were left out. The validation goes one deeper: it leaves a run out and does all of the cued training, weights
and calibration included, on the others. One run alone allows none of it, and a model without validation never arms a
hand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

import numpy as np
from threadpoolctl import threadpool_limits

from bci.chunks import F64
from bci.decisions import Prediction
from bci.decoders.adaptation import AdaptationParameters
from bci.decoders.frozen import BANDS_HZ, FrozenEnsemble, view_covariances, views_of
from bci.decoders.members import LeftOut, RunWindows, train_ensemble
from bci.dsp import oas
from bci.errors import DesignError, LabelError, PolicyRefusedError, TooFewRunsError, TooFewTrialsError
from bci.evaluation import balanced_accuracy, balanced_accuracy_interval, chance_level, run_blocked_folds
from bci.language import _
from bci.pipeline.chain import FilterChain, rows_taken
from bci.pipeline.model import Model, Timing, Training, Validation
from bci.pipeline.online import may_move, no_prediction
from bci.pipeline.runs import Run, task_events
from bci.pipeline.scoring import CuedScore, decide_run
from bci.pipeline.windows import CuedWindows, SlidingWindow, SlidingWindows, cued_windows, say_reason
from bci.prosthesis import choose_policy
from bci.prosthesis.policy import REST, PolicyParameters

__all__ = ["MOTOR_CHANNELS", "train"]

F = TypeVar("F", bound=Callable[..., Any])

#: Electrodes over motor and premotor cortex that most montages have.
MOTOR_CHANNELS = ("F3", "Fz", "F4", "C3", "Cz", "C4")

_MIN_TRIALS = 5
# Neighbouring windows of the grid share 95 % of their samples: every fifth teaches the decoder the same.
_THIN = 5
# With a run left out, two trials of a class are the least that anything can be fitted on.
_MIN_LEFT = 2
# Share of the left-out windows that count as seen before; one in a thousand costs less than one freeze a
# minute.
_INLIERS = 0.999
# What the training's references weigh, and how long a class may be ahead of the rarest, before it stops moving them.
_PRIOR_S, _SLACK_S = 40.0, 20.0


def _on_one_thread(function: F) -> F:
    """Hundreds of fits of 100 unknowns: threads of BLAS wait for each other longer than one alone computes."""
    return cast(F, threadpool_limits.wrap(1, user_api="blas")(function))


@_on_one_thread
def train(
    runs: Sequence[Run],
    *,
    labels: Sequence[str],
    window_s: tuple[float, float] = (0.5, 3.5),
    task_s: float = 4.0,
    bands_hz: Sequence[tuple[float, float]] = BANDS_HZ,
    order: int = 4,
    notch_hz: tuple[float, ...] = (),
    left_out: Sequence[str] = (),
    sliding_s: float = 2.0,
    step_s: float = 0.1,
    motor_channels: Sequence[str] = MOTOR_CHANNELS,
    budget_per_min: float = 1.0,
    issued_s: float | None = None,
    control: bool = True,
    adapt: bool = True,
    tell_left_out: Callable[[CuedScore], None] | None = None,
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
    bands_hz, order, notch_hz, left_out
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
    control : bool
        False trains the cued decoder alone, which cannot run a hand.
    adapt : bool
        Whether references follow a run (see `bci.decoders.adaptation`); False keeps those of the training.
    tell_left_out : callable, optional
        Told what the validation rests on: every cued trial, decided by a decoder that saw nothing of its run. Not
        called where there is one run only.

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
            _("expected at least two different cue labels, one of them a movement, got {labels}").format(
                labels=", ".join(labels) or _("none")
            ),
            expected=tuple(labels),
        )
    if not runs:
        raise TooFewRunsError(_("expected at least one run to train on, got none"), n_runs=0, needed=1)
    chain = FilterChain.design(
        runs[0].info, bands_hz=bands_hz, order=order, notch_hz=notch_hz, left_out=left_out
    )
    timing = _timing(chain, window_s=window_s, task_s=task_s, sliding_s=sliding_s, step_s=step_s)

    trials = cued_windows(runs, chain, labels=labels, window_s=window_s)
    counts = _require_trials(trials, labels)
    classes = tuple(sorted(set(labels)))
    cued_adaptation = AdaptationParameters() if adapt else None
    cued = _Cued(trials, classes, None, cued_adaptation)
    motor_names = tuple(name for name in chain.channels if name in motor_channels)
    motor = None
    if len(motor_names) >= 2:
        motor = _Cued(trials, classes, [chain.channels.index(name) for name in motor_names], cued_adaptation)
    validation = Validation(
        "", chance=chance_level(len(classes)), budget_per_min=budget_per_min, issued_s=issued_s
    )
    validation = _validate_cued(validation, cued, motor, len(trials.dropped), tell_left_out)

    policy = PolicyParameters()
    asynchronous, following = None, None
    if control:
        following = _following(timing, chain) if adapt else None
        sliding = [_slide(run, chain, timing) for run in runs]
        samples = [
            _of_sliding(run, windows, movements, timing, following)
            for run, windows in zip(runs, sliding, strict=True)
        ]
        asynchronous, unseen = train_ensemble(
            samples,
            classes=sorted({*movements, REST}),
            views=views_of(chain.n_bands, ((0.0, 1.0),)),
            adaptation=following,
            outlier_quantile=_INLIERS,
        )
        # Where one run or class stands alone, blocks were left out: nothing to choose a policy on.
        if len(unseen.runs) == sum(len(run.columns) for run in samples):
            predictions = _left_out_predictions(sliding, asynchronous, unseen)
            events = [task_events(run, movements, task_s=task_s) for run in runs]
            try:
                choice = choose_policy(predictions, events, fs_hz=chain.fs_hz, budget_per_min=budget_per_min)
            except PolicyRefusedError as err:
                validation = replace(validation, refusal=validation.refusal or str(err))
            else:
                policy = choice.parameters
                validation = replace(
                    validation, control=choice.expected or choice.training, policy_variants=choice.variants
                )
    return Model(
        chain=chain,
        cued=cued.train(),
        motor=None if motor is None else motor.train(),
        motor_channels=() if motor is None else motor_names,
        asynchronous=asynchronous,
        cued_adaptation=cued_adaptation,
        asynchronous_adaptation=following,
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


class _Cued:
    """The cued training on some of the channels, to be done on all runs or without one."""

    def __init__(
        self,
        trials: CuedWindows,
        classes: tuple[str, ...],
        rows: list[int] | None,
        adaptation: AdaptationParameters | None,
    ) -> None:
        bands = trials.bands_uv if rows is None else trials.bands_uv[:, :, rows]
        self.classes, self.adaptation = classes, adaptation
        self.views = views_of(bands.shape[1])
        self.columns = np.searchsorted(np.array(classes), trials.labels)
        self.runs = trials.runs
        self._covs = view_covariances(bands, self.views)

    def train(self, *, without: int | None = None) -> FrozenEnsemble:
        """Train on all runs but one."""
        numbers = [q for q in np.unique(self.runs).tolist() if q != without]
        chosen = [self.runs == q for q in numbers]
        decoder, _ = train_ensemble(
            [RunWindows(self._covs[rows], self.columns[rows]) for rows in chosen],
            classes=self.classes,
            views=self.views,
            adaptation=self.adaptation,
        )
        return decoder

    def decided(self) -> F64:
        """What a training that never saw a run says of its trials, for each run in turn.

        Raises
        ------
        TooFewRunsError
            If there is one run only.
        TooFewTrialsError
            If the others lack a class.
        """
        answers = np.empty((len(self.columns), len(self.classes)))
        for training, testing in run_blocked_folds(self.runs):
            held_out = int(self.runs[testing[0]])
            present = np.bincount(self.columns[training], minlength=len(self.classes))
            if present.min() < _MIN_LEFT:
                lacking = self.classes[int(present.argmin())]
                raise TooFewTrialsError(
                    _(
                        "with one run left out only {n} trials of {lacking} remain: record every class in "
                        "every run"
                    ).format(n=present.min(), lacking=lacking),
                    counts=dict(zip(self.classes, present.tolist(), strict=True)),
                    needed=_MIN_LEFT,
                )
            decoder = self.train(without=held_out)
            seen = self._covs[testing][:, [self.views.index(view) for view in decoder.views]]
            answers[testing] = decide_run(decoder, seen, self.adaptation)
        return answers


def _validate_cued(
    validation: Validation,
    cued: _Cued,
    motor: _Cued | None,
    dropped: int,
    tell: Callable[[CuedScore], None] | None,
) -> Validation:
    names = np.array(cued.classes)
    truth = names[cued.columns]
    try:
        probabilities = cued.decided()
    except (TooFewRunsError, TooFewTrialsError) as err:
        return replace(validation, refusal=str(err))
    predicted = names[np.argmax(probabilities, axis=1)]
    of_motor = None if motor is None else motor.decided()
    motor_predicted = None if of_motor is None else names[np.argmax(of_motor, axis=1)]
    if tell is not None:
        tell(
            CuedScore(
                cued.classes, truth, predicted, probabilities, motor_predicted, of_motor, cued.runs, dropped
            )
        )
    interval = balanced_accuracy_interval(truth, predicted)
    refusal = ""
    if not interval.low > validation.chance:
        refusal = _(
            "the decoder is not shown to beat chance: the lower bound of its balanced accuracy is {low:.2f}, "
            "chance is {chance:.2f}. Record more runs, or see to the signal."
        ).format(low=interval.low, chance=validation.chance)
    return replace(
        validation,
        refusal=refusal,
        balanced_accuracy=balanced_accuracy(truth, predicted),
        low=interval.low,
        high=interval.high,
        balanced_accuracy_motor=None
        if motor_predicted is None
        else balanced_accuracy(truth, motor_predicted),
    )


def _slide(run: Run, chain: FilterChain, timing: Timing) -> list[SlidingWindow]:
    """Every point of the decision grid of a run, through the online stages."""
    stage = SlidingWindows(chain, window_samples=timing.window_samples, step_samples=timing.step_samples)
    rows = chain.rows(run.info)
    return [window for chunk in run.chunks for window in stage.process(rows_taken(chunk, rows))]


def _following(timing: Timing, chain: FilterChain) -> AdaptationParameters:
    """References of sliding windows: looked at three times in the length of a window."""
    every = max(1, round(timing.window_samples / timing.step_samples / 3))
    pace = every * timing.step_samples / timing.window_samples
    window_s = timing.window_samples / chain.fs_hz
    return AdaptationParameters(prior=_PRIOR_S / window_s, slack=_SLACK_S / window_s, every=every, pace=pace)


def _of_sliding(
    run: Run,
    windows: list[SlidingWindow],
    movements: tuple[str, ...],
    timing: Timing,
    following: AdaptationParameters | None,
) -> RunWindows:
    """The usable windows of a run; of those with a label every fifth is fitted."""
    usable = [(window.end_sample, window.covariances) for window in windows if window.covariances is not None]
    if not usable:
        raise TooFewTrialsError(
            _("a run of {duration_s:.0f} s holds no usable window: {reason}").format(
                duration_s=run.duration_s,
                reason=say_reason(windows[-1].reason) if windows else _("too short"),
            ),
            counts={},
            needed=1,
        )
    ends = np.array([end for end, _ in usable], dtype=np.int64)
    classes = sorted({*movements, REST})
    column = np.full(len(ends), classes.index(REST), dtype=np.int64)
    for event in task_events(run, movements, task_s=timing.task_s):
        starts = ends - timing.window_samples
        touches = (ends > event.cue_sample) & (starts < event.end_sample)
        inside = (starts >= event.cue_sample) & (ends <= event.end_sample)
        column[touches] = -1
        column[inside] = classes.index(event.label)
    covs = oas(np.stack([covs for _, covs in usable]), timing.window_samples)
    moves = None
    if following is not None:
        moves = np.array([may_move(int(end), timing.step_samples, following) for end in ends], dtype=np.bool_)
    return RunWindows(
        covs,
        column,
        fitted=(column >= 0) & (np.arange(len(column)) % _THIN == 0),
        moves=moves,
        spacing=max(1, round(timing.window_samples / timing.step_samples / _THIN)),
    )


def _left_out_predictions(
    sliding: list[list[SlidingWindow]], decoder: FrozenEnsemble, left_out: LeftOut
) -> list[list[Prediction]]:
    """What the asynchronous decoder would have said live over each run, had it been trained on the others."""
    probabilities, outliers = decoder.probabilities(left_out.scores(left_out.shares()), left_out.distances)
    rows = zip(probabilities.tolist(), outliers.tolist(), strict=True)
    predictions: list[list[Prediction]] = []
    for windows in sliding:
        predictions.append([])
        for window in windows:
            last = window.end_sample - 1
            if window.covariances is None:
                predictions[-1].append(no_prediction(last, decoder.classes, window.reason))
            else:
                p, outlier = next(rows)
                predictions[-1].append(Prediction(last, decoder.classes, tuple(p), outlier=outlier))
    return predictions


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
            _("every class needs at least {needed} trials, got {told}{lost}. Record another run.").format(
                needed=_MIN_TRIALS, told=told, lost=lost
            ),
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
