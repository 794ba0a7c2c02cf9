"""Impedance against what the simulated electrodes have, lead-off bits against the wire, and the tone taken out."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from bci.acquisition.impedance import (
    Impedance,
    ImpedanceMeter,
    ToneFilter,
    mean_impedance,
    measure_impedance,
    tone_cycles,
)
from bci.acquisition.recorder import RecordingEncoder
from bci.acquisition.recording import Recording
from bci.acquisition.simulator._excitation import OPEN_KOHM, Excitation
from bci.chunks import Chunk
from bci.errors import DesignError
from firmware_protocol import DeviceConfig, LeadOff, Opcode, ReferenceDevice
from tests.acquisition.board_bench import Bench, Ramp

KOHM = np.array([0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 200.0])
MODES = [LeadOff.AC_31_25_HZ, LeadOff.AC_QUARTER_RATE]


def eeg(n: int, *, rate: float, seed: int = 0, n_channels: int = 8) -> np.ndarray:
    """Pink noise of 10 µV, alpha, mains of 20 µV and a drift of millivolts."""
    rng = np.random.default_rng(seed)
    f = np.fft.rfftfreq(n, 1 / rate)
    spectrum = rng.normal(size=(n_channels, len(f))) + 1j * rng.normal(size=(n_channels, len(f)))
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(f, 0.5)), n)
    t = np.arange(n) / rate
    x = 10 * pink / pink.std() + 8 * np.sin(2 * np.pi * 10.3 * t) + 20 * np.sin(2 * np.pi * 50.01 * t)
    return x + 3000 + 40 * t + rng.normal(0, 0.4, (n_channels, n))


def chunks_of(x: np.ndarray, *, first: int = 0, step: int = 25) -> list[Chunk]:
    return [Chunk(x[:, at : at + step], first + at, restart=at == 0) for at in range(0, x.shape[1], step)]


def results(
    x: np.ndarray, mode: LeadOff, *, first: int = 0, step: int = 25, rate: int = 250
) -> list[Impedance]:
    meter = ImpedanceMeter(Fraction(rate), mode=mode)
    return [r for chunk in chunks_of(x, first=first, step=step) for r in meter.process(chunk)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rate", [250, 1000])
def test_bounds_hold_the_true_impedance_through_eeg_and_any_current_in_tolerance(
    mode: LeadOff, rate: int
) -> None:
    inside = total = 0
    for seed in range(20):
        truth = Excitation(8, Fraction(rate), seed=seed, impedance_kohm=KOHM)
        x = truth.add_to(eeg(6 * rate, rate=rate, seed=seed), mode, 12_345, {})
        for result in results(x, mode, first=12_345, rate=rate):
            inside += int(((result.low_kohm <= KOHM + 1e-9) & (result.high_kohm >= KOHM)).sum())
            total += len(KOHM)
    assert total >= 20 * 4 * 8
    assert inside / total > 0.97


@pytest.mark.parametrize("mode", MODES)
def test_with_a_nominal_current_the_value_itself_is_right(mode: LeadOff) -> None:
    truth = Excitation(8, Fraction(250), seed=3, impedance_kohm=KOHM)
    nominal = truth.current_na / 6.0
    x = truth.add_to(eeg(10 * 250, rate=250), mode, 0, {})
    result = mean_impedance(results(x, mode))
    assert result is not None
    np.testing.assert_allclose(result.kohm[3:] / nominal, KOHM[3:], rtol=0.03, atol=0.5)
    assert (result.kohm[:1] < 1.5).all()
    assert (result.low_kohm <= result.kohm).all()
    assert (result.kohm <= result.high_kohm).all()


def test_any_cut_of_the_signal_gives_the_same_numbers() -> None:
    truth = Excitation(8, Fraction(250), seed=1)
    x = truth.add_to(eeg(1500, rate=250), LeadOff.AC_31_25_HZ, 77, {})
    whole = results(x, LeadOff.AC_31_25_HZ, first=77, step=1500)
    for step in (1, 7, 100):
        for a, b in zip(results(x, LeadOff.AC_31_25_HZ, first=77, step=step), whole, strict=True):
            np.testing.assert_array_equal(a.kohm, b.kohm)
            assert a.first_sample == b.first_sample


def test_a_window_that_a_gap_touches_is_left_out() -> None:
    x = eeg(2000, rate=250)
    meter = ImpedanceMeter(Fraction(250), mode=LeadOff.AC_31_25_HZ)
    begins = [r.first_sample for r in meter.process(Chunk(x[:, :900], 0))]
    begins += [r.first_sample for r in meter.process(Chunk(x[:, :1100], 910, lost_before=10))]
    n = 31 * 8
    assert begins == [0, n, 2 * n, *range(4 * n, 2010 - n, n)]
    meter.reset()
    assert [r.first_sample for r in meter.process(Chunk(x[:, : n + 100], 0))] == [0]
    after = Chunk(x[:, : n - 100], 2 * n + 100, lost_before=n)  # as long as a window: the halves would join
    assert meter.process(after) == []


def test_modes_and_windows_that_cannot_work_are_refused() -> None:
    with pytest.raises(DesignError, match="fits 300 Hz"):
        tone_cycles(LeadOff.AC_31_25_HZ, Fraction(300))
    with pytest.raises(DesignError, match="mode DC"):
        ImpedanceMeter(Fraction(250), mode=LeadOff.DC)
    with pytest.raises(DesignError, match="whole ones"):
        measure_impedance(np.zeros((1, 130)), 0, cycles=Fraction(1, 8))
    assert mean_impedance([]) is None


def test_resistors_of_the_board_are_taken_off() -> None:
    truth = Excitation(8, Fraction(250), seed=1, impedance_kohm=KOHM + 2.2)
    x = truth.add_to(np.zeros((8, 248)), LeadOff.AC_31_25_HZ, 0, {})
    found = measure_impedance(x, 0, cycles=Fraction(1, 8), current_na=truth.current_na, series_kohm=2.2)
    np.testing.assert_allclose(found.kohm, KOHM, rtol=0.01, atol=0.05)


# ---- the tone taken out ----


def test_the_tone_is_taken_out_and_the_signal_is_left() -> None:
    truth = Excitation(8, Fraction(250), seed=2, impedance_kohm=KOHM)
    clean = eeg(2500, rate=250)
    x = truth.add_to(clean, LeadOff.AC_QUARTER_RATE, 3, {})
    outs = []
    for signal in (x, clean):
        stage = ToneFilter(8)
        outs.append(np.hstack([stage.process(chunk).data_uv for chunk in chunks_of(signal, first=3)]))
    assert np.abs(x - clean).max() > 1000
    assert np.abs(outs[0] - outs[1])[:, 1000:].max() < 0.01
    out = outs[1]
    f = np.fft.rfftfreq(1500, 1 / 250)
    change = np.abs(np.fft.rfft((out - clean)[:, 1000:] * np.hanning(1500)))
    there = np.abs(np.fft.rfft(clean[:, 1000:] * np.hanning(1500)))
    band = (f > 4) & (f < 40)
    assert (change[:, band].mean(axis=1) < 0.05 * there[:, band].mean(axis=1)).all()


def test_the_filter_gives_the_same_bits_however_the_signal_is_cut_and_starts_without_a_step() -> None:
    x = eeg(700, rate=250)
    whole = ToneFilter(8).process(Chunk(x, 5, restart=True)).data_uv
    for step in (1, 9, 64):
        stage = ToneFilter(8)
        cut = np.hstack([stage.process(chunk).data_uv for chunk in chunks_of(x, first=5, step=step)])
        np.testing.assert_array_equal(cut, whole)
    constant = np.full((8, 50), 4000.0)
    np.testing.assert_allclose(ToneFilter(8).process(Chunk(constant, 0)).data_uv, constant)
    stage = ToneFilter(8)
    stage.process(Chunk(x[:, :100], 0))
    after_gap = stage.process(Chunk(x[:, 200:], 200, lost_before=100)).data_uv
    np.testing.assert_array_equal(after_gap, ToneFilter(8).process(Chunk(x[:, 200:], 200)).data_uv)


# ---- on the board ----


@pytest.mark.parametrize("mode", MODES)
def test_the_simulated_board_shows_the_impedances_it_reports(mode: LeadOff) -> None:
    bench = Bench(Ramp(n_samples=2500), impedance_kohm=tuple(KOHM))
    bench.send(Opcode.LEAD_OFF, bytes([mode]))
    bench.start()
    bench.run(8.0)
    told = next(entry for entry in bench.truth if "impedance_kohm" in entry)
    counts = bench.counts()
    slope = np.polynomial.polynomial.Polynomial.fit
    x = counts.T * bench.board._device.uv_per_count[0]
    x = np.array([row - slope(np.arange(len(row)), row, 1)(np.arange(len(row))) for row in x])
    result = mean_impedance(results(x, mode))
    assert result is not None
    truth = np.array(list(told["impedance_kohm"].values()))
    np.testing.assert_array_equal(truth, KOHM)
    assert (result.low_kohm <= truth + 0.01).all()
    assert (truth <= result.high_kohm + 0.01).all()
    np.testing.assert_allclose(result.kohm, truth * told["current_na"] / 6.0, rtol=0.02, atol=0.05)


def test_an_electrode_that_comes_off_shows_megohms_while_it_is_off() -> None:
    bench = Bench(Ramp(n_samples=2500))
    bench.send(Opcode.LEAD_OFF, bytes([LeadOff.AC_QUARTER_RATE]))
    bench.board.fault("lead_off", {"channels": ["E3"], "at_sample": 1000, "seconds": 2.0})
    bench.start()
    bench.run(9.0)
    x = bench.counts().T * bench.board._device.uv_per_count[0]
    found = {r.first_sample: r.kohm[2] for r in results(x, LeadOff.AC_QUARTER_RATE)}
    assert found[2 * 248] < 25  # windows of 62 periods
    assert found[5 * 248] == pytest.approx(OPEN_KOHM, rel=0.25)
    assert found[7 * 248] < 25


# ---- lead-off bits per sample ----


def test_lead_off_bits_of_the_status_words_come_with_each_sample(tmp_path) -> None:  # type: ignore[no-untyped-def]
    labels = tuple(f"E{k}" for k in range(16))
    device = ReferenceDevice(DeviceConfig(labels=labels, has_status=True, samples_per_frame=2))
    bench = Bench()
    bench.send(Opcode.LEAD_OFF, bytes([LeadOff.DC]))
    bench.start()
    device.receive(bench.wire.said, 0)
    rng = np.random.default_rng(4)
    off_p, off_n = rng.random((2, 16, 300)) < 0.2
    wire = device.poll(0)
    for k in range(300):
        bits = [int(sum(1 << c for c in np.flatnonzero(off[:, k]))) for off in (off_p, off_n)]
        # Comparators are read when a packet begins; here each sample is pushed, and framed, by itself.
        device.push_samples([[k] * 16], k * 4000, lead_off_p=bits[0], lead_off_n=bits[1])
        wire += device.poll(k * 4000)
    encoder = RecordingEncoder(1)
    path = tmp_path / "x.bfp"
    path.write_bytes(encoder.start({}) + encoder.arrived(wire, 0) + encoder.finish())
    chunks = [chunk for chunk in Recording(path).chunks(max_samples=7) if chunk.n_samples]
    shown = [chunk.lead_off for chunk in chunks]
    assert all(pair is not None for pair in shown)
    np.testing.assert_array_equal(np.hstack([pair[0] for pair in shown if pair]), off_p)
    np.testing.assert_array_equal(np.hstack([pair[1] for pair in shown if pair]), off_n)
    cut = next(iter(Recording(path)[0.1:0.5])).lead_off
    assert cut is not None
    np.testing.assert_array_equal(cut[0], off_p[:, 25 : 25 + cut[0].shape[1]])


def test_without_status_words_there_are_no_lead_off_bits() -> None:
    assert Chunk(np.zeros((8, 3)), 0).lead_off is None
