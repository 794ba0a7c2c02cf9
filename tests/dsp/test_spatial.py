"""Mains removal and spatial filters, against slow twins, MNE and meegkit."""

from __future__ import annotations

import numpy as np
import pytest

from bci.dsp import (
    LineCanceller,
    SpatialFilter,
    band_power,
    bipolar,
    common_average,
    electrode_positions,
    find_bad_channels,
    interpolate_bad,
    laplacian,
    psd,
    remove_line_spatially,
    rest_reference,
    surface_laplacian,
)
from bci.errors import (
    MontageMismatchError,
    NonFiniteError,
    ShapeError,
)
from tests import naive
from tests.dsp.signals import FS, eeg

TEN_TWENTY = [
    "F3",
    "Fz",
    "F4",
    "FC5",
    "FC1",
    "FC2",
    "FC6",
    "C3",
    "Cz",
    "C4",
    "CP5",
    "CP1",
    "CP2",
    "CP6",
    "P3",
    "Pz",
    "P4",
    "O1",
    "O2",
    "T7",
    "T8",
]

# ---- mains ---------------------------------------------------------------------------------------------------


def test_the_line_canceller_equals_the_slow_twin() -> None:
    t = np.arange(500) / FS
    x = eeg(3, 500)
    x = x - x.mean(axis=1, keepdims=True) + 20 * np.sin(2 * np.pi * 50.2 * t)
    got = LineCanceller(3, fs_hz=FS, harmonics=2).process(x)
    np.testing.assert_allclose(got, naive.cancel_line(x, 50, FS, 2, 0.5, 1.0), atol=1e-8)


def test_the_line_canceller_follows_a_drifting_line_and_leaves_the_band_alone() -> None:
    t = np.arange(int(60 * FS)) / FS
    drift = 50 + 0.3 * np.sin(2 * np.pi * t / 60)
    phase = 2 * np.pi * np.cumsum(drift) / FS
    brain = np.random.default_rng(0).normal(size=(8, len(t))) * 5
    line = np.linspace(0.5, 1.5, 8)[:, None] * (20 * np.sin(phase) + 5 * np.sin(2 * phase + 1))
    stage = LineCanceller(8, fs_hz=FS, harmonics=2)
    y = stage.process(brain + line)
    late = slice(int(5 * FS), None)
    assert np.std((y - brain)[:, late]) < 0.1 * np.std(line)
    assert abs(stage.line_hz - drift[-1]) < 0.1
    freqs, before = psd(brain[:, late], fs_hz=FS, segment_samples=500)
    _, after = psd(y[:, late], fs_hz=FS, segment_samples=500)
    band = band_power(freqs, after, 8, 45) / band_power(freqs, before, 8, 45)
    np.testing.assert_allclose(band, 1.0, atol=0.03)
    at_line = band_power(freqs, after, 49, 51) / band_power(freqs, before, 49, 51)
    assert at_line.max() < 3.0


def test_spatial_line_removal_equals_meegkit() -> None:
    dss = pytest.importorskip("meegkit.dss", reason="the witness for ZapLine is not installed")
    t = np.arange(int(40 * FS)) / FS
    rng = np.random.default_rng(0)
    brain = rng.normal(size=(8, 8)) @ rng.normal(size=(8, len(t)))
    line = np.outer(rng.normal(size=8), 30 * np.sin(2 * np.pi * 50 * t + 0.3))
    x = brain + line
    x -= x.mean(axis=1, keepdims=True)
    want = dss.dss_line(x.T[:, :, None], 50, FS, nremove=1, nfft=512)[0][:, :, 0].T
    got, _ = remove_line_spatially(x, line_hz=50, fs_hz=FS, n_remove=1)
    inside = slice(50, -50)  # both smooth the ends in their own way
    for a, b in zip(got[:, inside], want[:, inside], strict=True):
        assert np.corrcoef(a, b)[0, 1] > 0.98
    assert np.std((got - brain)[:, inside]) < 1.2 * np.std((want - brain)[:, inside])


def test_spatial_line_removal_takes_the_line_and_little_else() -> None:
    t = np.arange(int(30 * FS)) / FS
    rng = np.random.default_rng(0)
    brain = rng.normal(size=(10, 10)) @ rng.normal(size=(10, len(t)))
    line = np.outer(rng.normal(size=10), 30 * np.sign(np.sin(2 * np.pi * 50 * t + 0.3)))
    y, removed = remove_line_spatially(brain + line, line_hz=50, fs_hz=FS)
    assert removed == 1
    left = y - brain
    left -= left.mean(axis=1, keepdims=True)  # the line of this rate has an offset, which is no line
    assert np.std(left) < 0.03 * np.std(line)
    _, none = remove_line_spatially(brain, line_hz=50, fs_hz=FS)
    assert none == 0


# ---- spatial -------------------------------------------------------------------------------------------------


def test_a_spatial_filter_equals_the_slow_twin() -> None:
    x, matrix = eeg(5, 40), np.random.default_rng(0).normal(size=(3, 5))
    np.testing.assert_allclose(
        SpatialFilter(matrix).process(x), naive.matrix_on_samples(matrix, x), rtol=1e-12
    )
    with pytest.raises(NonFiniteError):
        SpatialFilter(matrix).process(np.full((5, 3), np.nan))
    with pytest.raises(ShapeError):
        SpatialFilter([1.0, 2.0])


