"""Artifact subspace reconstruction and the Riemannian potato."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from bci.dsp import (
    ArtifactSubspaceReconstruction,
    Marks,
    RiemannianPotato,
    SlidingCovariance,
    _loops,
    calibrate_asr,
    design_asr_weighting,
)
from bci.errors import DesignError, NonFiniteError, ShapeError, TooFewTrialsError
from tests import naive
from tests.dsp.signals import FS, cuts_of, pieces

# ---- ASR -----------------------------------------------------------------------------------------------------


def _dirty(n_channels: int = 12) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    sources = rng.normal(size=(n_channels, 30_000)) * rng.uniform(1, 8, size=(n_channels, 1))
    clean = rng.normal(size=(n_channels, n_channels)) @ sources
    dirty = clean[:, 15_000:].copy()
    for at in range(1000, 14_000, 2500):
        dirty[:, at : at + 120] += np.outer(rng.normal(size=n_channels), 2000 * np.hanning(120))
    return clean, dirty


def test_asr_removes_bursts_and_leaves_clean_signal_alone() -> None:
    clean, dirty = _dirty()
    model = calibrate_asr(clean[:, :15_000], fs_hz=FS, cutoff=20)
    stage = ArtifactSubspaceReconstruction(model)
    y = stage.process(dirty)
    d = stage.delay_samples
    truth = clean[:, 15_000 : 15_000 + y.shape[1] - d]
    before, after = dirty[:, : y.shape[1] - d] - truth, y[:, d:] - truth
    assert np.std(after) < 0.15 * np.std(before)
    quiet = slice(200, 800)
    assert np.array_equal(y[:, d:][:, quiet], truth[:, quiet])


@pytest.mark.parametrize("step", [8, 32])
def test_asr_equals_the_slow_twin_and_marks_what_it_rebuilt(step: int) -> None:
    clean, dirty = _dirty(8)
    model = calibrate_asr(clean[:, :15_000], fs_hz=FS, cutoff=10)
    stage = ArtifactSubspaceReconstruction(model, step_samples=step, window_s=0.512)
    y = stage.process(dirty[:, :3000], 7000)
    d = stage.delay_samples
    n_blocks = 2 * d // step
    want = naive.asr(dirty[:, :3000], model.mixing, model.thresholds, model.sos, step=step, n_blocks=n_blocks)
    np.testing.assert_allclose(y, want, atol=1e-6 * np.abs(dirty).max())
    assert stage.output_sample == 7000 - d
    changed = np.any(y[:, d:] != dirty[:, : y.shape[1] - d], axis=0)
    marked = Marks(stage.marks).mask(7000, 7000 + len(changed))
    assert changed.any()
    assert not (changed & ~marked).any()
    assert marked.mean() < changed.mean() + 2 * step * len(stage.marks) / len(marked)
    assert all(m.kind == "rebuilt" and "of 8 directions" in m.reason for m in stage.marks)


@settings(max_examples=6, deadline=None)
@given(cuts=cuts_of(2000))
def test_asr_marks_the_same_steps_however_the_signal_was_cut(cuts: list[int]) -> None:
    clean, dirty = _dirty(6)
    stage = ArtifactSubspaceReconstruction(calibrate_asr(clean[:, :15_000], fs_hz=FS, cutoff=10))
    whole = [stage.process(dirty[:, :2000], 500), *stage.marks]
    stage.reset()
    marks, next_output = [], 500 - stage.delay_samples
    for a, piece in pieces(dirty[:, :2000], cuts):
        y = stage.process(piece, 500 + a)
        assert stage.output_sample == next_output or y.shape[1] == 0
        next_output += y.shape[1]
        marks += stage.marks
    assert marks == whole[1:]
    assert marks


def test_a_jump_in_the_numbers_starts_asr_anew() -> None:
    clean, dirty = _dirty(6)
    model = calibrate_asr(clean[:, :15_000], fs_hz=FS)
    stage, fresh = ArtifactSubspaceReconstruction(model), ArtifactSubspaceReconstruction(model)
    stage.process(dirty[:, :1000], 0)
    a, b = stage.process(dirty[:, 1000:1500], 1200), fresh.process(dirty[:, 1000:1500], 1200)
    assert a.tobytes() == b.tobytes()
    assert stage.output_sample == fresh.output_sample


def test_asr_equals_asrpy_given_the_same_model() -> None:
    asr_module = pytest.importorskip("asrpy.asr", reason="the rival is not installed")
    from scipy.signal import sos2tf

    clean, dirty = _dirty()
    model = calibrate_asr(clean[:, :15_000], fs_hz=FS, cutoff=10)
    stage = ArtifactSubspaceReconstruction(model, window_s=0.512)
    y = stage.process(dirty)
    b, a = sos2tf(model.sos)
    d = stage.delay_samples
    want = asr_module.asr_process(
        dirty.copy(), FS, model.mixing, model.thresholds, windowlen=0.512, lookahead=d / FS, stepsize=32, ab=(a, b),
        Zi=np.zeros((12, 8)), mem_splits=1,
    )  # fmt: skip
    late = slice(500, min(y.shape[1], want.shape[1]) - 50)
    for ours, theirs in zip(y[:, late], want[:, late], strict=True):
        assert np.corrcoef(ours, theirs)[0, 1] > 0.999


def test_the_quick_test_agrees_with_eigenvalues() -> None:
    rng = np.random.default_rng(0)
    verdicts = set()
    for _ in range(200):
        root = rng.normal(size=(6, 6))
        cov, limit = root @ root.T, np.diag(rng.uniform(1, 60, size=6))
        below = bool(_loops.is_below(limit, cov, np.zeros((6, 6))))
        assert below == (not naive.crossing_directions(cov, np.sqrt(limit)))
        verdicts.add(below)
    assert verdicts == {True, False}


@pytest.mark.parametrize("fs", [128.0, 250.0, 1000.0])
def test_the_weighting_follows_its_curve(fs: float) -> None:
    from scipy.signal import sosfreqz

    _, h = sosfreqz(design_asr_weighting(fs_hz=fs), worN=[1, 8, 25, 0.4 * fs], fs=fs)
    delta, alpha, beta, gamma = np.abs(h)
    assert alpha < 0.5 * delta
    assert alpha < 0.5 * beta
    assert gamma >= 0.8 * beta


def test_asr_refuses_too_little_calibration_and_bad_parameters() -> None:
    clean, _ = _dirty()
    with pytest.raises(TooFewTrialsError, match="half a minute"):
        calibrate_asr(clean[:, :500], fs_hz=FS)
    with pytest.raises(DesignError):
        design_asr_weighting(fs_hz=60)
    model = calibrate_asr(clean, fs_hz=FS)
    with pytest.raises(DesignError):
        ArtifactSubspaceReconstruction(model, max_removed=1.5)
    with pytest.raises(NonFiniteError):
        ArtifactSubspaceReconstruction(model).process(np.full((12, 10), np.nan))


# ---- potato --------------------------------------------------------------------------------------------------


def test_the_potato_agrees_with_pyriemann() -> None:
    try:
        from pyriemann.geometry.distance import distance_riemann
        from pyriemann.geometry.mean import mean_riemann
    except ImportError:  # before 0.11
        from pyriemann.utils.distance import distance_riemann
        from pyriemann.utils.mean import mean_riemann

    rng = np.random.default_rng(0)
    covs = np.stack([np.cov(rng.normal(size=(4, 200))) for _ in range(80)])
    ours = RiemannianPotato(z_limit=10.0).fit(covs)
    centre = mean_riemann(covs, tol=1e-12)
    np.testing.assert_allclose(ours.mean, centre, rtol=1e-8, atol=1e-9)
    logs = np.log([distance_riemann(c, centre) for c in covs])
    np.testing.assert_allclose(ours.z_score(covs), (logs - logs.mean()) / logs.std(), atol=1e-6)
    twin = np.log([naive.riemannian_distance(centre, c) for c in covs])
    np.testing.assert_allclose(logs, twin, atol=1e-9)


def test_the_potato_marks_the_windows_that_lie_outside() -> None:
    x = np.random.default_rng(0).normal(size=(4, 5000)) * 5
    x[:, 4000:4100] += np.outer([1, 1, 0, 0], 60 * np.sin(np.arange(100)))
    ends, covs = SlidingCovariance(4, window_samples=100, step_samples=50).process(x, 0)
    potato = RiemannianPotato(z_limit=5).fit(covs[:60])
    marks = potato.judge(ends, covs, window_samples=100)
    assert {(m.first_sample, m.end_sample) for m in marks} == {(3950, 4050), (4000, 4100), (4050, 4150)}
    assert all(m.kind == "covariance" and "deviations off" in m.reason for m in marks)
    assert potato.judge(ends[:0], covs[:0], window_samples=100) == []


def test_the_potato_leaves_outliers_out_of_its_mean() -> None:
    rng = np.random.default_rng(0)
    covs = np.stack([np.cov(rng.normal(size=(4, 200))) for _ in range(80)])
    covs[5] *= 30
    potato = RiemannianPotato().fit(covs)
    assert not potato.is_clean(covs)[5]
    assert potato.is_clean(covs).sum() >= 76
    alone = RiemannianPotato().fit(np.delete(covs, 5, axis=0))
    np.testing.assert_allclose(potato.mean, alone.mean, rtol=0.02, atol=0.01)


def test_the_potato_refuses_what_is_no_covariance() -> None:
    with pytest.raises(TooFewTrialsError):
        RiemannianPotato().fit(np.stack([np.eye(3)] * 3))
    with pytest.raises(NonFiniteError):
        RiemannianPotato().fit(np.stack([np.diag([1.0, 0.0, 1.0])] * 10))
    with pytest.raises(ShapeError):
        RiemannianPotato().fit(np.eye(3))
