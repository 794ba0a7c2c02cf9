"""The report of one session: what was measured, on how much, and what that does not show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from bci.chunks import F64
from bci.decisions import Prediction
from bci.files import write_private
from bci.pipeline import Model, Run, cued_windows, task_events
from bci.report import pictures
from bci.report.fonts import in_picture as _
from bci.report.page import render
from bci.report.visit_pictures import class_in_picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ReportedRun", "write_session_report"]

REST = "rest"
GRACE_S = 0.5  # a hit may come this long after the task's end, as `bci.evaluation.match_events` counts


class ReportedRun(Protocol):
    """What a control run must tell; `bci.sessions.run_trace.RunTrace` does."""

    name: str
    predictions: list[Prediction]
    intents: list[tuple[int, int, str]]
    closure: list[float]

    def seconds(self, sample_index: int) -> float: ...


def write_session_report(
    path: Path,
    summary: Any,
    *,
    model: Model,
    runs: Sequence[Run],
    traces: Sequence[ReportedRun],
    accepted: frozenset[int],
) -> None:
    """Write one self-contained HTML file, readable by its owner only.

    Parameters
    ----------
    path : Path
    summary : Summary
        Figures; shown as they are, nothing is computed anew.
    model, runs, traces, accepted
        What the pictures are drawn from: the control runs, what was decided in them, and the numbers of the intents
        that the safety monitor acted on.
    """
    s = summary
    cued = s.cued
    names, values = [_("all channels")], [s.balanced_accuracy]
    intervals: list[tuple[float, float] | None] = [tuple(cued["interval_95"])]
    if s.balanced_accuracy_motor == s.balanced_accuracy_motor:  # not NaN: the montage has motor channels
        names.append(_("motor channels"))
        values.append(s.balanced_accuracy_motor)
        intervals.append(None)
    contrast, label = _contrast(model, runs)
    html = render(
        "session.html.j2",
        s=s,
        model=model,
        accuracy=pictures.accuracy_bars(names, values, intervals, chance=cued["chance"]),
        confusion=pictures.confusion(
            {
                class_in_picture(truth): {class_in_picture(said): n for said, n in row.items()}
                for truth, row in cued["confusion"].items()
            }
        ),
        contrast=pictures.channel_contrast(model.chain.channels, contrast, label=label),
        timelines=[_timeline(run, trace, model, accepted) for run, trace in zip(runs, traces, strict=True)],
    )
    write_private(path, html)


def _contrast(model: Model, runs: Sequence[Run]) -> tuple[F64, str]:
    """Band power of the last movement class against the first class, per channel: negative is desynchronisation."""
    classes = model.cued.classes
    movement = [name for name in classes if name != REST][-1]
    other = REST if REST in classes else next(name for name in classes if name != movement)
    found = cued_windows(runs, model.chain, labels=classes, window_s=model.timing.cue_window_s)
    power = np.log10(np.var(found.data_uv, axis=2))
    mean: dict[str, NDArray[np.float64]] = {
        n: power[found.labels == n].mean(axis=0) for n in (movement, other)
    }
    low, high = model.chain.band_hz
    return 10.0 * (
        mean[movement] - mean[other]
    ), f"{class_in_picture(movement)} − {class_in_picture(other)}, {low:g}–{high:g} Hz"


def _timeline(run: Run, trace: ReportedRun, model: Model, accepted: frozenset[int]) -> str:
    movements = [name for name in model.classes if name != REST]
    tasks = task_events(run, movements, task_s=model.timing.task_s)
    wanted = [model.classes.index(name) for name in movements]
    valid = [p for p in trace.predictions if p.valid]
    keep = [i for i, p in enumerate(trace.predictions) if p.valid]
    grace = GRACE_S * model.chain.fs_hz
    hits, false = [], []
    answered: set[int] = set()
    for number, sample, _action in trace.intents:
        if number not in accepted:
            continue
        task = next((t for t in tasks if t.cue_sample <= sample < t.end_sample + grace), None)
        if task is None:
            false.append(trace.seconds(sample))
        elif task.cue_sample not in answered:
            answered.add(task.cue_sample)
            hits.append(trace.seconds(sample))
    return pictures.timeline(
        np.array([trace.seconds(p.sample_index) for p in valid]),
        np.array([sum(p.probabilities[i] for i in wanted) for p in valid]),
        np.array([trace.closure[i] for i in keep]),
        cues=[(trace.seconds(t.cue_sample), trace.seconds(t.end_sample)) for t in tasks],
        hits=hits,
        false=false,
        title=_("{run}: orange = movement was asked for").format(run=trace.name),
    )
