"""A simulated wearer who does what the host asks, and a world that waits for the host."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from bci.acquisition import Source, open_source
from bci.acquisition.simulator import CuedRun, SimulatedBoard, Synthetic, SyntheticEeg

ASKED = CuedRun(classes=("rest", "right"), asked_s=600.0)


def eeg(first_run: int = 0, runs: tuple[CuedRun, ...] = (ASKED,)) -> SyntheticEeg:
    return SyntheticEeg(
        Synthetic(seed=4, intent=1.5, montage=("C3", "C4"), runs=runs, mains_hz=0, first_run=first_run)
    )


def test_a_run_of_asked_trials_has_no_cues_of_its_own() -> None:
    signal = eeg()
    assert signal.cues(0) == []
    assert signal.run_samples(0) == 600 * 250


def test_nothing_changes_before_the_sample_at_which_something_is_asked() -> None:
    asked, quiet = eeg(), eeg()
    asked.read(0, 0, 2000)
    asked.ask(0, 1777, "right", 4.0)  # in the middle of a block that has been computed already
    np.testing.assert_array_equal(asked.read(0, 0, 1777), quiet.read(0, 0, 1777))
    assert not np.array_equal(asked.read(0, 1777, 1000), quiet.read(0, 1777, 1000))


def test_the_rhythm_opposite_the_hand_falls_while_movement_is_asked_for_and_not_in_rest() -> None:
    def mu_uv2(label: str) -> float:
        signal = eeg()
        powers = []
        for k in range(20):
            at = 2000 + 2500 * k
            signal.ask(0, at, label, 4.0)
            x = signal.read(0, at + 250, 750)[0]
            f = np.fft.rfftfreq(750, 1 / 250)
            powers.append(float((np.abs(np.fft.rfft(x))[(f > 8) & (f < 13)] ** 2).mean()))
        return float(np.median(powers))

    assert mu_uv2("right") < 0.7 * mu_uv2("rest")


def test_another_day_is_other_noise_of_the_same_wearer() -> None:
    assert not np.array_equal(eeg().read(0, 0, 1000), eeg(first_run=7).read(0, 0, 1000))
    np.testing.assert_array_equal(eeg(first_run=7).read(0, 0, 1000), eeg().read(7, 0, 1000))


@pytest.mark.parametrize("label", ["feet", ""])
def test_what_the_wearer_does_not_know_is_refused(label: str) -> None:
    with pytest.raises(ValueError, match="the wearer knows rest, left, right"):
        eeg().ask(0, 100, label, 4.0)


def test_a_run_with_cues_of_its_own_takes_no_others() -> None:
    with pytest.raises(ValueError, match="cues of its own"):
        eeg(runs=(CuedRun(),)).ask(0, 100, "right", 4.0)


@pytest.fixture
def stream() -> Iterator[tuple[SimulatedBoard, Source]]:
    with SimulatedBoard(
        Synthetic(montage=("C3", "C4"), runs=(ASKED,)), speed=0, samples_per_frame=5
    ) as board:
        board.allow(0)
        with open_source(board.port) as source:
            source.start()
            yield board, source


def read(source: Source, n: int) -> list[int]:
    """Samples until `n` have come; their first and the one after the last."""
    first = end = got = 0
    while got < n:
        for chunk in source.read(5.0):
            first = chunk.first_sample if not got else first
            got += chunk.n_samples
            end = max(end, chunk.end_sample)
    return [first, end]


def test_at_speed_0_the_world_stands_still_until_the_host_allows_more(
    stream: tuple[SimulatedBoard, Source],
) -> None:
    board, source = stream
    board.allow(500)
    first, end = read(source, 500)
    assert end - first == 500
    assert source.read(0.2) == [], "not one more"
    board.allow(3)
    assert read(source, 5)[1] == end + 5, "whole frames"


def test_what_is_asked_begins_at_the_very_sample_that_the_host_marks(
    stream: tuple[SimulatedBoard, Source],
) -> None:
    board, source = stream
    source.mark("right")
    board.ask("right", task_s=4.0)
    (marker,) = (m for chunk in source.read(0.0) for m in chunk.markers)
    board.allow(100)
    assert read(source, 100)[0] == marker.sample_index


def test_nobody_can_be_asked_while_the_board_is_idle(stream: tuple[SimulatedBoard, Source]) -> None:
    board, source = stream
    source.stop()
    with pytest.raises(ValueError, match="nobody can be asked"):
        board.ask("right", task_s=4.0)
