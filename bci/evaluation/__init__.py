"""How good a decoder is, with the uncertainty of that statement: pure functions on arrays.

Three rules hold here. Every figure has a name and a source. A figure from few trials comes with its
interval and with what chance alone would reach. Nothing is split inside a run: neighbouring windows share
drift, so a shuffled fold measures the drift (Varoquaux et al., NeuroImage 145:166-179, 2017,
doi:10.1016/j.neuroimage.2016.10.038).
"""

from __future__ import annotations

from bci.evaluation.chance import (
    PermutationTest,
    balanced_accuracy_chance_threshold,
    chance_level,
    chance_threshold,
    permutation_test,
)
from bci.evaluation.comparison import PairedDifference, PairedTrials, paired_bootstrap, sign_flip_test
from bci.evaluation.events import EventScore, TaskEvent, match_events
from bci.evaluation.folds import run_blocked_folds
from bci.evaluation.intervals import Interval, balanced_accuracy_interval, poisson_interval, wilson_interval
from bci.evaluation.metrics import (
    area_under_curve,
    balanced_accuracy,
    cohen_kappa,
    information_transfer_rate,
)
from bci.evaluation.reliability import (
    CalibrationError,
    ReliabilityBin,
    brier_score,
    calibration_error,
    log_loss,
    reliability,
)

__all__ = [
    "CalibrationError",
    "EventScore",
    "Interval",
    "PairedDifference",
    "PairedTrials",
    "PermutationTest",
    "ReliabilityBin",
    "TaskEvent",
    "area_under_curve",
    "balanced_accuracy",
    "balanced_accuracy_chance_threshold",
    "balanced_accuracy_interval",
    "brier_score",
    "calibration_error",
    "chance_level",
    "chance_threshold",
    "cohen_kappa",
    "information_transfer_rate",
    "log_loss",
    "match_events",
    "paired_bootstrap",
    "permutation_test",
    "poisson_interval",
    "reliability",
    "run_blocked_folds",
    "sign_flip_test",
    "wilson_interval",
]
