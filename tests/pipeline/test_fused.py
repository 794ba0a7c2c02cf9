"""The fused decision step: the same numbers as stage by stage, the same bits however the signal is cut."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.chunks import F64
from bci.decoders.frozen import FrozenEnsemble, View
from bci.dsp import FilterBank, SlidingCovariance, SosFilter, covariances, design_bandpass, oas
from bci.errors import NonFiniteError, ShapeError
from bci.pipeline.fused import CspStep, TangentStep

FS, N, WINDOW, STEP = 250.0, 11, 240, 24
BANDS = [design_bandpass(*band, fs_hz=FS, order=4) for band in ((8, 13), (8, 30), (13, 30))]
RNG = np.random.default_rng(3)
SIGNAL = np.asfortranarray(RNG.normal(size=(N, N)) @ RNG.normal(size=(N, 1500)) * 5)


def symmetric(*shape: int) -> F64:
    a = RNG.normal(size=(*shape, N, N))
    return a + np.swapaxes(a, -1, -2)


MEMBERS = {
    "band_of": [0, 1, 2, 1],
    "whitening": 0.2 * np.eye(N) + 0.004 * symmetric(4),
    "weights": symmetric(4, 3),
    "bias": RNG.normal(size=(4, 3)),
    "shares": np.array([0.4, 0.3, 0.2, 0.1]),
    "clip": 4.0,
}
FILTERS, WEIGHTS, BIAS = RNG.normal(size=(6, N)), RNG.normal(size=(2, 6)), RNG.normal(size=2)


def tangent_step() -> TangentStep:
    return TangentStep(BANDS, n_channels=N, window_samples=WINDOW, step_samples=STEP, **MEMBERS)


def csp_step() -> CspStep:
    return CspStep(
        BANDS[1],
        n_channels=N,
        window_samples=WINDOW,
        step_samples=STEP,
        filters=FILTERS,
        weights=WEIGHTS,
        bias=BIAS,
    )


def run(step: TangentStep | CspStep, x: F64, sizes: list[int], first: int = 0) -> tuple[list[int], F64]:
    """End samples and scores over a signal cut into pieces of these sizes, taken round and round."""
    ends, scores, at, i = [], [], 0, 0
    while at < x.shape[1]:
        piece = x[:, at : at + sizes[i % len(sizes)]]
        step.process(piece, first + at)
        ends += step.end_samples.tolist()
        scores.append(step.scores.copy())
        at, i = at + piece.shape[1], i + 1
    return ends, np.concatenate(scores)


def test_members_agree_with_the_stages_one_by_one() -> None:
    ends, scores = run(tangent_step(), SIGNAL, [37])
    bank = FilterBank(BANDS, n_channels=N)
    stage = SlidingCovariance(N, window_samples=WINDOW, step_samples=STEP, n_bands=3)
    expected_ends, covs = stage.process(bank.process(SIGNAL), 0)
    assert ends == expected_ends.tolist()
    assert len(ends) > 50
    decoder = FrozenEnsemble(
        ("a", "b", "c"),
        tuple(View(band) for band in MEMBERS["band_of"]),
        MEMBERS["whitening"],
        MEMBERS["weights"],
        MEMBERS["bias"],
        MEMBERS["shares"],
        MEMBERS["clip"],
    )
    shrunk = oas(covs[:, MEMBERS["band_of"]], WINDOW)
    each, _ = decoder.member_scores(decoder.logarithms(shrunk))
    assert (np.abs(each - each.mean(axis=2, keepdims=True)) > MEMBERS["clip"]).any()
    expected, _ = decoder.scores(shrunk)
    np.testing.assert_allclose(scores, expected, rtol=1e-10, atol=1e-10)


def test_spatial_filters_agree_with_the_logarithm_of_filtered_covariances() -> None:
    ends, scores = run(csp_step(), SIGNAL, [37])
    y = SosFilter(BANDS[1], n_channels=N).process(SIGNAL)
    covs = covariances(np.stack([y[:, end - WINDOW : end] for end in ends]))
    powers = np.log(np.einsum("fi,kij,fj->kf", FILTERS, covs, FILTERS))
    np.testing.assert_allclose(scores, powers @ WEIGHTS.T + BIAS, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("make", [tangent_step, csp_step])
def test_distances_and_scores_are_the_same_bits_however_the_signal_is_cut(make: type) -> None:
    whole = run(make(), SIGNAL, [1500], first=5)

    @settings(max_examples=15, deadline=None)
    @given(sizes=st.lists(st.integers(1, 200), min_size=1, max_size=6))
    def any_cut(sizes: list[int]) -> None:
        ends, scores = run(make(), SIGNAL, sizes, first=5)
        assert ends == whole[0]
        assert np.array_equal(scores, whole[1])

    any_cut()


@pytest.mark.parametrize("make", [tangent_step, csp_step])
@pytest.mark.parametrize("cut", [1, 100, 733])
def test_a_saved_step_goes_on_bit_for_bit(make: type, cut: int) -> None:
    whole = run(make(), SIGNAL, [50])
    first, second = make(), make()
    before = run(first, SIGNAL[:, :cut], [50])
    second.restore({key: value.copy() for key, value in first.state().items()})
    after = run(second, SIGNAL[:, cut:], [50], first=cut)
    assert before[0] + after[0] == whole[0]
    assert np.array_equal(np.concatenate([before[1], after[1]]), whole[1])
    with pytest.raises(ShapeError):
        second.restore(
            {key: value if "ring" not in key else value[:1] for key, value in first.state().items()}
        )


@pytest.mark.parametrize("make", [tangent_step, csp_step])
def test_a_refused_chunk_leaves_no_trace(make: type) -> None:
    whole = run(make(), SIGNAL, [50])
    step = make()
    first = run(step, SIGNAL[:, :300], [50])
    bad = SIGNAL[:, 300:350].copy(order="F")
    bad[3, 7] = np.nan
    with pytest.raises(NonFiniteError):
        step.process(bad, 300)
    assert len(step.end_samples) == 0
    for wrong in (SIGNAL[:4, :10], SIGNAL[:, :10].astype(np.float32)):
        with pytest.raises(ShapeError):
            step.process(wrong, 300)
    rest = run(step, SIGNAL[:, 300:], [50], first=300)
    assert first[0] + rest[0] == whole[0]
    assert np.array_equal(np.concatenate([first[1], rest[1]]), whole[1])


@pytest.mark.parametrize("make", [tangent_step, csp_step])
def test_no_window_spans_a_jump_or_a_reset(make: type) -> None:
    step = make()
    run(step, SIGNAL[:, :600], [60])
    ends, _ = run(step, SIGNAL[:, 600:1000], [60], first=48 * 24)
    assert ends[0] == 48 * 24 + WINDOW
    step.reset()
    ends, scores = run(step, SIGNAL, [60])
    again = run(make(), SIGNAL, [60])
    assert ends == again[0]
    assert np.array_equal(scores, again[1])


def test_a_singular_covariance_gives_no_number() -> None:
    """OAS keeps flat channels positive definite; only a signal that is constant throughout has no covariance."""
    step = tangent_step()
    step.process(np.zeros((N, 600), order="F"), 0)
    assert len(step.end_samples) > 0
    assert np.isnan(step.scores).all()


def test_the_plain_twins_agree_with_the_vector_kernels() -> None:
    code = (
        "from tests.pipeline.test_fused import *\n"
        "for make in (tangent_step, csp_step):\n"
        "    ends, scores = run(make(), SIGNAL[:, :400], [37])\n"
        "    print(ends, scores.ravel().tolist())\n"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "BCI_PLAIN_KERNELS": plain},
        ).stdout.splitlines()
        for plain in ("1", "0")
    ]
    for ours, theirs in zip(*outputs, strict=True):
        (ends, scores), (other_ends, other_scores) = (line.split("] [") for line in (ours, theirs))
        assert ends == other_ends
        a, b = (np.array(t.strip("[]").split(","), dtype=float) for t in (scores, other_scores))
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
