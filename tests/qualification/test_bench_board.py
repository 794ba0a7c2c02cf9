"""The simulated bench board over its real bytes: it answers settings as an ADS1299 does, however it is asked."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from bci.acquisition import open_source
from bci.acquisition.simulator import Bench, BoardConfig, FrontEnd, SimulatedBoard, parse_bench_fault
from bci.acquisition.simulator._front_end import CONNECTIONS
from firmware_protocol import DeviceConfig, LeadOff, Opcode, ReferenceDevice, TestSignal, encode_command
from firmware_protocol.frames import Command
from firmware_protocol.layout import COMMANDS

CHANNELS = Bench().channels


def setup_of(*commands: tuple[Opcode, tuple[int, ...]]) -> Any:
    """What commands make of a board's settings."""
    device = ReferenceDevice(DeviceConfig(labels=CHANNELS, makes_test_signal=False))
    for number, (opcode, arguments) in enumerate(commands):
        payload = COMMANDS[opcode].struct.pack(*arguments)
        device.receive(b"\0" + encode_command(Command(0, 0, number, opcode, payload)), 0)
    return device.setup


def channel(gain: int, mux: int, which: int = 255) -> tuple[Opcode, tuple[int, ...]]:
    return Opcode.SET_CHANNEL, (which, gain, mux, 1)


def uv(front_end: FrontEnd, setup: Any, n: int = 2048, first: int = 0) -> np.ndarray:
    scale = np.array([4.5e6 / gain / (2**23 - 1) for gain, _mux, _on in setup.inputs])
    return front_end.convert(first, n, setup) * scale[:, None]


@pytest.mark.parametrize(
    ("gain", "noise_uv"),
    [(1, 1.08), (2, 0.57), (4, 0.31), (6, 0.23), (8, 0.20), (12, 0.16), (24, 0.14)],
)
def test_noise_at_shorted_inputs_is_what_the_data_sheet_says(gain: int, noise_uv: float) -> None:
    x = uv(FrontEnd(CHANNELS, seed=2), setup_of(channel(gain, 1)), 20_000)
    assert np.median(x.std(axis=1)) == pytest.approx(noise_uv, rel=0.06)


def test_the_test_signal_has_the_stated_height_and_period() -> None:
    front_end = FrontEnd(CHANNELS, seed=2)
    x = uv(front_end, setup_of(channel(24, 5), (Opcode.TEST_SIGNAL, (TestSignal.SLOW, 1))), 1024)
    # the source is good to 2 %
    assert (x.max(axis=1) - x.min(axis=1)) / 2 == pytest.approx(1875.0, rel=0.023)
    assert np.abs(x[:, :256] - x[:, 256:512]).max() < 2.0  # fCLK / 2**21 is 256 samples at 250 Hz
    twice = uv(front_end, setup_of(channel(24, 5), (Opcode.TEST_SIGNAL, (TestSignal.FAST, 2))), 1024, 1024)
    assert (twice.max(axis=1) - twice.min(axis=1)) / 2 == pytest.approx(3750.0, rel=0.023)
    assert np.abs(twice[:, :128] - twice[:, 128:256]).max() < 2.0


def test_the_multiplexer_chooses_what_is_seen() -> None:
    front_end = FrontEnd(CHANNELS, seed=2)
    setup = setup_of(
        channel(1, 1),
        channel(1, 5, 0),
        channel(1, 4, 1),
        channel(1, 3, 2),
        (Opcode.TEST_SIGNAL, (TestSignal.DC, 1)),
    )
    mean = uv(front_end, setup).mean(axis=1)
    assert mean[0] == pytest.approx(1875.0, rel=0.1)
    assert mean[1] == pytest.approx(145_300.0, rel=0.01)  # 25 °C
    assert mean[2] == pytest.approx(2.5e6, rel=0.01)
    assert np.abs(mean[3:]).max() < 200.0


def test_a_channel_that_is_off_gives_zero() -> None:
    setup = setup_of(channel(24, 1), (Opcode.SET_CHANNEL, (3, 24, 1, 0)))
    x = uv(FrontEnd(CHANNELS, seed=2), setup)
    assert (x[3] == 0).all()
    assert (x[4] != 0).any()


def test_what_is_connected_shows() -> None:
    front_end, setup = FrontEnd(CHANNELS, seed=2), setup_of(channel(24, 0))
    assert uv(front_end, setup).std(axis=1).min() > 1000.0  # open cables hum
    front_end.connect("shorted")
    assert uv(front_end, setup).std(axis=1).max() < 0.3
    front_end.connect("generator", frequency_hz=10.0, amplitude_uv=1e5)
    assert uv(front_end, setup).std(axis=1) == pytest.approx(
        np.sqrt(0.5) * 1e5 * np.sinc(0.04) ** 3, rel=0.01
    )
    front_end.connect("generator", frequency_hz=50.0, amplitude_uv=5e5, mode="common")
    assert uv(front_end, setup).std(axis=1).max() < 2.0  # what 110 dB leave of 0.5 V
    front_end.connect("resistors", kohm=5.1)
    excited = setup_of(channel(24, 0), (Opcode.LEAD_OFF, (LeadOff.AC_31_25_HZ,)))
    assert 25.0 < uv(front_end, excited).std(axis=1).mean() < 35.0  # 6 nA through 5.1 kΩ
    with pytest.raises(ValueError, match="can be connected"):
        front_end.connect("soup")
    with pytest.raises(ValueError, match="no option"):
        front_end.connect("shorted", kohm=3.0)
    assert set(CONNECTIONS) >= {"nothing", "shorted", "generator", "resistors", "vibration"}


