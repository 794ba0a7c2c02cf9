"""A session in numbers: what `bci demo --json` prints and the report shows. Every figure says what it rests on."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from bci.evaluation import EventScore, poisson_interval
from bci.pipeline import CuedScore

__all__ = ["Summary", "cued_figures", "latency_figures", "latency_ms", "movement_figures"]

SCHEMA = "bci-session/1"


@dataclass(slots=True)
class Summary:
    """Figures of one session. What was not measured is None, never 0.

    The first five keys are the ones that programs read; `cued`, `control`, `link`, `speed` and `files` hold what
    each of them rests on.
    """

    balanced_accuracy: float | None = None
    balanced_accuracy_motor: float | None = None
    samples_lost: int = 0
    false_movements_per_min: float | None = None
    latency_ms_median: float | None = None
    armed: bool = False
    refusal: str = ""
    what: dict[str, Any] = field(default_factory=dict)
    cued: dict[str, Any] = field(default_factory=dict)
    calibration: dict[str, Any] = field(default_factory=dict)
    control: dict[str, Any] = field(default_factory=dict)
    link: dict[str, Any] = field(default_factory=dict)
    speed: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    schema: str = SCHEMA

    def to_json(self) -> str:
        """Indented JSON; NaN and infinities become null."""
        return json.dumps(_plain(asdict(self)), indent=2, ensure_ascii=False)


def cued_figures(score: CuedScore) -> dict[str, Any]:
    """Cued accuracy with its interval and chance line."""
    figures: dict[str, Any] = {
        "balanced_accuracy": score.balanced_accuracy,
        "interval_95": list(score.interval),
        "chance": score.chance_level,
        "chance_threshold": score.chance_threshold,
        "trials": {name: int(np.sum(score.labels == name)) for name in score.classes},
        "dropped": score.dropped,
        "confusion": {
            truth: {
                said: int(np.sum((score.labels == truth) & (score.predicted == said)))
                for said in score.classes
            }
            for truth in score.classes
        },
        "balanced_accuracy_motor": score.balanced_accuracy_motor,
    }
    return figures


def movement_figures(score: EventScore) -> dict[str, Any]:
    """What the hand did over whole runs, pauses included."""
    minutes = score.idle_s / 60.0
    return {
        "cued_movements": score.n_events,
        "hits": score.hits,
        "hit_rate": score.true_positive_rate,
        "blind_hit_rate": score.blind_true_positive_rate,
        "false_movements": score.false_positives,
        "idle_minutes": minutes,
        "false_movements_per_min": score.false_positives_per_min,
        "interval_95": list(poisson_interval(score.false_positives, minutes)) if minutes > 0 else None,
        "detection_latency_s_median": score.latency_s_median,
        "detection_latency_s_p90": _percentile(score.latencies_s, 90),
    }


def latency_figures(monitor: Mapping[str, Any]) -> dict[str, Any]:
    """Time from the last byte that a decision rests on to the next frame to the hand, at real-time pace only.

    The monitor decides a frame every 20 ms, so half of that is in the median by design.
    """
    measured = monitor.get("byte_to_command_ms", [])
    return {
        "decisions": len(measured),
        "byte_to_command_ms_median": _percentile(measured, 50),
        "byte_to_command_ms_p99": _percentile(measured, 99),
        "worst_tick_late_ms": monitor.get("worst_tick_late_ms"),
    }


def latency_ms(monitor: Mapping[str, Any]) -> dict[str, float]:
    """Median and 99th percentile of `latency_figures`, ms; empty where none was measured."""
    found = latency_figures(monitor)
    pairs = ((name, found[f"byte_to_command_ms_{name}"]) for name in ("median", "p99"))
    return {name: float(value) for name, value in pairs if value is not None}


def _percentile(values: Sequence[float], q: float) -> float | None:
    return float(np.percentile(values, q)) if len(values) else None


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value