def test_the_common_average_leaves_bad_channels_out() -> None:
    x = np.random.default_rng(0).normal(size=(6, 100))
    x[2] += 1e6
    y = common_average(6, bad=[2]) @ x
    np.testing.assert_allclose(y[[0, 1, 3, 4, 5]].mean(axis=0), 0, atol=1e-9)
    assert np.abs(y[0]).max() < 10
    with pytest.raises(ShapeError):
        common_average(3, bad=[0, 1])


def test_bad_channels_are_found_and_named() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(10, 4)) @ rng.normal(size=(4, 2500)) * 10
    x[3] *= 40
    x[5] = 1e-3 * rng.normal(size=2500)
    x[8] = rng.normal(size=2500) * 20
    bad = find_bad_channels(x)
    assert set(bad) == {3, 5, 8} == naive.bad_channels(x, 5.0, 0.1, 0.4)
    assert "loud" in bad[3]
    assert "flat" in bad[5]
    assert "follows no other" in bad[8]


def test_bipolar_subtracts_by_label() -> None:
    assert bipolar([("C3", "Cz"), ("C4", "Cz")], ["C3", "Cz", "C4"]).tolist() == [[1, -1, 0], [0, -1, 1]]
    with pytest.raises(MontageMismatchError, match="C9"):
        bipolar([("C3", "C9")], ["C3", "Cz"])


def test_laplacians_and_references_ignore_a_common_potential() -> None:
    for matrix in (
        laplacian(TEN_TWENTY),
        laplacian(TEN_TWENTY, size="large"),
        rest_reference(TEN_TWENTY),
    ):
        np.testing.assert_allclose(matrix.sum(axis=1), 0, atol=1e-12)
    density = surface_laplacian(TEN_TWENTY)
    np.testing.assert_allclose(density.sum(axis=1), 0, atol=1e-6 * np.abs(density).max())
    cz = TEN_TWENTY.index("Cz")
    small = laplacian(TEN_TWENTY)[cz]
    around = {TEN_TWENTY[k] for k in np.flatnonzero(small < 0)}
    assert around == {"FC1", "FC2", "CP1", "CP2"}
    x = eeg(len(TEN_TWENTY), 20)
    want = naive.small_laplacian(x, electrode_positions(TEN_TWENTY))
    np.testing.assert_allclose(laplacian(TEN_TWENTY) @ x, want, atol=1e-9 * np.abs(x).max())


def test_geometry_matrices_equal_mne_on_a_recording() -> None:
    import mne

    x = eeg(len(TEN_TWENTY), 50) * 1e-6
    info = mne.create_info(TEN_TWENTY, FS, "eeg", verbose="error")
    places = dict(zip(TEN_TWENTY, electrode_positions(TEN_TWENTY), strict=True))
    raw = mne.io.RawArray(x, info, verbose="error").set_montage(
        mne.channels.make_dig_montage(places, coord_frame="head"), verbose="error"
    )
    csd = mne.preprocessing.compute_current_source_density(
        raw, sphere=(0.0, 0.0, 0.0, 0.095), verbose="error"
    )
    np.testing.assert_allclose(surface_laplacian(TEN_TWENTY) @ x, csd.get_data(), rtol=1e-6, atol=1e-9)
    sphere = mne.make_sphere_model("auto", "auto", raw.info, verbose="error")
    sources = mne.setup_volume_source_space(sphere=sphere, pos=15.0, exclude=30.0, verbose="error")
    forward = mne.make_forward_solution(raw.info, trans=None, src=sources, bem=sphere, verbose="error")
    at_infinity = raw.copy().set_eeg_reference("REST", forward=forward, verbose="error").get_data()
    np.testing.assert_allclose(rest_reference(TEN_TWENTY) @ x, at_infinity, atol=1e-9 * np.abs(x).max())
    average = raw.copy().set_eeg_reference("average", verbose="error").get_data()
    np.testing.assert_allclose(common_average(len(x)) @ x, average, atol=1e-15)
    pairs = mne.set_bipolar_reference(raw, ["C3", "C4"], ["Cz", "Cz"], verbose="error")
    want = pairs.get_data(picks=["C3-Cz", "C4-Cz"])
    np.testing.assert_allclose(bipolar([("C3", "Cz"), ("C4", "Cz")], TEN_TWENTY) @ x, want, atol=1e-15)
    raw.info["bads"] = ["C3"]
    repaired = raw.interpolate_bads(verbose="error").get_data()
    np.testing.assert_allclose(interpolate_bad(TEN_TWENTY, ["C3"]) @ x, repaired, atol=1e-12)


def test_unknown_electrodes_are_named() -> None:
    with pytest.raises(MontageMismatchError, match="Nose"):
        laplacian([*TEN_TWENTY, "Nose"])
    with pytest.raises(MontageMismatchError, match="XX"):
        interpolate_bad(TEN_TWENTY, ["XX"])
