"""Recordings that no bench has made: real boards, and simulated ones of which more is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bci.acquisition import Recording
from bci.acquisition.simulator import parse_bench_fault
from bci.interop import import_file
from bci.qualification.desk import Desk
from bci.qualification.idle import idle_channels, noise_bound
from bci.qualification.limits import shipped_limits
from bci.qualification.measurements import MEASUREMENTS
from bci.qualification.result import Result

LIMITS = shipped_limits()
OFFSET = next(m for m in MEASUREMENTS if m.name == "offset")


def surveyed(path: Path) -> dict[str, Result]:
    recording = Recording(path)
    x_uv = np.concatenate([chunk.data_uv for chunk in recording], axis=1)
    info = recording.info
    return {
        str(r.channel): r
        for r in idle_channels(x_uv, fs_hz=info.fs_hz, channels=info.channels, limits=LIMITS)
    }


@pytest.mark.parametrize(
    ("name", "dead", "bound_uv"),
    [
        ("OBCI-01_SDcard_hex.TXT", ("EXG1", "EXG2", "EXG5", "EXG6", "EXG7", "EXG8"), 3.5),
        ("OpenBCI_GUI-v6-blinks-jawClench-alpha.txt", (), 12.0),
        ("emg_ganglion/OpenBCI-RAW-S02_S1R0.txt", ("EXG3", "EXG4"), 12.0),
        ("emg_ganglion/OpenBCI-RAW-S02_S1REST.txt", ("EXG3", "EXG4"), 18.0),
    ],
)
def test_of_real_boards_the_unused_channels_are_named_and_no_worn_one_is_failed(
    shared_data: Callable[[str], Path], tmp_path: Path, name: str, dead: tuple[str, ...], bound_uv: float
) -> None:
    path = shared_data(f"openbci_raw/{name}")
    import_file(path, tmp_path / "x.bfp")
    found = surveyed(tmp_path / "x.bfp")
    assert tuple(label for label, r in found.items() if r.verdict == "fail") == dead
    assert all("dead" in found[label].reason for label in dead)
    worn = [r for r in found.values() if r.verdict != "fail"]
    assert {r.verdict for r in worn} == {"not measured"}  # the brain, muscles and mains were there
    assert all(0.1 < float(r.facts["bound_uv"]) < bound_uv for r in worn)
    assert all(float(r.facts["headroom_percent"]) > 60.0 for r in worn)  # none is railed


def test_a_shorted_board_is_bounded_by_its_own_noise() -> None:
    desk = Desk(seed=5)
    taken = desk.take(OFFSET.takes(8)[0])
    long = np.hstack([taken.data_uv, *(desk.take(OFFSET.takes(8)[0]).data_uv for _ in range(9))])
    found = idle_channels(long, fs_hz=250.0, channels=taken.info.channels, limits=LIMITS)
    assert {r.verdict for r in found} == {"pass"}
    assert [r.value for r in found] == pytest.approx([0.13] * 8, rel=0.2)


def test_a_railed_and_a_dead_channel_are_named() -> None:
    desk = Desk(seed=5, faults=[parse_bench_fault("railed:ch2"), parse_bench_fault("dead:ch4")])
    taken = desk.take(OFFSET.takes(8)[0])
    found = {
        r.channel: r
        for r in idle_channels(taken.data_uv, fs_hz=250.0, channels=taken.info.channels, limits=LIMITS)
    }
    assert {label: r.facts["fault"] for label, r in found.items() if r.verdict == "fail"} == {
        "ch2": "railed",
        "ch4": "dead",
    }


def test_mains_and_slow_waves_do_not_count_as_noise() -> None:
    rng = np.random.default_rng(2)
    t = np.arange(250 * 30) / 250
    white = np.convolve(rng.normal(0, 1, len(t) + 2), [0.25, 0.5, 0.25], "valid")
    worn = white + 50 * np.sin(2 * np.pi * 50 * t) + 80 * np.sin(2 * np.pi * 10 * t)
    assert noise_bound(worn, fs_hz=250.0) == pytest.approx(noise_bound(white, fs_hz=250.0), rel=0.1)
