"""Text of the OpenBCI GUI and logs of the SD card: units, gain, lost packets, railed channels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bci.acquisition import Recording
from bci.errors import MontageMismatchError, RecordingError
from bci.interop import ImportOptions, import_file, read_recording, read_signal
from bci.interop._counted_text import CountedText

Data = Callable[[str], Path]
STEP_UV = 4_500_000 / 24 / (2**23 - 1)  # datasheet of the ADS1299, table 7, at gain 24


def counts_of(signal: object) -> np.ndarray:
    assert isinstance(signal, CountedText)
    return np.concatenate(list(signal.pieces()), axis=1)


def uv_of(signal: object) -> np.ndarray:
    assert isinstance(signal, CountedText)
    return counts_of(signal) * signal.description.steps


def gui_text(
    numbers: np.ndarray,
    values: np.ndarray,
    times: np.ndarray,
    markers: np.ndarray,
    board: str = "CytonSerial",
) -> str:
    """A file as version 5 and later of the GUI writes it."""
    n = values.shape[1]
    titles = [
        "Sample Index",
        *(f"EXG Channel {k}" for k in range(n)),
        *(f"Accel Channel {k}" for k in range(3)),
        "Other",
        "Timestamp",
        "Marker Channel",
        "Timestamp (Formatted)",
    ]
    lines = [
        "%OpenBCI Raw EXG Data",
        f"%Number of channels = {n}",
        "%Sample Rate = 250 Hz",
        f"%Board = OpenBCI_GUI$Board{board}",
        ", ".join(titles),
    ]
    for number, row, time, marker in zip(numbers, values, times, markers, strict=True):
        cells = [f"{number:.1f}", *(f"{v:.10g}" for v in row), "0.1", "-0.2", "0.98", "192.0"]
        lines.append(", ".join([*cells, f"{time:.6f}", f"{marker:.1f}", "2024-03-01 10:00:00.123"]))
    return "\n".join(lines) + "\n"


def made(n: int = 3000, channels: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    counts = np.random.default_rng(0).integers(-400_000, 400_000, (n, channels))
    return counts, np.arange(n), 1_700_000_000 + np.arange(n) / 250


# ---- real files ----


def test_a_real_file_of_the_gui_comes_with_the_numbers_that_are_printed_in_it(shared_data: Data) -> None:
    path = shared_data("openbci_raw/OpenBCI_GUI-v6-blinks-jawClench-alpha.txt")
    signal = read_signal(path)
    lines = path.read_text(encoding="utf-8").splitlines()[5:]
    printed = np.array([[float(cell) for cell in line.split(",")[1:9]] for line in lines]).T
    np.testing.assert_allclose(uv_of(signal), printed, atol=1e-9)
    about = signal.description
    assert (float(about.rate), about.n_samples, about.gaps) == (250.0, 22490, ())
    assert about.measured_hz == pytest.approx(250.3, abs=0.1)
    assert "Cyton" in about.device
    run = read_recording(path, labels={})
    assert run.data_uv.shape == (8, 22490)
    np.testing.assert_allclose(run.data_uv, printed, atol=1e-9)


def test_a_real_file_of_an_old_gui_is_a_ganglion_with_four_channels(shared_data: Data) -> None:
    signal = read_signal(shared_data("openbci_raw/emg_ganglion/OpenBCI-RAW-S02_S1R0.txt"))
    about = signal.description
    assert (about.names, float(about.rate), about.gaps) == (("EXG1", "EXG2", "EXG3", "EXG4"), 200.0, ())
    np.testing.assert_allclose(uv_of(signal)[:, 0], [-40.62, 13.04, 0, 0], atol=1e-9)
    assert about.measured_hz == pytest.approx(200, rel=0.001)


def test_a_real_log_of_the_card_becomes_a_recording_of_the_same_counts(
    shared_data: Data, tmp_path: Path
) -> None:
    path = shared_data("openbci_raw/OBCI-01_SDcard_hex.TXT")
    done = import_file(path, tmp_path / "x.bfp")
    assert (done.n_samples, done.n_gaps, done.rate_hz) == (3282, 0, 250.0)
    lines = [line for line in path.read_text().splitlines() if line.count(",") >= 8]
    words = np.array([[int(cell, 16) for cell in line.split(",")[1:9]] for line in lines]).T
    counts = np.where(words >= 1 << 23, words - (1 << 24), words)
    recording = Recording(tmp_path / "x.bfp")
    data = np.concatenate([chunk.data_uv for chunk in recording], axis=1)
    assert recording.info.uv_per_count == pytest.approx((STEP_UV,) * 8)
    np.testing.assert_array_equal(np.rint(data / STEP_UV), counts)
    assert -8500 < data[2].min() < data[2].max() < -6600


def card_text(counts: np.ndarray) -> str:
    lines = [
        f"{k % 256:02X}," + ",".join(f"{int(c) & 0xFFFFFF:06X}" for c in row) for k, row in enumerate(counts)
    ]
    return "\n".join(lines) + "\n"


def test_the_gain_of_a_card_is_told_by_its_user_or_assumed_and_said(tmp_path: Path) -> None:
    counts, *_ = made(500)
    path = tmp_path / "OBCI_07.TXT"
    path.write_text(card_text(counts))
    assumed = import_file(path, tmp_path / "x.bfp")
    assert [loss for loss in assumed.losses if "24 was taken" in loss and "--gain" in loss]
    for gain in (1, 12, 24):
        target = tmp_path / f"{gain}.bfp"
        done = import_file(path, target, options=ImportOptions(gain=gain))
        assert not [loss for loss in done.losses if "--gain" in loss]
        recording = Recording(target)
        assert recording.info.uv_per_count == pytest.approx((STEP_UV * 24 / gain,) * 8, rel=1e-12)
        data = np.concatenate([chunk.data_uv for chunk in recording], axis=1)
        np.testing.assert_array_equal(np.rint(data / STEP_UV * gain / 24), counts.T)
        assert recording.notes["gain"] == gain


def test_the_end_of_the_range_follows_the_gain(tmp_path: Path) -> None:
    counts, *_ = made(600)
    counts[100:200, 3] = (1 << 23) - 1
    path = tmp_path / "OBCI_07.TXT"
    path.write_text(card_text(counts))
    for gain in (0, 1, 8):
        about = read_signal(path, options=ImportOptions(gain=gain)).description
        assert [(e.sample, e.n_samples, e.channels) for e in about.events] == [(100, 100, ("EXG4",))]


def test_a_gain_that_cannot_be_is_refused(tmp_path: Path) -> None:
    counts, numbers, times = made(300)
    card, text = tmp_path / "OBCI_07.TXT", tmp_path / "gui.txt"
    card.write_text(card_text(counts))
    text.write_text(gui_text(numbers % 256, counts * STEP_UV, times, numbers * 0))
    with pytest.raises(RecordingError, match=r"gain 10; it is one of 1, 2, 4, 6, 8, 12, 24"):
        read_signal(card, options=ImportOptions(gain=10))
    with pytest.raises(RecordingError, match=r"OpenBCI GUI, which says itself.*leave --gain out"):
        read_signal(text, options=ImportOptions(gain=12))


# ---- what goes wrong in them ----


def test_lost_packets_are_gaps_of_that_length_however_often_the_number_went_round(tmp_path: Path) -> None:
    counts, numbers, times = made()
    kept = np.delete(numbers, np.r_[100:103, 1000:1001, 1500:2140])  # 640: two rounds and a half
    markers = np.zeros(len(numbers))
    markers[[500, 2500]] = 1, 7
    path = tmp_path / "OpenBCI-RAW-张三.txt"
    path.write_text(
        gui_text(kept % 256, counts[kept] * STEP_UV, times[kept], markers[kept]), encoding="utf-8"
    )
    signal = read_signal(path)
    about = signal.description
    assert about.gaps == ((100, 3), (1000, 1), (1500, 640))
    assert about.n_samples == 3000
    assert [(e.sample, e.code) for e in about.events if not e.is_finding] == [(500, 1), (2500, 7)]
    read = counts_of(signal)
    np.testing.assert_array_equal(read[:, kept], counts[kept].T)
    np.testing.assert_array_equal(read[:, 1500:2140], np.repeat(counts[1499][:, None], 640, axis=1))
    import_file(path, tmp_path / "x.bfp")
    recording = Recording(tmp_path / "x.bfp")
    chunks = list(recording)
    assert [(c.first_sample, c.lost_before) for c in chunks if c.lost_before] == [
        (103, 3),
        (1001, 1),
        (2140, 640),
    ]
    assert [m.sample_index for m in recording.markers if m.code in (1, 7)] == [500, 2500]
    with pytest.raises(RecordingError, match=r"3 gaps, the first at 0\.4 s"):
        read_recording(path, labels={})


def test_a_daisys_even_numbers_are_no_losses(tmp_path: Path) -> None:
    counts, numbers, times = made(1000, 16)
    kept = np.delete(numbers, [300, 301])
    path = tmp_path / "x.txt"
    path.write_text(
        gui_text(kept * 2 % 256, counts[kept] * STEP_UV, times[kept], kept * 0, "CytonSerialDaisy")
    )
    about = read_signal(path).description
    assert (len(about.channels), about.gaps, about.n_samples) == (16, ((300, 2),), 1000)
    assert "Daisy" in about.device


def test_a_railed_channel_is_marked_from_its_first_sample_to_its_last(tmp_path: Path) -> None:
    counts, numbers, times = made(20_000)
    uv = counts * STEP_UV
    uv[4000:17_000, 2] = 187_500.02  # as the GUI prints it, a little more than the range
    uv[19_000:, 5] = -187_500.02
    path = tmp_path / "x.txt"
    path.write_text(gui_text(numbers % 256, uv, times, numbers * 0))
    signal = read_signal(path)
    railed = [
        (e.sample, e.n_samples, e.channels) for e in signal.description.events if e.text == "BAD_saturated"
    ]
    assert railed == [(4000, 13_000, ("EXG3",)), (19_000, 1000, ("EXG6",))]
    np.testing.assert_allclose(uv_of(signal)[2], uv[:, 2], atol=0.012)
    assert signal.description.channels[0].step == pytest.approx(STEP_UV)


def test_damaged_lines_of_a_log_are_lost_samples_and_a_cut_end_is_none(tmp_path: Path) -> None:
    counts, numbers, _ = made(2000)
    lines = [
        f"{n % 256:02X}," + ",".join(f"{int(c) & 0xFFFFFF:06X}" for c in row)
        for n, row in zip(numbers, counts, strict=True)
    ]
    lines[700] = lines[700][:20] + "\x00\x13" + lines[700][25:]
    lines[1999] = lines[1999][:31]
    path = tmp_path / "OBCI_02.TXT"
    path.write_text("%STOP AT\n00010C2B\n" + "\n".join(lines))
    signal = read_signal(path)
    about = signal.description
    assert (about.gaps, about.n_samples) == (((700, 1),), 1999)
    assert about.notes["lines_damaged"] == 2
    assert "could not be read: 2" in import_file(path, tmp_path / "x.bfp").losses[0]
    np.testing.assert_array_equal(
        np.delete(counts_of(signal), 700, axis=1), np.delete(counts[:1999], 700, axis=0).T
    )


def test_electrodes_get_names_and_acceleration_comes_when_asked_for(tmp_path: Path) -> None:
    counts, numbers, times = made(500)
    path = tmp_path / "x.txt"
    path.write_text(gui_text(numbers % 256, counts * STEP_UV, times, numbers * 0))
    named = read_signal(path, options=ImportOptions(channels=("C3", "Cz", "C4"), aux=True)).description
    assert named.names == ("C3", "Cz", "C4", "AccelX", "AccelY", "AccelZ")
    assert [(c.kind, c.unit) for c in named.channels[2:4]] == [("eeg", "uV"), ("misc", "g")]
    with pytest.raises(MontageMismatchError, match="9 channel names"):
        read_signal(path, options=ImportOptions(channels=tuple("ABCDEFGHI")))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("%OpenBCI Raw EXG Data\n%Sample Rate = 250 Hz\n", "no samples"),
        ("%OpenBCI Raw EXG Data\n%Number of channels = 1\n0, 1, 0, 0, 0, 10:00:00.0\n", "sampling rate"),
        (
            "%OpenBCI Raw EEG Data\n%Sample Rate = 250 Hz\n"
            + "0, 1, 2, 3, 4, 0, 0, 0, 10:00:00.0\nrubbish\n" * 20,
            "damaged",
        ),
    ],
)
def test_a_file_that_cannot_be_read_says_why(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text(text)
    with pytest.raises(RecordingError, match=said):
        read_signal(path)
    with pytest.raises(RecordingError, match=said):
        import_file(path, tmp_path / "x.bfp")
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]
