"""The drift watch: fed with made signals, no clock and no board."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from bci.chunks import Chunk, SignalInfo
from bci.decisions import Prediction
from bci.errors import ModelFileError
from bci.sessions.drift import BandPower, DriftWatch, Reference
from bci.sessions.electrodes import Electrode

INFO = SignalInfo(("C3", "Cz", "C4", "Pz"), Fraction(250))
FS = 250


def signal(seconds: int, gain: np.ndarray, seed: int = 1) -> Iterator[Chunk]:
    rng = np.random.default_rng(seed)
    for k in range(seconds):
        yield Chunk(np.asfortranarray(rng.standard_normal((4, FS)) * gain[:, None]), k * FS)


def reference(**options: object) -> Reference:
    power = BandPower(INFO)
    seconds = [p for chunk in signal(120, np.full(4, 5.0)) for p in power.process(chunk)]
    return Reference.of(INFO, np.array(seconds), **options)  # type: ignore[arg-type]


def watch_of(gain: np.ndarray, seconds: int = 60, known: Reference | None = None) -> DriftWatch:
    watch = DriftWatch(known or reference(), INFO)
    for chunk in signal(seconds, gain, seed=2):
        watch.process(chunk)
    return watch


def test_the_power_of_white_noise_is_its_share_of_the_band() -> None:
    """White noise of 5 µV has 25 µV² over 125 Hz; 8 to 30 Hz hold 22/125 of it."""
    power = BandPower(INFO)
    seconds = np.array([p for chunk in signal(60, np.full(4, 5.0)) for p in power.process(chunk)])
    assert len(seconds) == 59, "the first second is the filter's settling"
    assert np.median(seconds, axis=0) == pytest.approx(10 * np.log10(25 * 22 / 125), abs=0.7)


def test_a_signal_as_in_the_calibration_drifts_not() -> None:
    found = watch_of(np.full(4, 5.0)).look()
    assert found.level == "none"
    assert found.texts == ()


def test_a_signal_that_grew_at_half_of_the_electrodes_is_strong_drift_and_names_them() -> None:
    found = watch_of(np.array([5.0, 5.0, 15.0, 15.0])).look()
    assert found.level == "strong"
    assert "C4, Pz" in found.texts[0]
    assert "C3" not in found.texts[0]
    assert "Calibrate again" in found.texts[-1]


def test_nothing_is_said_before_half_a_minute() -> None:
    assert watch_of(np.full(4, 50.0), seconds=20).look().level == "none"


def decisions(n: int, *, rest: float, outliers: int = 0) -> list[Prediction]:
    return [Prediction(k * 25, ("rest", "right"), (rest, 1 - rest), outlier=k < outliers) for k in range(n)]


def test_decisions_far_from_the_training_are_strong_drift() -> None:
    watch = watch_of(np.full(4, 5.0))
    watch.decided(decisions(200, rest=0.9, outliers=15), resting=True)
    assert watch.look().level == "none"
    watch.decided(decisions(200, rest=0.9, outliers=60), resting=True)
    found = watch.look()
    assert found.level == "strong"
    assert "19%" in found.texts[0]


def test_movement_seen_while_resting_counts_against_what_the_calibration_saw() -> None:
    watch = watch_of(np.full(4, 5.0), known=reference(movement_in_rest=0.1))
    watch.decided(decisions(70, rest=0.9), resting=True)
    watch.decided(decisions(30, rest=0.2), resting=True)
    assert watch.look().level == "none"  # 30 %, allowed are 10 + 25
    watch.decided(decisions(300, rest=0.2), resting=False)  # a movement was asked for: says nothing
    assert watch.look().level == "none"
    watch.decided(decisions(100, rest=0.2), resting=True)
    found = watch.look()
    assert found.level == "some"
    assert "65% of the time, 10%" in found.texts[0]


def test_an_electrode_gone_bad_and_one_that_dries_are_named() -> None:
    watch = watch_of(np.full(4, 5.0), known=reference(impedance_kohm={"Cz": 8.0}))
    bad = Electrode("C3", "bad", ("off",), None, "C3 has no contact.", "Wet electrode C3 again.")
    dry = Electrode("Cz", "fair", ("impedance",), 40.0, "", "")
    watch.electrodes([bad, dry])
    texts = " ".join(watch.look().texts)
    assert "C3 has no contact. Wet electrode C3 again." in texts
    assert "grown at Cz" in texts


def test_a_gap_begins_a_new_second() -> None:
    power = BandPower(INFO)
    chunks = list(signal(3, np.full(4, 5.0)))
    assert power.process(chunks[0]) == []  # settling
    assert power.process(Chunk(chunks[1].data_uv, 300, lost_before=50)) == []  # settling again
    assert len(power.process(Chunk(chunks[2].data_uv, 550))) == 1


def test_a_reference_reads_back_and_damage_is_said(tmp_path: Path) -> None:
    path = tmp_path / "reference.json"
    made = reference(movement_in_rest=0.12, impedance_kohm={"C3": 5.0})
    made.write(path)
    assert Reference.read(path) == made
    path.write_text(path.read_text()[:40])
    with pytest.raises(ModelFileError, match="calibrate again"):
        Reference.read(path)
