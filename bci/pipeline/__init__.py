"""From runs to a model, and from chunks to predictions. Offline and online are the same causal stages.

`train` loads scipy and scikit-learn when it is first asked for; `OnlinePipeline` and `load_model` need
numpy, numba, safetensors and msgspec.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bci.pipeline.chain import CleaningStage, FilterChain
    from bci.pipeline.decided import Decisions
    from bci.pipeline.evaluating import RIVALS, Evaluation, evaluate, learning_curve
    from bci.pipeline.folding import Fold, choose_folds, shuffled_within_runs
    from bci.pipeline.model import Model, Timing, Training, Validation
    from bci.pipeline.model_file import certify, load_model, model_digest, save_model
    from bci.pipeline.online import OnlinePipeline
    from bci.pipeline.runs import Run, split_runs, task_events
    from bci.pipeline.scoring import CuedScore, score_control, score_cued
    from bci.pipeline.training import MOTOR_CHANNELS, train
    from bci.pipeline.transfer import evaluate_executed_to_intended
    from bci.pipeline.windows import CuedWindows, SlidingWindow, SlidingWindows, cued_windows

__all__ = [
    "MOTOR_CHANNELS",
    "RIVALS",
    "CleaningStage",
    "CuedScore",
    "CuedWindows",
    "Decisions",
    "Evaluation",
    "FilterChain",
    "Fold",
    "Model",
    "OnlinePipeline",
    "Run",
    "SlidingWindow",
    "SlidingWindows",
    "Timing",
    "Training",
    "Validation",
    "certify",
    "choose_folds",
    "cued_windows",
    "evaluate",
    "evaluate_executed_to_intended",
    "learning_curve",
    "load_model",
    "model_digest",
    "save_model",
    "score_control",
    "score_cued",
    "shuffled_within_runs",
    "split_runs",
    "task_events",
    "train",
]

_HOMES = {
    "chain": ("CleaningStage", "FilterChain"),
    "decided": ("Decisions",),
    "evaluating": ("RIVALS", "Evaluation", "evaluate", "learning_curve"),
    "folding": ("Fold", "choose_folds", "shuffled_within_runs"),
    "model": ("Model", "Timing", "Training", "Validation"),
    "model_file": ("certify", "load_model", "model_digest", "save_model"),
    "online": ("OnlinePipeline",),
    "runs": ("Run", "split_runs", "task_events"),
    "scoring": ("CuedScore", "score_control", "score_cued"),
    "training": ("MOTOR_CHANNELS", "train"),
    "transfer": ("evaluate_executed_to_intended",),
    "windows": ("CuedWindows", "SlidingWindow", "SlidingWindows", "cued_windows"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
