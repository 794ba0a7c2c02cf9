"""Gaps, artefacts, eyes, ASR, potato, quality."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.chunks import Chunk
from bci.dsp import (
    ArtefactDetector,
    ArtifactSubspaceReconstruction,
    GapPolicy,
    Mark,
    Marks,
    RiemannianPotato,
    SosFilter,
    _loops,
    assess_quality,
    blink_projection,
    calibrate_asr,
    design_asr_weighting,
    design_bandpass,
    design_highpass,
    eye_regression,
    mark_lead_off,
)
from bci.errors import DesignError, FlatSignalError, NonFiniteError, ShapeError, TooFewTrialsError
from tests import naive
from tests.dsp.signals import FS, eeg

# ---- gaps ----------------------------------------------------------------------------------------------------


def test_a_short_gap_becomes_a_line_and_is_marked() -> None:
    policy = GapPolicy(1, fs_hz=FS, settle_ms=0)
    policy.process(Chunk(np.array([[0.0, 1.0]]), first_sample=10))
    out = policy.process(Chunk(np.array([[5.0, 6.0]]), first_sample=15, lost_before=3))
    assert out.data_uv.tolist() == [[2.0, 3.0, 4.0, 5.0, 6.0]]
    assert out.first_sample == 12
    assert not out.reset
    assert [(m.first_sample, m.end_sample, m.kind) for m in out.marks] == [(12, 15, "gap")]


def test_a_long_gap_and_a_restart_reset_the_stages_behind() -> None:
    policy = GapPolicy(1, fs_hz=FS, reset_after_ms=40)
    assert policy.process(Chunk(np.ones((1, 5)), first_sample=0)).reset
    assert not policy.process(Chunk(np.ones((1, 5)), first_sample=15)).reset  # 10 samples = 40 ms
    out = policy.process(Chunk(np.ones((1, 5)), first_sample=31))
    assert out.reset
    assert out.data_uv.shape == (1, 5)
    assert "11 samples were lost" in out.marks[0].reason
    assert policy.process(Chunk(np.ones((1, 5)), first_sample=36, restart=True)).reset


def test_samples_that_come_twice_are_refused() -> None:
    policy = GapPolicy(1, fs_hz=FS)
    policy.process(Chunk(np.ones((1, 5)), first_sample=0))
    with pytest.raises(ShapeError, match="came already"):
        policy.process(Chunk(np.ones((1, 5)), first_sample=4))


@settings(max_examples=30, deadline=None)
@given(
    bad=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 59)), max_size=8),
    gap_at=st.integers(1, 59),
    lost=st.integers(0, 30),
    cuts=st.lists(st.integers(1, 59), max_size=4),
)
def test_what_leaves_the_policy_is_finite_and_the_same_however_it_was_cut(
    bad: list[tuple[int, int]], gap_at: int, lost: int, cuts: list[int]
) -> None:
    x = eeg(3, 60)
    for c, t in bad:
        x[c, t] = np.nan if (c + t) % 2 else np.inf

    def run(edges: list[int]) -> tuple[np.ndarray, set[int], list[int]]:
        policy = GapPolicy(3, fs_hz=FS, settle_ms=8)
        parts, marked, resets = [], set(), []
        for a, b in pairwise(edges):
            first = a + (lost if a >= gap_at else 0)
            out = policy.process(Chunk(x[:, a:b], first_sample=first))
            parts.append(out.data_uv)
            resets += [out.first_sample] if out.reset else []
            for m in out.marks:
                marked |= set(range(m.first_sample, m.end_sample))
        return np.concatenate(parts, axis=1), marked, resets

    plain = run([0, gap_at, 60])
    cut = run(sorted({0, gap_at, 60, *cuts}))
    assert np.isfinite(plain[0]).all()
    assert plain[0].tobytes() == cut[0].tobytes()
    assert plain[1:] == cut[1:]
    holes = {t + (lost if t >= gap_at else 0) for _, t in bad}
    assert holes | set(range(gap_at, gap_at + lost)) <= plain[1]


def test_marks_answer_which_of_them_touch_a_window() -> None:
    marks = Marks([Mark(10, 20, "gap", "lost"), Mark(30, 31, "muscle", "teeth")])
    assert [m.kind for m in marks.touching(19, 30)] == ["gap"]
    assert marks.touching(20, 30) == []
    assert [m.kind for m in marks.touching(0, 100)] == ["gap", "muscle"]
    marks.forget_before(20)
    assert len(marks) == 1


# ---- detectors -----------------------------------------------------------------------------------------------


def test_each_artefact_is_found_where_it_is_and_named() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 3000)) * 3 + 10_000
    x[0, 500:520] = 187_000.0
    x[1, 1000:1100] = x[1, 1000]
    x[2, 1502] += 300.0
    x[3, 2000:2100] += 150 * np.sin(2 * np.pi * 4 * np.arange(100) / FS)
    x[4, 2500:2600] += rng.normal(size=100) * 40
    marks = ArtefactDetector(5, fs_hz=FS, channels=["A", "B", "C", "D", "E"]).process(x, 0)
    found = {(m.kind, c) for m in marks for c in m.channels}
    assert {("saturation", 0), ("flat", 1), ("step", 2), ("amplitude", 3), ("muscle", 4)} <= found
    for kind, channel, at in (
        ("saturation", 0, 510),
        ("flat", 1, 1050),
        ("step", 2, 1502),
        ("muscle", 4, 2550),
    ):
        hits = [m for m in marks if m.kind == kind and channel in m.channels]
        assert any(m.first_sample <= at < m.end_sample for m in hits)
        assert "ABCDE"[channel] in hits[0].reason
    clean = [m for m in marks if m.first_sample < 450]
    assert clean == []


def test_mains_alone_is_not_muscle() -> None:
    t = np.arange(5000) / FS
    x = 60 * np.sin(2 * np.pi * 50 * t)[None] + np.random.default_rng(0).normal(size=(1, 5000)) * 3
    late = [m for m in ArtefactDetector(1, fs_hz=FS).process(x, 0) if m.first_sample > 500]
    assert late == []


def test_lead_off_bits_become_stretches() -> None:
    bits = np.zeros((2, 10), dtype=bool)
    bits[1, 3:6] = bits[1, 9] = True
    marks = mark_lead_off(bits, 100, channels=["C3", "C4"])
    assert [(m.first_sample, m.end_sample, m.channels) for m in marks] == [(103, 106, (1,)), (109, 110, (1,))]
    assert "C4" in marks[0].reason


# ---- eyes ----------------------------------------------------------------------------------------------------


def _with_blinks(n_channels: int = 8) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    brain = rng.normal(size=(n_channels, n_channels)) @ rng.normal(size=(n_channels, 10_000)) * 3
    blink = np.zeros(10_000)
    for at in range(700, 9_500, 900):
        blink[at : at + 75] += 150 * np.hanning(75)
    return brain, np.outer(np.linspace(1.0, 0.1, n_channels), blink)


def test_eye_regression_takes_the_blinks_out_and_leaves_the_eog() -> None:
    brain, blinks = _with_blinks()
    eog = blinks[:1] + np.random.default_rng(1).normal(size=(1, 10_000)) * 2
    x = np.concatenate([brain + blinks, eog])
    matrix = eye_regression(x, eog=[8])
    y = matrix @ x
    assert np.std(y[:8] - brain) < 0.1 * np.std(blinks)
    assert np.array_equal(y[8], x[8])
    with pytest.raises(FlatSignalError):
        eye_regression(np.concatenate([brain, np.zeros((1, 10_000))]), eog=[8])


def test_blinks_are_found_without_eog() -> None:
    brain, blinks = _with_blinks()
    x = brain + blinks
    y = blink_projection(x, frontal=[0, 1], fs_hz=FS) @ x
    during = np.abs(blinks[0]) > 10
    assert np.std((y - brain)[:, during]) < 0.35 * np.std(blinks[:, during])
    assert np.linalg.matrix_rank(blink_projection(x, frontal=[0], fs_hz=FS)) == 7
    with pytest.raises(TooFewTrialsError, match="blinks"):
        blink_projection(np.random.default_rng(0).normal(size=(4, 5000)), frontal=[0], fs_hz=FS)


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
    from pyriemann.utils.distance import distance_riemann
    from pyriemann.utils.mean import mean_riemann

    rng = np.random.default_rng(0)
    covs = np.stack([np.cov(rng.normal(size=(4, 200))) for _ in range(80)])
    ours = RiemannianPotato(z_limit=10.0).fit(covs)
    centre = mean_riemann(covs, tol=1e-12)
    np.testing.assert_allclose(ours.mean, centre, rtol=1e-8, atol=1e-9)
    logs = np.log([distance_riemann(c, centre) for c in covs])
    np.testing.assert_allclose(ours.z_score(covs), (logs - logs.mean()) / logs.std(), atol=1e-6)


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


# ---- quality -------------------------------------------------------------------------------------------------


def test_quality_ranks_electrodes_and_says_why() -> None:
    rng = np.random.default_rng(0)
    n = int(20 * FS)
    t = np.arange(n) / FS
    band = SosFilter(design_bandpass(1, 20, fs_hz=FS, order=1), n_channels=7)
    brain = np.array(band.process(rng.normal(size=(7, n)) * 40)) + 0.5 * rng.normal(size=(7, n))
    x = brain.copy()
    x[1] += 150 * np.sin(2 * np.pi * 50 * t)
    x[2, 1000:1500] = x[2, 1000]
    x[3, ::2] = 187_000.0
    x[4] = 0.05 * rng.normal(size=n)
    x[5] += 160_000.0
    x[6] += 40 * rng.normal(size=n)
    q = {r.channel: r for r in assess_quality(x, fs_hz=FS, channels=list("abcdefg"))}
    assert q["a"].score >= 90
    for bad, word in (
        ("b", "mains"),
        ("c", "flat"),
        ("d", "range"),
        ("e", "hardly"),
        ("f", "offset"),
        ("g", "noise"),
    ):
        assert q[bad].score < q["a"].score - 5, bad
        assert any(word in r for r in q[bad].reasons), (bad, q[bad])
    assert q["c"].score == q["d"].score == 0
    assert q["b"].line_ratio > 100 > q["a"].line_ratio
    assert q["f"].offset_uv == pytest.approx(160_000, rel=0.01)


def test_quality_of_too_short_or_lost_signal_is_refused() -> None:
    with pytest.raises(ShapeError, match="4 s"):
        assess_quality(np.zeros((2, 100)), fs_hz=FS)
    with pytest.raises(NonFiniteError):
        assess_quality(np.full((2, 2000), np.nan), fs_hz=FS)
    with pytest.raises(DesignError):
        assess_quality(np.zeros((2, 2000)), fs_hz=60)


def test_real_eeg_is_mostly_good(shared_data) -> None:  # type: ignore[no-untyped-def]
    import mne

    folder = shared_data("eegmmidb")
    path = next(iter(sorted(folder.rglob("S001R03.edf"))), None)
    if path is None:
        pytest.skip("S001R03.edf is not in eegmmidb")
    raw = mne.io.read_raw_edf(path, verbose="error")
    x = raw.get_data() * 1e6
    high = SosFilter(design_highpass(0.5, fs_hz=raw.info["sfreq"]), n_channels=len(x)).process(x)
    assert np.isfinite(high).all()
    scores = [q.score for q in assess_quality(x, fs_hz=raw.info["sfreq"], line_hz=60.0)]
    assert np.median(scores) >= 60
