"""Runs and a trained model, made once."""

from __future__ import annotations

import pytest

from bci.pipeline import Model, Run, train
from tests.pipeline.synthetic import make_run


@pytest.fixture(scope="session")
def runs() -> list[Run]:
    return [make_run(seed=seed, first_sample=seed * 100_000) for seed in range(4)]


@pytest.fixture(scope="session")
def model(runs: list[Run]) -> Model:
    return train(runs[:2], labels=("grasp", "rest"), budget_per_min=3.0, issued_s=1000.0)
