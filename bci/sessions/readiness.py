"""What a calibration is worth: figures of left-out runs, and advice where it is not enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bci.chunks import Chunk, Marker, SignalInfo
from bci.errors import NotCertifiedError
from bci.evaluation import balanced_accuracy, reliability, wilson_interval
from bci.language import _
from bci.pipeline import CuedScore, Model, Run, certify
from bci.sessions.summary import cued_figures, movement_figures

__all__ = ["Judged", "advice_for", "judge_calibration", "training_run"]

#: Below this share of followed movements control is possible, but tiring.
FEW_HITS = 0.4


@dataclass(frozen=True, slots=True)
class Judged:
    """Figures of a calibration, all of left-out runs; see `bci.report.visit.CalibrationPart`."""

    cued: dict[str, Any]
    per_run: tuple[float, ...]
    reliability: tuple[tuple[float, float, int], ...]
    asynchronous: dict[str, Any]
    ready: bool
    refusal: str
    advice: tuple[str, ...]


def training_run(
    info: SignalInfo, chunks: Sequence[Chunk], spans: Sequence[tuple[int, int]], cues: Sequence[Marker]
) -> Run:
    """One block as the decoders take it: what lies in `spans` (pauses, spoilt trials) is missing, and said to be.

    Parameters
    ----------
    info : SignalInfo
    chunks : sequence of Chunk
        Of one block, in order.
    spans : sequence of (first, end)
        Samples to leave out.
    cues : sequence of Marker
        Of trials that count.
    """
    kept: list[Chunk] = []
    lost = 0
    for chunk in chunks:
        if chunk.n_samples == 0:
            continue
        use = np.ones(chunk.n_samples, dtype=bool)
        for first, end in spans:
            use[max(first - chunk.first_sample, 0) : max(end - chunk.first_sample, 0)] = False
        edges = np.flatnonzero(np.diff(np.concatenate([[False], use, [False]])))
        lost += chunk.lost_before
        at = 0
        for start, stop in edges.reshape(-1, 2).tolist():
            status = None if chunk.status is None else chunk.status[:, start:stop]
            kept.append(
                Chunk(
                    chunk.data_uv[:, start:stop],
                    chunk.first_sample + start,
                    lost_before=lost + start - at if kept else 0,
                    restart=not kept,
                    status=status,
                )
            )
            lost, at = 0, stop
        lost += chunk.n_samples - at
    return Run(info, tuple(kept), tuple(cues))


def judge_calibration(model: Model, left_out: CuedScore | None, *, labels: Sequence[str]) -> Judged:
    """What may be said of a model, and whether the hand may be armed with it.

    `left_out`: what `train` told of trials that their decoders had not seen; None where it told nothing.
    """
    try:
        certify(model)
        refusal = ""
    except NotCertifiedError as err:
        refusal = model.validation.refusal or str(err)
    control = model.validation.control
    asynchronous = {} if control is None else movement_figures(control)
    if left_out is None:
        return Judged({}, (), (), asynchronous, False, refusal, advice_for(model, labels, refusal))
    if not refusal and model.asynchronous is None:
        refusal = _("The decoder was trained for cued trials only and cannot run a hand.")
    if not refusal and control is None:
        refusal = _("No way of acting on the decoder keeps false movements rare enough.")
    return Judged(
        cued=cued_figures(left_out),
        per_run=tuple(
            balanced_accuracy(left_out.labels[rows], left_out.predicted[rows])
            for rows in (left_out.runs == run for run in np.unique(left_out.runs))
        ),
        reliability=tuple(
            (b.confidence, b.accuracy, b.n_trials)
            for b in reliability(left_out.labels, left_out.probabilities, classes=left_out.classes)
        ),
        asynchronous=asynchronous,
        ready=not refusal,
        refusal=refusal,
        advice=advice_for(model, labels, refusal),
    )


def advice_for(model: Model, labels: Sequence[str], refusal: str) -> tuple[str, ...]:
    """What to try next; nothing where all is well."""
    said: list[str] = []
    movements = [name for name in labels if name != "rest"]
    validation = model.validation
    if refusal and validation.low is not None and validation.low > validation.chance:
        # It can tell the classes apart; what is missing is proof that the hand will not move by itself.
        said.append(
            _(
                "The trials are told apart. Calibrate with more blocks (--blocks 6), or accept more false movements a "
                "minute (--budget 2)."
            )
        )
        return tuple(said)
    if refusal and len(movements) > 1:
        said.append(
            _(
                "Try one hand against rest before left against right: it is easier to tell apart "
                "(--classes rest,{hand})."
            ).format(hand=movements[-1])
        )
    elif refusal:
        said.append(
            _(
                "Ask the user to feel the movement in the hand, not to picture it, and to begin right after the cue; "
                "then calibrate again."
            )
        )
        said.append(_("If one hand can be moved, calibrate on executed movement (--movement executed)."))
    if refusal:
        said.append(
            _("See that C3, Cz and C4 are good, and rest before the next attempt; two more blocks help, too.")
        )
    control = model.validation.control
    if not refusal and control is not None and control.true_positive_rate < FEW_HITS:
        low, high = wilson_interval(control.hits, control.n_events)
        said.append(
            _(
                "Only {share} of the intended movements are expected to be followed (95 % {low}–{high}): practise, or "
                "accept more false movements a minute (--budget)."
            ).format(share=f"{control.true_positive_rate:.0%}", low=f"{low:.0%}", high=f"{high:.0%}")
        )
    return tuple(said)
