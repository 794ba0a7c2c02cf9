"""How well a recipe does on runs it has not seen, beside the usual rivals on the same trials.

Rules
-----
- A fold names the runs that train and the runs that test; no run is in both. Weights, calibration and policy are
  chosen inside the training runs of each fold.
- Every decoder answers the same trials, so decoders are compared in pairs (`paired_bootstrap`), never by whether
  their intervals overlap.
- Cued trials and control over whole runs are scored apart; the one is never shown as the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.decisions import Prediction
from bci.decoders.frozen import view_covariances
from bci.decoders.patterns import member_patterns
from bci.errors import LabelError
from bci.evaluation import EventScore, PairedDifference, PairedTrials, paired_bootstrap
from bci.language import _
from bci.pipeline.chain import FilterChain
from bci.pipeline.decided import Decisions
from bci.pipeline.folding import Fold, choose_folds
from bci.pipeline.model import Model
from bci.pipeline.runs import Run
from bci.pipeline.scoring import CuedScore, count_control, predict_run, score_cued
from bci.pipeline.training import train
from bci.pipeline.windows import cued_windows
from bci.prosthesis.policy import REST

__all__ = ["RIVALS", "Evaluation", "evaluate", "learning_curve"]

#: Decoders that researchers use now: tangent space + logistic regression, CSP + shrinkage LDA.
RIVALS = ("TS + LR", "CSP + LDA")

#: Where the course of the probability is read: from 2 s before the cue to 7 s after it.
COURSE_S = np.arange(-20, 71) / 10.0


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
