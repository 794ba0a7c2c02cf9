"""What is done to an item: `evaluate` its runs, judge the `quality` of its channels, or a function of your own.

A task is called with the item and the options, and returns the lines of the table as one mapping or several; to be
compared in pairs, a line carries `detail`. A function of your own is named as `package.module:function` and must be
importable where the work is done.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from bci.batch.items import Item
from bci.chunks import F64
from bci.errors import BatchError, RecordingError

__all__ = ["TASKS", "Task", "check_options", "evaluate_item", "find_task", "judge_quality"]

Task = Callable[[Item, Mapping[str, Any]], Mapping[str, Any] | Iterable[Mapping[str, Any]]]

#: Name -> where it is, and what one item of it is.
TASKS = {
    "evaluate": ("bci.batch.tasks:evaluate_item", "subject"),
    "quality": ("bci.batch.tasks:judge_quality", "recording"),
}


def find_task(name: str) -> Task:
    """The function of a task.

    Raises
    ------
    BatchError
        If there is none of that name.
    """
    where = TASKS[name][0] if name in TASKS else name
    module, sign, function = where.partition(":")
    if not sign:
        raise BatchError(
            f"no task is called {name!r}; there are {', '.join(TASKS)}, and functions of your own as "
            "package.module:function"
        )
    here = str(Path.cwd())
    if here not in sys.path:  # where people keep the functions they are trying out
        sys.path.append(here)
    try:
        return cast(Task, getattr(import_module(module), function))
    except (ImportError, AttributeError, ValueError) as err:
        raise BatchError(f"the task {name} cannot be imported: {err}") from err


def check_options(task: str, options: Mapping[str, Any]) -> None:
    """BatchError if a task of this library has no such option; functions of your own check theirs."""
    from bci.sessions.evaluating import EvaluationRequest

    known = {
        "evaluate": {field.name for field in fields(EvaluationRequest)} - {"path", "files"},
        "quality": {"line_hz", "unit"},
    }
    if task in known and (unknown := sorted(set(options) - known[task])):
        raise BatchError(
            f"{task} has no option {', '.join(unknown)}; there are {', '.join(sorted(known[task]))}"
        )


def evaluate_item(item: Item, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every decoder of `bci evaluate` on the person's runs, a line each.

    Options are those of `bci.sessions.evaluating.EvaluationRequest`.
    """
    from bci.sessions.evaluating import EvaluationRequest, evaluate_recordings

    known: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in options.items()}
    request = EvaluationRequest(path=item.path, files=item.files, **known)
    (result,) = evaluate_recordings(request)
    whole = result.as_dict()
    found = result.evaluation
    control = whole["control"] or {}
    lines = []
    for name, one in found.cued.items():
        figures = whole["cued"][name]
        low, high = figures["interval"]
        lines.append(
            {
                "decoder": name,
                "trials": figures["trials"],
                "dropped": found.dropped,
                "classes": " ".join(one.classes),
                "runs": len(result.names),
                "chance": figures["chance"],
                "chance_threshold": figures["chance_threshold"],
                "balanced_accuracy": figures["balanced_accuracy"],
                "low": low,
                "high": high,
                **{
                    key: figures[key]
                    for key in ("accuracy", "kappa", "area_under_curve", "log_loss", "brier_score")
                },
                "calibration_error": figures["calibration_error_debiased"],
                **{
                    key: control.get(key) if name == "default" else None
                    for key in ("true_positive_rate", "false_positives_per_min", "latency_s_median")
                },
                "detail": {
                    "labels": one.labels.tolist(),
                    "predicted": one.predicted.tolist(),
                    "runs": one.runs.tolist(),
                },
            }
        )
    return lines


def judge_quality(item: Item, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every channel's score and its reasons, a line each. Options: `line_hz`, `unit`."""
    import numpy as np

    from bci.dsp import assess_quality

    (path,) = item.files
    channels, fs_hz, data_uv = _signal_of(path, options.get("unit"))
    duration_s = data_uv.shape[1] / fs_hz
    if duration_s < 4:
        raise RecordingError(f"{path} has {duration_s:.1f} s of signal; quality needs 4", path=path)
    judged = assess_quality(data_uv, fs_hz=fs_hz, line_hz=options.get("line_hz", 50.0), channels=channels)
    return [
        {
            "channel": one.channel,
            "duration_s": duration_s,
            "fs_hz": fs_hz,
            "score": one.score,
            "causes": " ".join(one.causes),
            "offset_uv": one.offset_uv,
            "noise_uvpp": one.noise_uvpp,
            "std_uv": float(np.std(row)),
            "line_ratio": one.line_ratio,
            "snr_db": one.snr_db,
        }
        for one, row in zip(judged, data_uv, strict=True)
    ]


def _signal_of(path: Path, unit: str | None) -> tuple[tuple[str, ...], float, F64]:
    """Channels, rate and signal in µV: all of a file, of a recording of our own the longest part without a gap."""
    from bci.interop import OWN, read_recording
    from bci.sessions.own_recording import longest_stretch

    if path.suffix.lower() == OWN:
        info, data_uv = longest_stretch(path)
        return info.channels, info.fs_hz, data_uv
    run = read_recording(path, labels={}, unit=unit)
    return run.channels, run.fs_hz, run.data_uv
