"""The default wearer is as hard to decode as an able novice, and one without intent cannot be decoded."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import butter, sosfilt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

from bci.acquisition.simulator import CuedRun, Synthetic, SyntheticEeg
from bci.acquisition.simulator._signals import UV_PER_COUNT, quantise

covariances = pytest.importorskip("pyriemann.estimation").Covariances
tangent_space = pytest.importorskip("pyriemann.tangentspace").TangentSpace

MOTOR = ("F3", "Fz", "F4", "C3", "Cz", "C4")
SEEDS = range(3)


def accuracy(wearer: Synthetic, channels: tuple[str, ...]) -> float:
    """Trained on runs 1–2, tested on runs 3–4; causal 8–30 Hz, 0.5–3.5 s after the cue."""
    eeg = SyntheticEeg(wearer)
    fs = wearer.rate_hz
    rows = [eeg.channels.index(name) for name in channels]
    sos = butter(4, (8, 30), "bandpass", fs=fs, output="sos")
    windows, labels, runs = [], [], []
    for run in range(4):
        x = quantise(eeg.read(run, 0, eeg.run_samples(run)))[rows] * UV_PER_COUNT
        filtered = sosfilt(sos, x - x[:, :1])
        for cue, code in eeg.cues(run):
            windows.append(filtered[:, cue + fs // 2 : cue + 7 * fs // 2])
            labels.append(code)
            runs.append(run)
    features = covariances("oas").transform(np.array(windows))
    y, train = np.array(labels), np.array(runs) < 2
    space = tangent_space().fit(features[train])
    model = LogisticRegression(max_iter=1000).fit(space.transform(features[train]), y[train])
    return float(balanced_accuracy_score(y[~train], model.predict(space.transform(features[~train]))))


@pytest.mark.parametrize("channels", [Synthetic().montage, MOTOR], ids=["all", "motor"])
def test_default_wearers_are_decoded_at_75_to_95_percent(channels: tuple[str, ...]) -> None:
    scores = [accuracy(Synthetic(seed=seed), channels) for seed in SEEDS]
    assert all(0.74 <= score <= 0.96 for score in scores), scores
    assert 0.8 <= np.mean(scores) <= 0.9, scores


def test_wearers_without_intent_are_at_chance() -> None:
    scores = [accuracy(Synthetic(seed=seed, intent=0.0), MOTOR) for seed in SEEDS]
    # three times 60 test trials: three standard deviations of a coin
    assert abs(np.mean(scores) - 0.5) < 3 * 0.5 / np.sqrt(3 * 60), scores


@pytest.mark.nightly
def test_ten_default_wearers_are_decoded_at_75_to_95_percent() -> None:
    scores = [accuracy(Synthetic(seed=seed), Synthetic().montage) for seed in range(10)]
    assert all(0.75 <= score <= 0.95 for score in scores), scores
    sides = (CuedRun(classes=("left", "right")),) * 4
    assert np.mean([accuracy(Synthetic(seed=seed, runs=sides), MOTOR) for seed in range(10)]) > 0.75
