"""Sample numbers to host time: rates, wraps, gaps, runs, resets, probes, and what never happens."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.acquisition import BoardSource
from bci.acquisition._clock_fit import Limits, TunnelFit
from bci.acquisition.clock import SampleClock
from firmware_protocol.device import ReferenceDevice
from tests.acquisition.boards import CONFIG, Bench

FS = 250
N = 4  # samples in a frame
START_NS = 5_000_000_000_000


class Device:
    """A device whose clock and converter run at rates of their own; `delay_ns` is how late a packet comes."""

    def __init__(self, *, clock_ppm: float = 0.0, rate_ppm: float = 0.0, first_us: int = 0) -> None:
        self.ns_per_us = 1000.0 * (1 - clock_ppm * 1e-6)
        self.us_per_sample = 1e6 / FS * (1 - rate_ppm * 1e-6)
        self.first_us = first_us
        self.clock = SampleClock()
        self.clock.configured(FS)

    def us(self, sample: float) -> int:
        return self.first_us + int(sample * self.us_per_sample)

    def ns(self, sample: float) -> float:
        """The truth."""
        return START_NS + sample * self.us_per_sample * self.ns_per_us

    def frames(self, first: int, n_frames: int, *, delay_ns: float = 1e6, at: int | None = None) -> None:
        """Frames from sample `first` on, numbered from `at`."""
        numbers = first + N * np.arange(n_frames)
        t_us = np.array([self.us(s) & 0xFFFFFFFF for s in numbers], np.uint32)
        arrived = np.array([self.ns(s + N - 1) + delay_ns for s in numbers]).astype(np.int64)
        told = numbers if at is None else at + N * np.arange(n_frames)
        self.clock.data(told + N - 1, np.full(n_frames, N), t_us, arrived)

    def probe(self, sample: float, *, out_ns: float = 200e3, back_ns: float = 300e3) -> None:
        at = self.ns(sample)
        self.clock.probe(int(at - out_ns), self.us(sample), int(at + back_ns))

    def seconds(self, n: int, *, first: int = 0, **options: float) -> None:
        """So many seconds of frames, read a tenth at a time, with a probe in each second."""
        for k in range(10 * n):
            if k % 10 == 5:
                self.probe(first + k * 25)
            self.frames(first + k * 24, 6, **options)

    def error_ms(self, sample: int) -> float:
        return (self.clock.time_of(sample) - self.ns(sample)) * 1e-6


def test_nothing_has_a_time_before_data_came() -> None:
    clock = SampleClock()
    assert not clock.known
    assert clock.uncertainty_s == float("inf")
    with pytest.raises(ValueError, match="no DATA has come"):
        clock.time_of(0)
    with pytest.raises(ValueError, match="no DATA has come"):
        clock.sample_at(0)


@pytest.mark.parametrize("rate_ppm", [0.0, 100.0, -25_000.0, 25_000.0])
@pytest.mark.parametrize("clock_ppm", [0.0, -100.0, 25_000.0])
def test_rates_far_from_nominal_are_measured_and_never_snap_to_it(clock_ppm: float, rate_ppm: float) -> None:
    device = Device(clock_ppm=clock_ppm, rate_ppm=rate_ppm)
    device.seconds(60)
    true_hz = 1e9 / (device.us_per_sample * device.ns_per_us)
    assert device.clock.fs_hz == pytest.approx(true_hz, rel=20e-6)
    assert device.clock.drift_ppm == pytest.approx((true_hz / FS - 1) * 1e6, abs=20)
    for sample in (8000, 14_000):
        assert abs(device.error_ms(sample)) < 0.6
    assert 0 < device.clock.uncertainty_s < 1e-3


def test_a_rate_close_to_nominal_is_still_the_measured_one() -> None:
    device = Device(rate_ppm=7.0)
    device.seconds(60)
    assert device.clock.fs_hz != FS
    assert device.clock.drift_ppm == pytest.approx(7.0, abs=5)


def test_late_packets_stalls_and_bursts_bend_nothing() -> None:
    device = Device(clock_ppm=40.0)
    device.seconds(20)
    steady = device.error_ms(4000)
    for k in range(100):
        device.frames(4800 + 24 * k, 6, delay_ns=2e9 - 80e6 * (k % 25))
    for sample in range(5000, 7000, 250):
        assert abs(device.error_ms(sample) - steady) < 0.7


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 900), st.integers(1, 12)), min_size=2, max_size=30), st.booleans())
def test_times_rise_strictly_through_any_gaps_and_never_change_once_told(
    steps: list[tuple[int, int]], probed: bool
) -> None:
    device = Device(clock_ppm=300.0, rate_ppm=-9000.0)
    told: dict[int, int] = {}
    at = 0
    for skip, n_frames in steps:
        at += N * skip
        if probed:
            device.probe(at)
        device.frames(at, n_frames, delay_ns=1e6 + 15e6 * (skip % 7 == 3))
        samples = np.arange(at, at + N * n_frames)
        told |= dict(zip(samples.tolist(), device.clock.time_of(samples).tolist(), strict=True))
        at += N * n_frames
    times = list(told.values())
    assert all(a < b for a, b in pairwise(times))
    assert [device.clock.time_of(sample) for sample in told] == times


def test_one_number_and_an_array_of_them_have_the_same_times_and_the_way_back_is_exact() -> None:
    device = Device(clock_ppm=-80.0)
    device.seconds(5)
    samples = np.array([0, 1, 499, 1100])
    times = device.clock.time_of(samples)
    assert times.tolist() == [device.clock.time_of(int(s)) for s in samples]
    assert [device.clock.sample_at(int(ns)) for ns in times] == pytest.approx(samples.tolist(), abs=1e-3)


def test_device_time_wraps_at_32_bits_and_an_absolute_one_puts_its_upper_half_right() -> None:
    device = Device(first_us=2**32 - 3_000_000)
    device.seconds(8)
    assert abs(device.error_ms(1800)) < 0.6
    late = Device(first_us=7 * 2**32 + 5)
    late.frames(0, 6)
    before = late.clock.time_of(10)
    late.probe(24)  # the first word of 64 bits
    late.seconds(20, first=24)
    assert late.clock.time_of(10) == before
    assert abs(late.error_ms(4700)) < 0.6


def test_lost_samples_do_not_move_those_that_came() -> None:
    whole, holed = Device(clock_ppm=60.0), Device(clock_ppm=60.0)
    rng = np.random.default_rng(1)
    for k in range(300):
        for device in (whole, holed):
            if k % 10 == 0:
                device.probe(24 * k)
            if device is whole or rng.random() < 0.7:
                device.frames(24 * k, 6)
    assert abs(whole.error_ms(7000) - holed.error_ms(7000)) < 0.3


def test_a_pause_between_runs_is_time_although_no_sample_was_made() -> None:
    device = Device()
    device.seconds(10)
    last = device.clock.time_of(2399)
    device.clock.run_began()
    for k in range(100):
        device.frames(12_500 + 24 * k, 6, at=2400 + 24 * k)  # 40 s later
    pause_s = (device.clock.time_of(2400) - last) * 1e-9
    assert pause_s == pytest.approx((12_500 - 2399) / FS, abs=1e-3)


def test_a_reset_begins_anew_and_time_still_rises() -> None:
    device = Device(first_us=10**9)
    device.seconds(10)
    last = device.clock.time_of(2399)
    device.clock.booted()
    assert not device.clock.known
    device.first_us = -int(3000 * device.us_per_sample)
    device.probe(3000)
    device.frames(3000, 6, at=0)
    assert device.clock.time_of(0) > last
    assert device.clock.time_of(0) == pytest.approx(device.ns(3000), abs=2e6)


def test_the_uncertainty_covers_the_error_without_a_single_probe() -> None:
    device = Device(clock_ppm=-90.0)
    for k in range(600):
        device.frames(24 * k, 6, delay_ns=9e6)
        assert abs(device.error_ms(24 * k + 23)) * 1e-3 <= device.clock.uncertainty_s
    assert device.clock.uncertainty_s < 0.02


def test_a_clock_that_was_pulled_to_another_rate_is_followed_again() -> None:
    device = Device()
    device.seconds(30)
    before_us, before_ns = device.us(7200), device.ns(7200)
    device.ns_per_us *= 1.02  # by far more than a crystal wanders
    shift = before_ns - device.ns(7200)
    true_ns = device.ns
    device.ns = lambda sample: true_ns(sample) + shift  # type: ignore[method-assign]
    assert before_us == device.us(7200)
    device.seconds(60, first=7200)
    assert abs(device.error_ms(7200 + 14_000)) < 1.0


def test_bounds_that_say_nothing_new_leave_the_fit_alone() -> None:
    fit = TunnelFit(Limits())
    fit.not_before(0.0, 1e9)
    fit.not_after(0.0, 1.002e9)
    assert fit.host_ns(0.0) == pytest.approx(1.001e9, abs=0.4e6)
    assert fit.uncertainty_ns(0.0) <= 2e6
    before = fit.host_ns(0.0)
    fit.not_after(10.0, 2e9)
    assert fit.host_ns(0.0) == before


def test_an_answer_older_than_its_question_is_no_probe() -> None:
    clock = SampleClock()
    clock.probe(2_000, 5, 1_000)
    assert clock.n_probes == 0


def test_a_source_tells_when_its_samples_were_taken_whatever_the_wall_clock_does() -> None:
    bench = Bench(ReferenceDevice(replace(CONFIG, rate=1000 * CONFIG.rate / 250)))
    wall = datetime(2024, 2, 29, tzinfo=UTC)

    def stepping() -> datetime:
        return wall + timedelta(hours=1 if bench.now_ns % 2 else -1)

    source = BoardSource(
        bench.port, baud=bench.baud, link=bench, clock_ns=bench.clock_ns, wall_clock=stepping
    )
    source.start()
    bench.streams_hz = 1000
    chunks = []
    for _ in range(400):
        chunks += source.read(0.01)
    last = chunks[-1].end_sample - 1
    assert source.clock.n_probes >= 5
    assert abs(source.clock.drift_ppm) <= source.clock.drift_uncertainty_ppm < 30_000
    assert abs(source.clock.time_of(last) - bench.now_ns) * 1e-9 <= source.clock.uncertainty_s < 0.1
    source.close()


def test_an_update_takes_little_of_the_time_between_two_packets() -> None:
    device = Device()
    device.seconds(2)
    began = time.process_time()
    device.seconds(10)
    assert time.process_time() - began < 1.0, "100 reads of 6 frames each"
