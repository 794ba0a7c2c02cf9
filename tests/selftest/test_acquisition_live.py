"""The figures of the live driver, short forms. Those that compare times only have to be measured here."""

from __future__ import annotations

import pytest

from bci.selftest import Result
from bci.selftest._acquisition_live import CHECKS

pytestmark = pytest.mark.timeout(120)
RUN = {check.name: check.run for check in CHECKS}


def exact(name: str) -> Result:
    """A short form whose verdict does not depend on how busy this computer is."""
    result = RUN[name](False)
    if result.skipped:
        pytest.skip(result.skipped)
    assert result.passed, result.measured
    return result


def test_timestamps_rise_keep_to_a_millisecond_and_their_uncertainty_covers_the_error() -> None:
    exact("clock-timestamps")


def test_the_loss_account_of_random_patterns_is_exact() -> None:
    assert exact("loss-account").figures["wrong"] == 0


def test_no_sample_is_lost_by_a_reader_beside_a_busy_thread_and_it_takes_less_time_than_a_plain_one() -> None:
    result = RUN["reader-latency"](False)
    if result.skipped:
        pytest.skip(result.skipped)
    figures = result.figures
    assert figures["packets_lost"] == 0
    assert float(figures["idle_cpu_ms_per_s"]) < float(figures["plain_idle_cpu_ms_per_s"])


def test_a_board_pulled_out_and_in_leaves_one_recording_and_nothing_else() -> None:
    figures = RUN["lost-and-returned"](False).figures
    if not figures:
        pytest.skip("pseudo-terminals are POSIX")
    assert figures["descriptors_before"] == figures["descriptors_after"]
    assert figures["threads_before"] == figures["threads_after"]
    assert figures["recorded_gaps"] == figures["cycles"]
    assert figures["recording_same"]


def test_64_channels_come_out_right_from_file_and_socket_faster_than_life() -> None:
    figures = RUN["throughput-64-channels"](False).figures
    assert figures["exact"]
    assert float(figures["file_times_real_time"]) > 1
    assert float(figures["socket_times_real_time"]) > 1


def test_a_stream_of_minutes_loses_nothing_and_leaves_nothing_open() -> None:
    figures = RUN["soak"](False).figures
    if not figures:
        pytest.skip("counts descriptors and memory as POSIX tells them")
    assert figures["samples_lost"] == 0
    assert figures["flat"]
    assert float(figures["memory_grown_mb"]) <= 1.0
