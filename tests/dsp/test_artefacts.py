"""Gaps, marks, artefact detectors, eyes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.chunks import Chunk
from bci.dsp import (
    ArtefactDetector,
    EyeFilter,
    GapPolicy,
    Mark,
    Marks,
    blink_projection,
    eye_regression,
    find_blinks,
    mark_lead_off,
)
from bci.errors import DesignError, FlatSignalError, ShapeError, TooFewTrialsError
from tests import naive
from tests.dsp.signals import FS, cuts_of, eeg, pieces

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


def test_marks_become_masks() -> None:
    marks = Marks([Mark(10, 12, "gap", "lost"), Mark(13, 20, "muscle", "teeth", (1,))])
    assert marks.mask(9, 15).tolist() == [False, True, True, False, True, True]
    assert marks.mask(9, 15, n_channels=2).astype(int).tolist() == [[0, 1, 1, 0, 0, 0], [0, 1, 1, 0, 1, 1]]
    assert marks.mask(20, 22, n_channels=2).tolist() == [[False, False]] * 2
    assert marks.mask(5, 5).shape == (0,)


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


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), first=st.integers(0, 100))
def test_the_detector_judges_each_block_as_the_slow_twin(seed: int, first: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3, 500)) * rng.choice([0.001, 3, 30, 120], size=(3, 1)) + 10_000
    x[rng.integers(3), rng.integers(500)] += 186_000
    x[0, 100:200] = x[0, 100]
    detector = ArtefactDetector(3, fs_hz=FS)
    marks = detector.process(x, first)
    detector.reset()
    muscle = naive.sosfilt(detector._muscle.sos, x)
    size = detector.block_samples
    for a in range(-first % size, 500 - size + 1, size):
        found = {(m.kind, c) for m in marks if m.first_sample == first + a for c in m.channels}
        assert found == naive.artefact_kinds(x, muscle, detector.limits, a, a + size)


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


def test_eye_regression_equals_the_slow_twin() -> None:
    x = np.random.default_rng(0).normal(size=(5, 5)) @ np.random.default_rng(1).normal(size=(5, 300))
    np.testing.assert_allclose(eye_regression(x, eog=[1, 4]) @ x, naive.regress_eyes(x, [1, 4]), atol=1e-9)


def test_eye_regression_equals_mne() -> None:
    import mne

    brain, blinks = _with_blinks(5)
    eog = blinks[:1] + np.random.default_rng(1).normal(size=(1, 10_000)) * 2
    x = np.concatenate([brain + blinks, eog])
    info = mne.create_info([*"abcde", "veog"], FS, ["eeg"] * 5 + ["eog"], verbose="error")
    raw = mne.io.RawArray(x * 1e-6, info, verbose="error")
    raw.set_eeg_reference([], verbose="error")
    fit = mne.preprocessing.EOGRegression(picks="eeg", picks_artifact="veog").fit(raw)
    want = fit.apply(raw).get_data(picks="eeg") * 1e6
    got = (eye_regression(x, eog=[5]) @ (x - x.mean(axis=1, keepdims=True)))[:5]
    np.testing.assert_allclose(got, want - want.mean(axis=1, keepdims=True), atol=1e-6)


@settings(max_examples=10, deadline=None)
@given(cuts=cuts_of(1500), first=st.integers(0, 1000))
def test_the_eye_filter_marks_what_it_took_however_the_signal_was_cut(cuts: list[int], first: int) -> None:
    brain, blinks = _with_blinks(4)
    x = np.asfortranarray((brain + blinks)[:, :1500])
    matrix = blink_projection(brain + blinks, frontal=[0], fs_hz=FS)
    stage = EyeFilter(matrix, fs_hz=FS, limit_uv=60, channels=["Fp1", "Fz", "Cz", "Pz"])
    y, marks = stage.process(x, first)
    np.testing.assert_allclose(y, naive.matrix_on_samples(matrix, x), atol=1e-9)
    size = stage.block_samples
    taken = x - y
    for a in range(-first % size, 1500 - size + 1, size):
        rows = tuple(c for c in range(4) if max(taken[c, a : a + size]) - min(taken[c, a : a + size]) > 60)
        assert [m.channels for m in marks if m.first_sample == first + a] == ([rows] if rows else [])
    assert "Fp1" in marks[0].reason
    stage.reset()
    parts = [stage.process(piece, first + a) for a, piece in pieces(x, cuts)]
    assert np.concatenate([p for p, _ in parts], axis=1).tobytes() == np.ascontiguousarray(y).tobytes()
    assert [m for _, found in parts for m in found] == marks


def test_blinks_are_marked_where_they_are() -> None:
    brain, blinks = _with_blinks()
    marks = find_blinks(brain + blinks, frontal=[0, 1], fs_hz=FS, first_sample=5000)
    starts = list(range(700, 9_500, 900))
    assert len(marks) == len(starts)
    for mark, at in zip(marks, starts, strict=True):
        assert mark.first_sample < 5000 + at + 30 < 5000 + at + 45 < mark.end_sample
        assert (mark.kind, mark.channels) == ("blink", (0, 1))
        assert "near the eyes" in mark.reason
    with pytest.raises(ShapeError, match="second"):
        find_blinks(brain[:, :100], frontal=[0], fs_hz=FS)
    with pytest.raises(ShapeError, match="frontal"):
        find_blinks(brain, frontal=[9], fs_hz=FS)


def test_an_eye_filter_that_cannot_be_is_refused() -> None:
    with pytest.raises(ShapeError):
        EyeFilter(np.ones((2, 3)), fs_hz=FS)
    with pytest.raises(ShapeError):
        EyeFilter(np.eye(2), fs_hz=FS, channels=["Fp1"])
    with pytest.raises(DesignError):
        EyeFilter(np.eye(2), fs_hz=10)


def test_blinks_are_found_without_eog() -> None:
    brain, blinks = _with_blinks()
    x = brain + blinks
    y = blink_projection(x, frontal=[0, 1], fs_hz=FS) @ x
    during = np.abs(blinks[0]) > 10
    assert np.std((y - brain)[:, during]) < 0.35 * np.std(blinks[:, during])
    assert np.linalg.matrix_rank(blink_projection(x, frontal=[0], fs_hz=FS)) == 7
    near = Marks(find_blinks(x, frontal=[0, 1], fs_hz=FS)).mask(0, x.shape[1])
    np.testing.assert_allclose(y, naive.without_blinks(x, near), atol=1e-8 * np.abs(x).max())
    with pytest.raises(TooFewTrialsError, match="blinks"):
        blink_projection(np.random.default_rng(0).normal(size=(4, 5000)), frontal=[0], fs_hz=FS)
