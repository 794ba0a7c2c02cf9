"""Signal quality: scores, figures and reasons, of recordings and while they stream."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.dsp import QualityWatch, SosFilter, assess_quality, design_bandpass, design_highpass
from bci.errors import DesignError, NonFiniteError, ShapeError
from tests import naive
from tests.dsp.signals import FS, cuts_of, eeg, pieces


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


def test_the_figures_of_quality_are_those_of_known_signals() -> None:
    t = np.arange(int(20 * FS)) / FS
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(1, len(t)))
    x = 10 * np.sin(2 * np.pi * 10 * t) + noise
    q = assess_quality(x + 20_000, fs_hz=FS)[0]
    # noise of 0.63 µV, what white noise of 1 µV has within 0.5–50 Hz, on a sine of 20 µV peak to peak
    assert q.noise_uvpp == pytest.approx(20 + 2 * 2.5 * 0.63, abs=0.8)
    assert q.line_ratio == pytest.approx(naive.line_ratio(x[0] - np.median(x), FS, 50.0), rel=1e-9)
    density_of_noise = 2 / FS
    signal = 50 / 29 + density_of_noise
    assert q.snr_db == pytest.approx(10 * np.log10(signal / density_of_noise), abs=0.5)


@settings(max_examples=10, deadline=None)
@given(cuts=cuts_of(700), first=st.integers(0, 10**9), bad=st.lists(st.integers(0, 699), max_size=5))
def test_a_watch_gives_the_same_look_however_the_signal_was_cut(
    cuts: list[int], first: int, bad: list[int]
) -> None:
    x = eeg(3, 700)
    x[1, bad] = np.nan
    whole, parts = (QualityWatch(3, fs_hz=FS) for _ in range(2))
    whole.process(x, first)
    for a, piece in pieces(x, cuts):
        parts.process(piece, first + a)
    resumed = QualityWatch(3, fs_hz=FS)
    resumed.restore(parts.state())
    assert whole.look() == parts.look() == resumed.look()
    assert len(whole.look()) == 3


def test_a_watch_says_what_was_lost_and_starts_anew_when_numbers_jump_back() -> None:
    x = eeg(2, 2000)
    watch = QualityWatch(2, fs_hz=FS, channels=["C3", "C4"])
    watch.process(x[:, :400], 0)
    assert watch.look() == []
    watch.process(x[:, 500:700], 500)  # 100 of 500 samples of the window are missing
    for q in watch.look():
        assert "lost" in q.causes
        assert any("20.0 %" in r for r in q.reasons)
        assert len(q.reasons) == len(q.causes)
    watch.process(x[:, :10], 0)
    assert watch.look() == []
    watch.process(x[:, 10:510], 10)
    assert all("lost" not in q.causes for q in watch.look())


def test_a_watch_holds_what_is_not_finite_as_the_slow_twin() -> None:
    x = eeg(3, 600) - 20_000
    x[0, 50:60] = np.nan
    x[2, 599] = np.inf
    watch = QualityWatch(3, fs_hz=FS, window_s=600 / FS)
    watch.process(x, 0)
    np.testing.assert_array_equal(watch._raw, naive.held(x))
    assert watch._lost.sum() == 11


def test_a_watch_refuses_what_cannot_be_judged() -> None:
    with pytest.raises(DesignError, match="2 s"):
        QualityWatch(2, fs_hz=FS, window_s=1)
    with pytest.raises(DesignError):
        QualityWatch(2, fs_hz=60)
    with pytest.raises(ShapeError):
        QualityWatch(2, fs_hz=FS, channels=["C3"])
    with pytest.raises(ShapeError):
        QualityWatch(2, fs_hz=FS).process(np.zeros((3, 5)), 0)


# ---- what disturbs an electrode


def coloured(shape: Callable[[np.ndarray], np.ndarray], *, seed: int, n: int = 8 * int(FS)) -> np.ndarray:
    """Noise of 1 µV rms whose amplitude over frequency is `shape`."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    x: np.ndarray = np.fft.irfft(spectrum * shape(np.maximum(np.fft.rfftfreq(n, 1 / FS), 0.1)), n)
    return x / x.std()


def brain(seed: int) -> np.ndarray:
    """1/f background of 12 µV and a little alpha, above a converter's noise."""
    t = np.arange(8 * int(FS)) / FS
    alpha = 4 * np.sin(2 * np.pi * 10 * t)
    return 12 * coloured(lambda f: f**-0.9, seed=seed) + alpha + 0.3 * coloured(np.ones_like, seed=seed + 1)


def sweat(f: np.ndarray) -> np.ndarray:
    return (f < 0.8).astype(float)


def emg(f: np.ndarray) -> np.ndarray:
    """Of jaw and neck on the scalp: from 15 Hz up, loudest at 60–100 Hz [Goncharova 2003, figure 2]."""
    return (f > 15) * (f / 60) ** 2 / (1 + (f / 60) ** 2) / (1 + (f / 150) ** 2)


@pytest.mark.parametrize(
    ("cause", "disturbance"),
    [("noise", uv * coloured(np.ones_like, seed=9)) for uv in (30, 60, 120, 300)]
    + [("muscle", uv * coloured(emg, seed=9)) for uv in (20, 40, 80, 150)]
    + [("mains", uv * np.sin(2 * np.pi * 50 * np.arange(8 * int(FS)) / FS)) for uv in (50, 300, 1000)]
    + [("waves", uv * coloured(sweat, seed=9)) for uv in (200, 800)],
)
@pytest.mark.parametrize("seed", [1, 4])
def test_what_disturbs_an_electrode_is_told_apart(cause: str, disturbance: np.ndarray, seed: int) -> None:
    clean, disturbed = assess_quality(np.stack([brain(seed), brain(seed) + disturbance]), fs_hz=FS)
    assert clean.causes == ()
    assert disturbed.causes == (cause,)
    assert disturbed.score < clean.score


def test_noise_that_covers_the_brain_is_bad_and_says_so_rather_than_waves() -> None:
    """60 µV rms under a background of 12 µV: nothing can be decoded."""
    (found,) = assess_quality(brain(2)[None] + 60 * coloured(np.ones_like, seed=5), fs_hz=FS)
    assert found.score < 50
    assert found.causes == ("noise",)
    (flat,) = assess_quality(np.zeros((1, 8 * int(FS))), fs_hz=FS)
    assert set(flat.causes) == {"flat", "weak"}, "nothing is noisy in silence"
