"""How well a recipe does on runs it has not seen, beside the usual rivals on the same trials.

Rules
-----
- A fold names the runs that train and the runs that test; no run is in both. Weights, calibration and policy are
  chosen inside the training runs of each fold.
- Every decoder answers the same trials, so decoders are compared in pairs (`paired_bootstrap`), never by whether
  their intervals overlap.
- Trials of one run are never dealt out to both sides, unless the caller asks for that by its name, to reproduce
  somebody else's figure: neighbouring trials share drift, impedance and posture, and the score is of those.
- Cued trials and control over whole runs are scored apart; the one is never shown as the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.decisions import Prediction
from bci.decoders.frozen import view_covariances
from bci.decoders.patterns import member_patterns
from bci.errors import LabelError, TooFewRunsError
from bci.evaluation import (
    CalibrationError,
    EventScore,
    Interval,
    PairedDifference,
    PairedTrials,
    area_under_curve,
    balanced_accuracy,
    balanced_accuracy_chance_threshold,
    balanced_accuracy_interval,
    brier_score,
    calibration_error,
    chance_level,
    cohen_kappa,
    information_transfer_rate,
    log_loss,
    paired_bootstrap,
    wilson_interval,
)
from bci.language import _
from bci.pipeline.chain import FilterChain
from bci.pipeline.model import Model
from bci.pipeline.runs import Run
from bci.pipeline.scoring import CuedScore, count_control, predict_run, score_cued
from bci.pipeline.training import train
from bci.pipeline.windows import cued_windows
from bci.prosthesis.policy import REST

__all__ = [
    "RIVALS",
    "Decisions",
    "Evaluation",
    "Fold",
    "choose_folds",
    "evaluate",
    "learning_curve",
    "shuffled_within_runs",
]

#: Decoders that researchers use now: tangent space + logistic regression, CSP + shrinkage LDA.
RIVALS = ("TS + LR", "CSP + LDA")

#: Where the course of the probability is read: from 2 s before the cue to 7 s after it.
COURSE_S = np.arange(-20, 71) / 10.0


class Fold(NamedTuple):
    """Positions of the runs that train and of those that test."""

    training: tuple[int, ...]
    testing: tuple[int, ...]


def choose_folds(
    n_runs: int, *, train: Sequence[int] = (), test: Sequence[int] = (), sessions: Sequence[object] = ()
) -> list[Fold]:
    """Which runs train and which test.

    Parameters
    ----------
    n_runs : int
    train, test : sequence of int
        Positions from 0. Both given: one fold. Neither: every run is left out once.
    sessions : sequence, length n_runs
        What each run belongs to (a day, a person); then every session is left out once instead of every run.

    Raises
    ------
    TooFewRunsError
        If there is nothing to leave out: one run, or one session, allows no honest validation.
    LabelError
        If a run trains and tests, does not exist, or only one of the two is given.

    Examples
    --------
    >>> choose_folds(3)[0]
    Fold(training=(1, 2), testing=(0,))
    """
    if train or test:
        both = sorted(set(train) & set(test))
        missing = sorted(run for run in {*train, *test} if not 0 <= run < n_runs)
        if both or missing or not (train and test):
            what = (
                _("run {run} trains and tests").format(run=both[0] + 1)
                if both
                else _("training and test runs are needed")
            )
            if missing:
                what = _("there is no run {run} among {n_runs}").format(run=missing[0] + 1, n_runs=n_runs)
            raise LabelError(
                _("{what}: name training and test runs that differ").format(what=what), found=(), expected=()
            )
        return [Fold(tuple(train), tuple(test))]
    groups = list(range(n_runs)) if not sessions else list(sessions)
    names = list(dict.fromkeys(groups))
    if len(names) < 2:
        what = "session" if sessions else "run"
        raise TooFewRunsError(
            _(
                "an honest score needs at least 2 {what}s, got {n}: record another one. Splitting one "
                "would measure its drift, not the decoder."
            ).format(what=what, n=len(names)),
            n_runs=len(names),
            needed=2,
        )
    return [
        Fold(
            tuple(i for i, group in enumerate(groups) if group != name),
            tuple(i for i, group in enumerate(groups) if group == name),
        )
        for name in names
    ]


def shuffled_within_runs(
    runs: Sequence[Run], *, labels: Sequence[str], n_folds: int = 5, seed: int = 0
) -> tuple[list[Run], list[Fold]]:
    """Folds that deal the trials of every run out to both sides, for `evaluate`; only to reproduce others' figures.

    Neighbouring trials share drift, impedance and posture, so what such folds score is partly the run and not the
    movement. They are had by this name alone. Control over whole runs means nothing with them.

    Returns
    -------
    runs : list of Run
        The same signals, once per fold and side, each with the cues of that side.
    folds : list of Fold

    Raises
    ------
    LabelError
        If there are fewer than 2 folds.
    """
    if n_folds < 2:
        raise LabelError(
            _("expected at least 2 folds, got {n_folds}").format(n_folds=n_folds), found=(), expected=()
        )
    rng = np.random.default_rng(seed)
    parts: list[Run] = []
    folds: list[Fold] = []
    dealt = []
    for run in runs:
        cues = [m for m in run.markers if m.label in labels]
        fold_of = np.empty(len(cues), dtype=np.int64)
        for name in labels:  # each class by itself, so that no fold lacks one
            of_class = np.array([m.label == name for m in cues], dtype=np.bool_)
            fold_of[of_class] = rng.permutation(int(of_class.sum())) % n_folds
        dealt.append((cues, fold_of))
    for k in range(n_folds):
        sides = [
            [
                replace(
                    run,
                    markers=tuple(m for m, fold in zip(cues, fold_of, strict=True) if (fold == k) == tested),
                )
                for run, (cues, fold_of) in zip(runs, dealt, strict=True)
            ]
            for tested in (False, True)
        ]
        first = len(parts)
        parts += [*sides[0], *sides[1]]
        middle = first + len(runs)
        folds.append(Fold(tuple(range(first, middle)), tuple(range(middle, middle + len(runs)))))
    return parts, folds


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """What one decoder said of all test trials.

    Parameters
    ----------
    name : str
    classes : tuple of str
    labels, predicted : ndarray of str, shape (n_trials,)
    probabilities : ndarray, shape (n_trials, n_classes)
    runs : ndarray of int, shape (n_trials,)
        Position of the run each trial is from.
    """

    name: str
    classes: tuple[str, ...]
    labels: NDArray[np.str_]
    predicted: NDArray[np.str_]
    probabilities: F64
    runs: NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        """Share of trials that were recognised."""
        return float(np.mean(self.labels == self.predicted))

    @property
    def accuracy_interval(self) -> Interval:
        """95 % Wilson interval of `accuracy`."""
        return wilson_interval(int(np.sum(self.labels == self.predicted)), len(self.labels))

    @property
    def balanced_accuracy(self) -> float:
        """Mean over classes of the share of that class's trials that were recognised."""
        return balanced_accuracy(self.labels, self.predicted)

    @property
    def interval(self) -> Interval:
        """95 % posterior interval of `balanced_accuracy`."""
        return balanced_accuracy_interval(self.labels, self.predicted)

    @property
    def chance(self) -> float:
        """Balanced accuracy that guessing reaches on average."""
        return chance_level(len(self.classes))

    @property
    def chance_threshold(self) -> float:
        """Smallest balanced accuracy that guessing reaches in at most one of 20 such sets of trials."""
        _, counts = np.unique(self.labels, return_counts=True)
        return balanced_accuracy_chance_threshold(counts.tolist())

    @property
    def kappa(self) -> float:
        """Cohen's kappa."""
        return cohen_kappa(self.labels, self.predicted)

    @property
    def area_under_curve(self) -> float:
        """Area under the ROC curve; of several classes the mean of each against the rest."""
        areas = [
            area_under_curve(self.labels == name, self.probabilities[:, i])
            for i, name in enumerate(self.classes)
        ]
        return float(areas[1]) if len(areas) == 2 else float(np.mean(areas))

    @property
    def log_loss(self) -> float:
        """Mean negative log-probability of what was true, nats."""
        return log_loss(self.labels, self.probabilities, classes=self.classes)

    @property
    def brier_score(self) -> float:
        """Mean squared distance of the probabilities from what was true, 0 to 2."""
        return brier_score(self.labels, self.probabilities, classes=self.classes)

    @property
    def calibration(self) -> CalibrationError:
        """Expected calibration error, with the share that chance has in it."""
        return calibration_error(self.labels, self.probabilities, classes=self.classes)

    @property
    def per_run(self) -> dict[int, float]:
        """Balanced accuracy of each test run: the trend over a session."""
        return {
            int(run): balanced_accuracy(self.labels[self.runs == run], self.predicted[self.runs == run])
            for run in np.unique(self.runs)
        }

    def bits_per_min(self, trial_s: float) -> float:
        """Wolpaw's information transfer rate with trials of `trial_s` seconds, pauses included."""
        return information_transfer_rate(self.accuracy, n_classes=len(self.classes), trial_s=trial_s)

    def joined(self, other: Decisions) -> Decisions:
        """The decisions of two folds as one."""
        if (self.name, self.classes) != (other.name, other.classes):
            raise LabelError(
                _(
                    "folds decide between {classes} and {others}: every class must be in the training runs "
                    "of every fold"
                ).format(classes=", ".join(self.classes), others=", ".join(other.classes)),
                found=other.classes,
                expected=self.classes,
            )
        return Decisions(
            self.name,
            self.classes,
            np.concatenate([self.labels, other.labels]),
            np.concatenate([self.predicted, other.predicted]),
            np.concatenate([self.probabilities, other.probabilities]),
            np.concatenate([self.runs, other.runs]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Scores of runs that their decoders had not seen.

    Parameters
    ----------
    folds : tuple of Fold
    cued : dict of str to Decisions
        By name; "default" is the project's own, whose references follow each run causally, "default, not adapted" the
        same with those of the training, "motor channels" the default on those alone; the others are rivals on the same
        trials.
    control : EventScore or None
        Control over whole test runs, summed; None where it was not asked for or no fold had a policy.
    control_per_run : dict of int to EventScore
    refusals : tuple of str
        Why folds had no policy, in plain words.
    dropped : int
        Cues of test runs without a usable window.
    channels : tuple of str
    patterns : dict of str to ndarray, shape (n_channels,)
        By band, the activation pattern of the cued decoder's members that see the whole window, mean over folds; see
        `bci.decoders.patterns.power_pattern`.
    weighed_pattern : ndarray, shape (n_channels,)
        Size of these patterns over all bands, each with its member's share: where the decision comes from as a whole.
    course_s : ndarray, shape (n_times,), s
        Times from the cue, at which a window ends.
    courses : dict of str to ndarray, shape (n_cues, n_times)
        By cued class, the asynchronous decoder's probability of any movement; NaN where there was no decision.
    task_s : float, s
    """

    folds: tuple[Fold, ...]
    cued: dict[str, Decisions]
    control: EventScore | None = None
    control_per_run: dict[int, EventScore] = field(default_factory=dict)
    refusals: tuple[str, ...] = ()
    dropped: int = 0
    channels: tuple[str, ...] = ()
    patterns: dict[str, F64] = field(default_factory=dict)
    weighed_pattern: F64 = field(default_factory=lambda: np.zeros(0))
    course_s: F64 = field(default_factory=lambda: np.zeros(0))
    courses: dict[str, F64] = field(default_factory=dict)
    task_s: float = 4.0

    @property
    def balanced_accuracy(self) -> float:
        """Of the default decoder's cued trials, all folds together."""
        return self.cued["default"].balanced_accuracy

    def against(self, rival: str, *, ours: str = "default", seed: int = 0) -> PairedDifference:
        """Difference in balanced accuracy on the same trials, with its bootstrap interval."""
        return paired_bootstrap([self.pair(rival, ours=ours)], seed=seed)

    def pair(self, rival: str, *, ours: str = "default") -> PairedTrials:
        """The trials of two decoders, for `paired_bootstrap` over several subjects."""
        a, b = self.cued[ours], self.cued[rival]
        return PairedTrials(a.labels, a.predicted, b.predicted, a.runs)


def evaluate(
    runs: Sequence[Run],
    *,
    labels: Sequence[str],
    folds: Sequence[Fold] = (),
    rivals: Sequence[str] = RIVALS,
    control: bool = True,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Evaluation:
    """Train on the training runs of each fold and score its test runs.

    Parameters
    ----------
    runs : sequence of Run
    labels : sequence of str
        Cues to tell apart; "rest" moves nothing.
    folds : sequence of Fold, optional
        See `choose_folds`; by default every run is left out once.
    rivals : sequence of str
        Of `RIVALS`, the decoders that answer the same trials.
    control : bool
        Whether to run the asynchronous decoder and its policy over whole test runs.
    progress : callable, optional
        Called with (folds done, folds).
    options
        As of `train`.

    Returns
    -------
    Evaluation

    Raises
    ------
    TooFewRunsError
        If there is nothing to leave out.
    Others as of `train` and `score_cued`.
    """
    chosen = tuple(folds or choose_folds(len(runs)))
    cued: dict[str, Decisions] = {}
    scores: dict[int, EventScore] = {}
    refusals: list[str] = []
    patterns: list[tuple[dict[str, F64], F64]] = []
    courses: list[dict[str, F64]] = []
    dropped = 0
    for done, (training, testing) in enumerate(chosen):
        if progress is not None:
            progress(done, len(chosen))
        train_runs, test_runs = [runs[i] for i in training], [runs[i] for i in testing]
        model = train(train_runs, labels=labels, control=control, **options)
        score = score_cued(model, test_runs)
        dropped += score.dropped
        positions = np.array(testing)[score.runs]
        found = [_of_score("default", score, positions)]
        if model.cued_adaptation is not None:
            found.append(
                _of_score("default, not adapted", score_cued(model, test_runs, adapt=False), positions)
            )
        if score.predicted_motor is not None and score.probabilities_motor is not None:
            found.append(
                replace(
                    found[0],
                    name="motor channels",
                    predicted=score.predicted_motor,
                    probabilities=score.probabilities_motor,
                )
            )
        found += [_rival(name, train_runs, test_runs, labels, positions, options) for name in rivals]
        for decisions in found:
            before = cued.get(decisions.name)
            cued[decisions.name] = decisions if before is None else before.joined(decisions)
        patterns.append(_patterns(model, train_runs, labels))
        if not control:
            continue
        if model.validation.control is None:
            refusals.append(model.validation.refusal)
            continue
        for i in testing:
            predictions = predict_run(model, runs[i])
            scores[i] = scores.get(i, EventScore()) + count_control(model, runs[i], predictions)
            courses.append(_course(model, runs[i], predictions))
    if progress is not None:
        progress(len(chosen), len(chosen))
    return Evaluation(
        folds=chosen,
        cued=cued,
        control=sum(scores.values(), EventScore()) if scores else None,
        control_per_run=scores,
        refusals=tuple(refusals),
        dropped=dropped,
        channels=runs[0].info.channels,
        patterns={
            band: np.mean([one[band] for one, _ in patterns if band in one], axis=0)
            for band in dict.fromkeys(band for one, _ in patterns for band in one)
        },
        weighed_pattern=np.mean([size for _, size in patterns], axis=0),
        course_s=COURSE_S,
        courses={
            name: np.concatenate([course[name] for course in courses])
            for name in (courses[0] if courses else ())
        },
        task_s=float(options.get("task_s", 4.0)),
    )


def learning_curve(
    runs: Sequence[Run],
    *,
    labels: Sequence[str],
    fold: Fold,
    trials_per_class: Sequence[int],
    **options: Any,
) -> dict[int, Decisions]:
    """How many trials are enough: the same test trials after training on the first few of each class.

    Parameters
    ----------
    runs, labels, options
        As of `evaluate`.
    fold : Fold
    trials_per_class : sequence of int
        Training trials of each class, counted from the first in order of time; larger numbers than there are
        trials are left out.

    Returns
    -------
    dict of int to Decisions
    """
    found: dict[int, Decisions] = {}
    for n in trials_per_class:
        shortened, enough = _first_trials([runs[i] for i in fold.training], labels, n)
        if not enough:
            continue
        kept = [run for run in shortened if any(m.label in labels for m in run.markers)]
        whole = [*kept, *(runs[i] for i in fold.testing)]
        inner = Fold(tuple(range(len(kept))), tuple(range(len(kept), len(whole))))
        result = evaluate(whole, labels=labels, folds=[inner], rivals=(), control=False, **options)
        found[n] = result.cued["default"]
    return found


def _of_score(name: str, score: CuedScore, positions: NDArray[np.int64]) -> Decisions:
    return Decisions(name, score.classes, score.labels, score.predicted, score.probabilities, positions)


def _patterns(model: Model, runs: Sequence[Run], labels: Sequence[str]) -> tuple[dict[str, F64], F64]:
    """Activation patterns of the members that see the whole window, towards the movement: by band, and all in size."""
    decoder = model.cued
    found = cued_windows(runs, model.chain, labels=labels, window_s=model.timing.cue_window_s)
    covs = view_covariances(found.bands_uv, decoder.views)
    towards = next(name for name in reversed(decoder.classes) if name != REST)
    patterns = member_patterns(decoder, covs, towards=towards)
    bands = model.chain.bands_hz
    by_band = {
        f"{bands[view.band][0]:g}–{bands[view.band][1]:g} Hz": pattern
        for view, pattern in zip(decoder.views, patterns, strict=True)
        if view.whole
    }
    return by_band, np.sqrt(np.sum(decoder.shares[:, None] * patterns**2, axis=0))


def _course(model: Model, run: Run, predictions: Sequence[Prediction]) -> dict[str, F64]:
    """Probability of any movement around every cue of a run, by cued class, at `COURSE_S`."""
    moving = [i for i, name in enumerate(model.classes) if name != REST]
    ends = np.array([p.sample_index + 1 for p in predictions])
    values = np.array([sum(p.probabilities[i] for i in moving) if p.valid else np.nan for p in predictions])
    step = model.timing.step_samples
    courses = {}
    for name in model.cued.classes:
        cues = [m.sample_index for m in run.markers if m.label == name]
        rows = np.full((len(cues), len(COURSE_S)), np.nan)
        for row, cue in zip(rows, cues, strict=True):
            wanted = cue + np.round(COURSE_S * model.chain.fs_hz)
            at = np.searchsorted(ends, wanted - step / 2)
            inside = at < len(ends)
            near = inside & (np.abs(ends[np.minimum(at, len(ends) - 1)] - wanted) <= step)
            row[near] = values[at[near]]
        courses[name] = rows
    return courses


def _first_trials(runs: Sequence[Run], labels: Sequence[str], n: int) -> tuple[list[Run], bool]:
    """Runs that keep the first n cues of each class, and whether there are as many."""
    left = dict.fromkeys(labels, n)
    shortened = []
    for run in runs:
        kept = []
        for marker in sorted(run.markers, key=lambda m: m.sample_index):
            if marker.label in left:
                if left[marker.label] == 0:
                    continue
                left[marker.label] -= 1
            kept.append(marker)
        shortened.append(replace(run, markers=tuple(kept)))
    return shortened, not any(left.values())


def _rival(
    name: str,
    train_runs: Sequence[Run],
    test_runs: Sequence[Run],
    labels: Sequence[str],
    positions: NDArray[np.int64],
    options: dict[str, Any],
) -> Decisions:
    """The usual way: one causal band-pass 8–30 Hz, one window, one decoder of scikit-learn's contract."""
    window_s = options.get("window_s", (0.5, 3.5))
    chain = FilterChain.design(
        train_runs[0].info, bands_hz=((8.0, 30.0),), notch_hz=options.get("notch_hz", ())
    )
    training, testing = (
        cued_windows(part, chain, labels=labels, window_s=window_s) for part in (train_runs, test_runs)
    )
    decoder = _make(name).fit(training.data_uv, training.labels)
    probabilities = decoder.predict_proba(testing.data_uv)
    classes = tuple(str(c) for c in decoder.classes_)
    predicted = np.array(classes)[np.argmax(probabilities, axis=1)]
    return Decisions(name, classes, testing.labels, predicted, probabilities, positions)


def _make(name: str) -> Any:
    from bci.decoders import CspDecoder, TangentSpaceDecoder

    if name == "TS + LR":
        return TangentSpaceDecoder()
    if name == "CSP + LDA":
        return CspDecoder()
    raise LabelError(
        _("no rival is called {name!r}: there are {rivals}").format(name=name, rivals=", ".join(RIVALS)),
        found=(name,),
        expected=RIVALS,
    )
