"""Files of BrainFlow: which board it was, its losses, its units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bci.acquisition import Recording
from bci.errors import RecordingError
from bci.interop import import_file, read_signal
from tests.interop.test_openbci import STEP_UV, counts_of


def brainflow_text(
    numbers: np.ndarray, uv: np.ndarray, fs: float, n_columns: int, markers: np.ndarray
) -> str:
    """Columns as `DataFilter.write_file` writes them: six digits, tabs."""
    rows = np.zeros((len(numbers), n_columns))
    rows[:, 0] = numbers
    rows[:, 1 : 1 + uv.shape[1]] = uv
    rows[:, n_columns - 2] = 1_700_000_000 + np.arange(len(numbers)) / fs
    rows[:, n_columns - 1] = markers
    return "".join("\t".join(f"{cell:.6f}" for cell in row) + "\n" for row in rows)


@pytest.fixture
def counts() -> np.ndarray:
    return np.random.default_rng(3).integers(-2_000_000, 2_000_000, (1500, 16))


def test_a_cytons_counts_come_back_with_its_losses_and_markers(counts: np.ndarray, tmp_path: Path) -> None:
    kept = np.delete(np.arange(1500), np.r_[600:604])
    markers = np.zeros(1500)
    markers[900] = 2
    path = tmp_path / "BrainFlow-RAW_2024.csv"
    path.write_text(brainflow_text(kept % 256, counts[kept, :8] * STEP_UV, 250, 24, markers[kept]))
    signal = read_signal(path)
    about = signal.description
    assert (about.device, float(about.rate), about.gaps) == ("OpenBCI Cyton", 250.0, ((600, 4),))
    assert about.started.startswith("2023-11-14T22:13:20")
    assert [c.step for c in about.channels] == pytest.approx([STEP_UV] * 8)
    np.testing.assert_array_equal(counts_of(signal)[:, kept], counts[kept, :8].T)
    import_file(path, tmp_path / "x.bfp")
    recording = Recording(tmp_path / "x.bfp")
    assert recording.started == ""  # no date unless it is asked for
    assert [(m.sample_index, m.code) for m in recording.markers if m.code] == [(900, 2)]
    assert recording.statistics.samples_lost == 4


def test_a_daisy_and_the_synthetic_board_are_told_apart_by_their_rate(
    counts: np.ndarray, tmp_path: Path
) -> None:
    devices = []
    for fs in (125, 250):
        path = tmp_path / f"{fs}.csv"
        path.write_text(brainflow_text(np.arange(1500) % 256, counts * STEP_UV, fs, 32, np.zeros(1500)))
        about = read_signal(path).description
        devices.append((about.device, float(about.rate), len(about.channels)))
    assert devices == [("OpenBCI Cyton with Daisy", 125.0, 16), ("BrainFlow synthetic board", 250.0, 16)]


def test_two_samples_of_one_packet_of_a_ganglion_are_no_loss(counts: np.ndarray, tmp_path: Path) -> None:
    packets = np.repeat(np.arange(750), 2) % 201
    kept = np.delete(np.arange(1500), np.r_[400:404])
    path = tmp_path / "x.csv"
    path.write_text(brainflow_text(packets[kept], counts[kept, :4] * 1e-3, 200, 15, np.zeros(1496)))
    about = read_signal(path).description
    assert (about.device, about.gaps, about.n_samples) == ("OpenBCI Ganglion", ((400, 4),), 1500)


def test_another_boards_columns_are_refused_with_those_that_are_known(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("\t".join(["1.0"] * 19) + "\n")
    with pytest.raises(RecordingError, match=r"19 columns.*OpenBCI Cyton \(24\)"):
        read_signal(path)