@pytest.mark.parametrize("kind", ["shorted", "generator", "vibration", "warming"])
def test_any_cut_gives_the_same_counts(kind: str) -> None:
    faults = ("loose:ch5:30/min", "noise:ch4:0.5uV", "nonlinear:ch7:-60dB", "gaindrift:ch1:+60ppm/C")
    setup = setup_of(channel(24, 0), (Opcode.LEAD_OFF, (LeadOff.DC,)))
    whole, cut = (FrontEnd(CHANNELS, seed=9) for _ in range(2))
    for front_end in (whole, cut):
        front_end.connect(kind)
        for text in faults:
            front_end.fault(parse_bench_fault(text))
    once = whole.convert(0, 5000, setup)
    pieces, at = [], 0
    for n in (1, 7, 250, 4000, 742):
        pieces.append(cut.convert(at, n, setup))
        at += n
    np.testing.assert_array_equal(np.hstack(pieces), once)


def test_saturation_is_at_full_scale() -> None:
    front_end = FrontEnd(CHANNELS, seed=2)
    front_end.connect("generator", frequency_hz=10.0, amplitude_uv=3e5)
    counts = front_end.convert(0, 500, setup_of(channel(24, 0)))
    assert counts.max() <= 2**23 - 1
    assert counts.min() >= -(2**23)
    assert (counts == counts.max()).sum() > 500


def test_comparators_change_where_the_contact_opens() -> None:
    front_end = FrontEnd(CHANNELS, seed=3)
    setup = setup_of(channel(24, 0), (Opcode.LEAD_OFF, (LeadOff.DC,)))
    assert front_end.lead_off_bits(0, setup) == 0xFF  # open cables
    front_end.connect("vibration")
    front_end.fault(parse_bench_fault("loose:ch5:60/min"))
    edges = front_end.edges(0, 2500, setup)
    assert len(edges) == 20
    assert {front_end.lead_off_bits(at, setup) for at in edges[::2]} == {1 << 4}
    assert {front_end.lead_off_bits(at, setup) for at in edges[1::2]} == {0}
    assert front_end.lead_off_bits(edges[0], setup_of(channel(24, 0))) == 0  # no excitation, no word


def test_a_bench_configuration_travels() -> None:
    config = BoardConfig(signal=Bench(seed=3, n_channels=16, rate_hz=500))
    assert BoardConfig.from_json(config.to_json()) == config
    with pytest.raises(ValueError, match="8, 16"):
        Bench(n_channels=5)
    with pytest.raises(ValueError, match="Cyton"):
        BoardConfig(signal=Bench(), dialect="cyton")
    with pytest.raises(ValueError, match="250, 500"):
        Bench(rate_hz=300)


def test_over_the_wire_the_board_is_its_front_end() -> None:
    """One process: settings, connections, faults, the reference clock, another rate, HEARTBEAT's thermometer."""
    with SimulatedBoard(Bench(seed=6), speed=0) as board:
        board.fault("clock", amount=90.0)
        board.connect("generator", frequency_hz=10.0, amplitude_uv=1e5)
        with pytest.raises(ValueError, match="can be connected"):
            board.connect("soup")
        with open_source(board.port) as source:
            source.client.set_rate(500)
            source.client.set_channel(None, gain=12, mux=0)
            board.allow(1200)
            source.start()
            board.allow(1200)
            chunks: list[Any] = []
            while sum(chunk.n_samples for chunk in chunks) < 1200:
                chunks += source.read(1.0)
            points = np.array(board.reference())
            beat = source.client.stop()
            x = np.hstack([chunk.data_uv for chunk in chunks])
            assert source.info.rate == Fraction(500)
    twin = FrontEnd(CHANNELS, seed=6)
    twin.fault(parse_bench_fault("clock:+90ppm"))
    twin.connect("generator", frequency_hz=10.0, amplitude_uv=1e5)
    setup = setup_of((Opcode.SET_RATE, (500, 1)), channel(12, 0))
    np.testing.assert_allclose(x, uv(twin, setup, x.shape[1], chunks[0].first_sample), atol=1e-6)
    seconds = (points[-1, 0] - points[0, 0]) / 500
    assert (points[-1, 1] - points[0, 1]) * 1e-9 == pytest.approx(seconds, abs=0.01)
    assert beat.temperature_c == pytest.approx(25.0)
    assert beat.supply_mv == 3300


def test_a_wearers_board_has_no_bench() -> None:
    from tests.acquisition.board_bench import Bench as Turned

    turned = Turned()
    with pytest.raises(ValueError, match="on the bench"):
        turned.board.connect("shorted", {})
    with pytest.raises(ValueError, match="no fault 'gain'"):
        turned.board.fault("gain", {"channel": "ch1", "amount": 3.0})
