"""The moving picture: what is drawn is the signal, however it was cut, and a gap is a gap."""

from __future__ import annotations

import struct
from itertools import pairwise

import numpy as np
import pytest
from scipy import signal as scipy_signal

from bci.web._wire import Samples
from bci.web.sweep import History, Sweep, View, columns_of, frame_bytes, joined

FS = 1000.0


def samples(x, first=0):
    return Samples(np.asfortranarray(x), first, 0)


def noise(n, n_channels=3, seed=0):
    return np.random.default_rng(seed).normal(0, 20, (n_channels, n)) + 500.0


def columns(sweep):
    first, low, high = sweep.since(0)
    return first, low, high


def plain_columns(x, per_column):
    """Minimum and maximum of each whole column, the slow and obvious way."""
    n = x.shape[1] // per_column
    low = [[min(row[k * per_column : (k + 1) * per_column]) for k in range(n)] for row in x.tolist()]
    high = [[max(row[k * per_column : (k + 1) * per_column]) for k in range(n)] for row in x.tolist()]
    return np.array(low, np.float32), np.array(high, np.float32)


def test_columns_are_minimum_and_maximum_of_their_samples():
    sweep = Sweep(View("none", 0, 5, 500), n_channels=3, fs_hz=FS)
    x = noise(3456)
    sweep.process(samples(x))
    first, low, high = columns(sweep)
    expected = plain_columns(x, sweep.per_column)
    assert first == 0
    np.testing.assert_array_equal(low, expected[0])
    np.testing.assert_array_equal(high, expected[1])


