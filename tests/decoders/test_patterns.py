"""Activation patterns show the source, not the weights."""

from __future__ import annotations

import mne
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.decoders import riemann
from bci.decoders.patterns import carriers, csp_patterns, haufe_pattern, member_patterns, region
from bci.decoders.tangent_space import TangentSpaceDecoder
from bci.errors import ShapeError

RNG = np.random.default_rng(5)
MIXING = RNG.normal(size=(6, 6))


def windows(n: int = 80) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Sources mixed to six channels; the first source has half the amplitude in class "grasp"."""
    labels = np.tile(["grasp", "rest"], n // 2)
    sources = RNG.normal(size=(n, 6, 400))
    sources[labels == "grasp", 0] *= 0.5
    return MIXING @ sources, labels


def test_haufe_pattern_finds_the_source_where_weights_point_at_the_noise() -> None:
    # channel 0 = signal + noise, channel 1 = noise: the decoder needs channel 1, the signal is not in it
    signal, noise = RNG.normal(size=(2, 20_000))
    features = np.column_stack([signal + noise, noise])
    weights = np.array([1.0, -1.0])
    assert haufe_pattern(features, weights) == pytest.approx([1.0, 0.0], abs=0.03)


def test_haufe_pattern_agrees_with_mne() -> None:
    features = RNG.normal(size=(300, 5)) @ RNG.normal(size=(5, 5))
    labels = (features @ np.array([1, 0, -1, 0.5, 0]) + RNG.normal(size=300) > 0).astype(int)
    model = mne.decoding.LinearModel().fit(features, labels)
    ours = haufe_pattern(features, model.filters_)
    score = (features - features.mean(axis=0)) @ model.filters_
    assert ours == pytest.approx(model.patterns_ / score.std(), rel=1e-2)  # MNE does not divide by the score


def test_power_pattern_is_the_share_of_power_that_the_source_takes_from_each_channel() -> None:
    x, labels = windows()
    decoder = TangentSpaceDecoder(shrinkage="none").fit(x, labels)
    covs = x @ x.transpose(0, 2, 1) / x.shape[2]
    pattern = member_patterns(decoder.frozen_, covs[:, None], towards="grasp")[0]
    change = np.log(covs[labels == "grasp"].mean(0).diagonal() / covs[labels == "rest"].mean(0).diagonal())
    assert (pattern < 0).all()
    assert np.corrcoef(pattern, change)[0, 1] > 0.98


def test_csp_patterns_are_the_mixing_columns_of_the_sources() -> None:
    filters = np.linalg.inv(MIXING)[:2]
    assert csp_patterns(filters, MIXING @ MIXING.T) == pytest.approx(MIXING[:, :2].T, abs=1e-9)


def test_a_pattern_over_visual_cortex_is_called_by_its_name() -> None:
    channels = ("C3", "Cz", "C4", "O1", "O2", "Fp1")
    judged = carriers(np.array([-0.1, 0, -0.1, -0.5, -0.4, 0.05]), channels)
    assert judged.strongest == ("O1", "O2", "C3")
    assert "posterior channels (what is seen)" in judged.warning
    assert "frontal" not in judged.warning
    assert carriers(np.array([-0.5, 0, -0.1, -0.1, 0.1, 0.05]), channels).warning == ""
    assert "the eyes" in carriers(np.array([0.1, 0, 0, 0, 0, 2.0]), channels).warning


def test_regions_cover_the_rows_of_the_10_10_system() -> None:
    assert [region(name) for name in ("FCz", "CP3", "F1", "AF7", "F8", "P3", "Iz", "T8", "A1")] == [
        *("motor", "motor", "motor", "frontal", "frontal", "posterior", "posterior", "other", "other"),
    ]


@settings(max_examples=30, deadline=None)
@given(scale=st.floats(0.01, 100), seed=st.integers(0, 1000))
def test_a_pattern_does_not_depend_on_the_length_of_the_weights(scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    features, weights = rng.normal(size=(50, 4)), rng.normal(size=4)
    assert haufe_pattern(features, scale * weights) == pytest.approx(haufe_pattern(features, weights))


def test_constant_scores_and_foreign_shapes() -> None:
    assert haufe_pattern(np.ones((5, 2)), np.ones(2)).tolist() == [0, 0]
    with pytest.raises(ShapeError):
        haufe_pattern(np.ones((5, 2)), np.ones(3))
    with pytest.raises(ShapeError):
        carriers(np.ones(2), ("C3",))
    assert riemann.tangent_vectors(np.eye(2)[None], np.eye(2)).shape == (1, 3)
