"""Executed → intended: calibrate on movements that were made, decode movements that are only meant.

Executed and intended movement desynchronise the same rhythms over the same cortex, and of an executed movement nobody
doubts whether it was made. A person who can still move, or could when the calibration was recorded, may start from
that. It is a mode of its own because its figures are its own: what a decoder reaches after training on intended
movement says nothing here, and a certificate of executed runs speaks of executed movement.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bci.errors import TooFewRunsError
from bci.language import _
from bci.pipeline.evaluating import RIVALS, Evaluation, evaluate
from bci.pipeline.folding import Fold
from bci.pipeline.runs import Run

__all__ = ["evaluate_executed_to_intended"]


def evaluate_executed_to_intended(
    executed: Sequence[Run],
    intended: Sequence[Run],
    *,
    labels: Sequence[str],
    rivals: Sequence[str] = RIVALS,
    control: bool = False,
    **options: Any,
) -> Evaluation:
    """Train on executed movement alone, score intended movement of the same person.

    Parameters
    ----------
    executed, intended : sequence of Run
        Same montage and rate, same names for the classes. Nothing of `intended` is trained, weighed or calibrated on;
        its references are followed causally, as live, in the decoder that adapts.
    labels, rivals, control, options
        As of `evaluate`.

    Returns
    -------
    Evaluation
        One fold. Runs are numbered executed first.

    Raises
    ------
    TooFewRunsError
        If there is no run on either side.
    Others as of `evaluate`.
    """
    if not executed or not intended:
        raise TooFewRunsError(
            _("expected runs of executed and of intended movement, got {n_executed} and {n_intended}").format(
                n_executed=len(executed), n_intended=len(intended)
            ),
            n_runs=min(len(executed), len(intended)),
            needed=1,
        )
    n = len(executed)
    fold = Fold(tuple(range(n)), tuple(range(n, n + len(intended))))
    return evaluate(
        [*executed, *intended], labels=labels, folds=[fold], rivals=rivals, control=control, **options
    )