@pytest.mark.parametrize("band", ["none", "0.5-40", "8-30"])
def test_the_picture_is_the_same_however_the_signal_was_cut(band):
    x = noise(2500)
    whole, cut = (Sweep(View(band, 50, 10, 333), n_channels=3, fs_hz=FS) for _ in range(2))
    whole.process(samples(x, 77))
    edges = [0, 1, 2, 40, 41, 700, 1999, 2500]
    for a, b in pairwise(edges):
        cut.process(samples(x[:, a:b], 77 + a))
    assert whole.end == cut.end
    for one, other in zip(columns(whole), columns(cut), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_filter_is_the_one_that_is_named():
    x = noise(8000)
    sweep = Sweep(View("8-30", 0, 5, 4000), n_channels=3, fs_hz=FS)
    sos = scipy_signal.butter(2, (8, 30), "bandpass", fs=FS, output="sos")
    start = scipy_signal.sosfilt_zi(sos)[:, None, :] * x[:, :1]
    y, _ = scipy_signal.sosfilt(sos, x, axis=1, zi=start)
    for part in range(0, 8000, 500):
        sweep.process(samples(x[:, part : part + 500], part))
    first, low, high = columns(sweep)
    expected = plain_columns(y[:, first * sweep.per_column :], sweep.per_column)
    np.testing.assert_allclose(low, expected[0], atol=1e-4)
    np.testing.assert_allclose(high, expected[1], atol=1e-4)


def test_the_notch_takes_the_mains_out_and_little_else():
    t = np.arange(4000) / FS
    mains, alpha = 40 * np.sin(2 * np.pi * 50 * t), 10 * np.sin(2 * np.pi * 10 * t)
    for notch, reach in ((0, 50.0), (50, 10.0)):
        sweep = Sweep(View("none", notch, 5, 4000), n_channels=1, fs_hz=FS)
        sweep.process(samples((mains + alpha)[None]))
        _, _, high = columns(sweep)
        assert np.nanmax(high[:, -500:]) == pytest.approx(reach, rel=0.05)


def test_lost_samples_leave_a_gap_of_their_length():
    sweep = Sweep(View("none", 0, 5, 500), n_channels=3, fs_hz=FS)  # 10 samples a column
    x = noise(1000)
    sweep.process(samples(x[:, :505]))
    sweep.process(samples(x[:, 755:], 755))
    _, low, _ = columns(sweep)
    lost = np.isnan(low).all(axis=0)
    assert np.flatnonzero(lost).tolist() == list(range(50, 76))
    assert low.shape[1] == 100


def test_nan_in_the_signal_is_a_gap_and_spoils_nothing_after_it():
    x = noise(4000)
    holed = x.copy()
    holed[1, 2000:2003] = np.nan
    sweep = Sweep(View("0.5-40", 0, 5, 500), n_channels=3, fs_hz=FS)
    sweep.process(samples(holed))
    _, low, _ = columns(sweep)
    assert np.argwhere(np.isnan(low)).tolist() == [[1, 200]]


def test_a_board_that_begins_anew_begins_a_new_picture():
    sweep = Sweep(View("none", 0, 5, 500), n_channels=3, fs_hz=FS)
    sweep.process(samples(noise(1000), 50_000))
    sweep.process(samples(noise(200, seed=1), 0))
    first, low, _ = columns(sweep)
    assert (first, low.shape[1]) == (0, 20)


def test_a_gap_longer_than_the_picture_empties_it():
    sweep = Sweep(View("none", 0, 5, 500), n_channels=3, fs_hz=FS)
    sweep.process(samples(noise(1000)))
    sweep.process(samples(noise(100), 1_000_000))
    first, low, _ = columns(sweep)
    assert (first, low.shape[1]) == (100_000, 10)


def test_the_ring_holds_one_picture():
    sweep = Sweep(View("none", 0, 5, 100), n_channels=1, fs_hz=FS)
    for k in range(20):
        sweep.process(samples(noise(1000, 1, seed=k), 1000 * k))
    first, low, _ = columns(sweep)
    assert low.shape[1] == sweep.n_columns == 100
    assert first == sweep.end - 100


@pytest.mark.parametrize(
    ("fs", "pixels"), [(250.0, 1000), (1000.0, 1000), (1000.0, 333), (16000.0, 4000), (100.0, 1)]
)
def test_there_is_never_more_than_one_column_per_pixel(fs, pixels):
    per_column, n_columns = columns_of(View("none", 0, 10, pixels), fs)
    assert 1 <= n_columns <= pixels + 1
    assert abs(n_columns * per_column - 10 * fs) <= per_column


@pytest.mark.parametrize(
    "wrong",
    [
        ("all", 0, 10, 100),
        ("none", 55, 10, 100),
        ("none", 0, 3, 100),
        ("none", 0, 10, 0),
        ("none", 0, 10, 10**6),
    ],
)
def test_a_view_that_is_not_offered_is_refused(wrong):
    with pytest.raises(ValueError, match="view"):
        View(*wrong)


def test_a_newcomer_finds_the_picture_filled():
    history = History(3, FS)
    direct = Sweep(View("0.5-40", 50, 10, 1000), n_channels=3, fs_hz=FS)
    x = noise(9000)
    for first in range(0, 9000, 300):
        piece = samples(x[:, first : first + 300], first)
        history.add(piece)
        direct.process(piece)
    later = Sweep(direct.view, n_channels=3, fs_hz=FS)
    for piece in history.pieces():
        later.process(piece)
    np.testing.assert_array_equal(later.low, direct.low)


def test_the_history_forgets_what_is_older_than_half_a_minute():
    history = History(1, FS)
    for first in range(0, 100_000, 500):
        history.add(samples(noise(500, 1), first))
    (kept,) = history.pieces()
    assert kept.end_sample == 100_000
    assert 30_000 <= kept.data_uv.shape[1] < 31_000


def test_pieces_are_joined_where_they_hang_together():
    pieces = [samples(noise(10), 0), samples(noise(10), 10), samples(noise(10), 25)]
    assert [(p.first_sample, p.data_uv.shape[1]) for p in joined(pieces)] == [(0, 20), (25, 10)]


def test_a_frame_is_laid_out_as_the_page_reads_it():
    low, high = np.array([[1, 2], [3, np.nan]], np.float32), np.array([[5, 6], [7, np.nan]], np.float32)
    data = frame_bytes(9, 2**40, low, high, 12.5)
    assert struct.unpack("<BBHIIIdd", data[:32]) == (1, 0, 2, 9, 2, 0, 2.0**40, 12.5)
    values = np.frombuffer(data, "<f4", offset=32)
    np.testing.assert_array_equal(values, [1, 2, 3, np.nan, 5, 6, 7, np.nan])
