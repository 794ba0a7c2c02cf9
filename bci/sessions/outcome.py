"""From what happened in a session to its summary."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import Any

from bci._version import __version__
from bci.acquisition import Statistics
from bci.chunks import SignalInfo
from bci.evaluation import EventScore
from bci.pipeline import Model, Run, model_digest, score_cued, task_events
from bci.sessions.arming import Operator
from bci.sessions.folder import SessionFolder
from bci.sessions.run_trace import RunTrace
from bci.sessions.staging import Stage
from bci.sessions.summary import Summary, cued_figures, latency_figures, movement_figures

__all__ = ["Outcome", "summarise"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Control runs, what was decided in them, and what operator, monitor and link say of themselves."""

    runs: list[Run]
    traces: list[RunTrace]
    operator: Operator
    monitor: dict[str, Any]
    statistics: Statistics


def summarise(
    model: Model,
    outcome: Outcome,
    accepted: frozenset[int],
    *,
    stage: Stage,
    info: SignalInfo,
    folder: SessionFolder,
) -> Summary:
    """Score the control runs: cued trials that were never trained on, and the hand's movements."""
    cued = score_cued(model, outcome.runs)
    movements = [name for name in stage.classes if name != "rest"]
    score = EventScore()
    for run, trace in zip(outcome.runs, outcome.traces, strict=True):
        score += trace.score(run, task_events(run, movements, task_s=stage.task_s), accepted)
    latency = latency_figures(outcome.monitor)
    operator, statistics, n = outcome.operator, outcome.statistics, stage.n_calibration
    return Summary(
        balanced_accuracy=cued.balanced_accuracy,
        balanced_accuracy_motor=cued.balanced_accuracy_motor,
        samples_lost=statistics.samples_lost,
        false_movements_per_min=score.false_positives_per_min,
        latency_ms_median=latency["byte_to_command_ms_median"],
        armed=operator.armed,
        refusal="" if operator.armed else operator.refusal,
        what={
            "title": stage.title,
            "kind": stage.kind,
            "classes": list(stage.classes),
            "calibration_runs": list(stage.runs[:n]),
            "control_runs": list(stage.runs[n:]),
            "device": info.device,
            "channels": list(info.channels),
            "rate_hz": info.fs_hz,
            "motor_channels": list(model.motor_channels),
            "software": f"bci {__version__}, Python {platform.python_version()}, {platform.system()}",
            "model_sha256": model_digest(model),
        },
        cued=cued_figures(cued),
        calibration={
            "trials": model.training.trials,
            "seconds": model.training.duration_s,
            "balanced_accuracy": model.validation.balanced_accuracy,
            "interval_95": [model.validation.low, model.validation.high],
            "budget_per_min": model.validation.budget_per_min,
        },
        control={
            **movement_figures(score),
            "holds": outcome.monitor.get("holds", {}),
            "faults": outcome.monitor.get("counts", {}).get("fault", 0),
            "rearmed": operator.rearmed,
        },
        link={
            "bytes": statistics.bytes,
            "frames": statistics.frames,
            "samples": statistics.samples,
            "samples_lost": statistics.samples_lost,
            "faults": statistics.faults,
        },
        speed=latency,
        files={
            "folder": str(folder.path),
            "recording": str(folder.recording),
            "model": str(folder.model),
            "events": str(folder.events),
            "decisions": str(folder.decisions),
            "report": str(folder.report),
        },
    )
