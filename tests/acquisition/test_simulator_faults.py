"""What the truth file says a board did wrong is what the driver sees, fault by fault."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bci.acquisition.assembler import Assembler
from bci.acquisition.doctor import channel_reports
from bci.acquisition.simulator._signals import UV_PER_COUNT, quantise
from bci.chunks import Chunk
from firmware_protocol import Data, Decoder, LeadOff, Opcode
from firmware_protocol.bulk import BulkDecoder
from tests.acquisition.board_bench import Bench, Ramp

LONG = Ramp(n_samples=100_000)


def driven(bench: Bench) -> tuple[list[Chunk], Assembler]:
    """What the live path makes of the board's bytes."""
    decoder, assembler = BulkDecoder(), Assembler()
    wire = bytes(bench.wire.got)
    chunks = [
        chunk
        for at in range(0, len(wire), 1000)
        for chunk in assembler.feed(decoder.feed(wire[at : at + 1000]))
    ]
    return [chunk for chunk in chunks if chunk.n_samples], assembler


def told(bench: Bench, kind: str) -> list[dict[str, Any]]:
    return [entry for entry in bench.truth if entry.get("fault") == kind]


def clean_twin(**config: Any) -> list[tuple[int, int, Any]]:
    """(first byte, byte behind, frame) of what the same board sends without faults."""
    bench = Bench(LONG, **config)
    bench.start()
    bench.run(6.0)
    wire = bytes(bench.wire.got)
    return [
        (frame.offset, wire.index(0, frame.offset) + 1, frame)
        for frame in bench.frames()  # type: ignore[union-attr]
    ]


def lost_by_truth(bench: Bench, kind: str) -> tuple[set[int], int]:
    """Conversions in packets that the truth says were hit, and how many packets that were."""
    hit = [entry["byte"] for entry in told(bench, kind)]
    frames = [(frame, [at for at in hit if begin <= at < end]) for begin, end, frame in clean_twin()]
    struck = [frame for frame, at in frames if at]
    samples = {
        frame.sample_index + k for frame in struck if isinstance(frame, Data) for k in range(frame.n_samples)
    }
    return samples, len(struck)


@pytest.mark.parametrize("kind", ["lose", "flip", "burst", "text"])
def test_damage_on_the_line_loses_the_samples_the_truth_names_and_no_other(kind: str) -> None:
    bench = Bench(LONG)
    bench.board.fault(kind, {"every_bytes": 3000, "times": None})
    bench.start()
    bench.run(6.0)
    chunks, assembler = driven(bench)
    hit, n_struck = lost_by_truth(bench, kind)
    assert n_struck > 5
    got = {chunk.first_sample + k for chunk in chunks for k in range(chunk.n_samples)}
    end = max(got)
    assert set(range(end)) - got <= hit  # a delimiter that was hit may cost nothing
    assert assembler.statistics.samples_lost == end + 1 - len(got)
    assert assembler.statistics.faults >= n_struck - 2
    wrong = [
        chunk.first_sample
        for chunk in chunks
        if not np.array_equal(
            chunk.data_uv, quantise(LONG.read(0, chunk.first_sample, chunk.n_samples)) * UV_PER_COUNT
        )
    ]
    assert wrong == []


def test_a_doubled_byte_costs_its_packet_and_is_named() -> None:
    bench = Bench(LONG)
    bench.board.fault("duplicate", {"at_byte": 5000})
    bench.start()
    bench.run(6.0)
    _, assembler = driven(bench)
    (entry,) = told(bench, "duplicate")
    assert entry["byte"] == 5000
    assert entry["became"] == entry["was"] * 2
    assert assembler.statistics.samples_lost in (0, 4)  # a doubled delimiter is nothing


def test_what_a_full_line_makes_the_board_drop_is_in_the_truth() -> None:
    bench = Bench(LONG)
    bench.start()
    bench.run(0.5)
    bench.board.fault("stall", {"seconds": 3.0})
    bench.run(8.0)
    chunks, assembler = driven(bench)
    dropped = sum(entry["dropped"] for entry in bench.truth if "dropped" in entry)
    assert dropped > 100
    assert assembler.statistics.samples_lost == dropped
    assert assembler.statistics.samples_lost_device == dropped
    assert sum(chunk.lost_before for chunk in chunks) == dropped
    assert told(bench, "stall")[0]["seconds"] == 3.0


def test_a_drift_is_the_rate_that_is_seen() -> None:
    bench = Bench(LONG)
    bench.board.fault("drift", {"ppm": 15_000})
    bench.start()
    bench.run(20.0)
    chunks, _ = driven(bench)
    assert chunks[-1].end_sample / 20.0 == pytest.approx(
        250 * (1 + told(bench, "drift")[0]["ppm"] * 1e-6), rel=2e-3
    )


def test_counters_wrap_where_the_truth_says_and_samples_go_on() -> None:
    bench = Bench(LONG)
    bench.board.fault("wrap", {"samples": 300})
    bench.start()
    bench.run(4.0)
    chunks, assembler = driven(bench)
    first = told(bench, "wrap")[0]["first_sample"]
    assert first == 2**32 - 300
    assert chunks[0].first_sample == first
    assert chunks[-1].end_sample > 2**32 + 400
    assert assembler.statistics.samples_lost == 0
    raw = [f.sample_index for f in bench.data()]
    assert min(raw) < 100 < 2**32 - 300 <= max(raw)


def test_a_reset_is_a_restart_from_0_that_loses_nothing_else() -> None:
    bench = Bench(LONG)
    bench.start()
    bench.run(1.0)
    bench.board.fault("reset", {})
    bench.run(1.5)
    bench.start()
    bench.run(1.0)
    chunks, assembler = driven(bench)
    assert assembler.statistics.resets == len(told(bench, "reset")) == 1
    restarts = [chunk.first_sample for chunk in chunks if chunk.restart]
    assert restarts == [0, 0]


def test_a_cable_pulled_for_a_while_comes_back_on_a_new_port() -> None:
    bench = Bench(LONG)
    bench.start()
    bench.run(1.0)
    before = bench.wire
    bench.board.fault("unplug", {"seconds": 2.0})
    assert before.hung_up
    bench.run(1.0)
    assert bench.wire is before
    bench.run(2.0)
    assert bench.wire is not before
    events = [next(iter(entry)) for entry in bench.truth if "unplug" in entry or "plug" in entry]
    assert events == ["unplug", "plug"]
    data = [frame for frame in Decoder().feed(bytes(bench.wire.got)) if isinstance(frame, Data)]
    assert data  # it went on converting


@pytest.mark.parametrize("kind", ["saturate", "flat", "noisy", "spi_slip"])
def test_bad_electrodes_and_a_slipped_bus_spoil_the_samples_the_truth_names_and_no_other(kind: str) -> None:
    bench = Bench(LONG)
    channels = None if kind == "spi_slip" else ["E2", "E5"]
    bench.board.fault(kind, {"channels": channels, "at_sample": 400, "seconds": 2.0})
    bench.start()
    bench.run(6.0)
    chunks, assembler = driven(bench)
    x = np.concatenate([chunk.data_uv for chunk in chunks], axis=1)
    right = quantise(LONG.read(0, 0, x.shape[1])) * UV_PER_COUNT
    (entry,) = told(bench, kind)
    spoilt = np.zeros(x.shape, dtype=bool)
    rows = [f"E{k + 1}" in entry["channels"] for k in range(8)]
    spoilt[np.ix_(rows, range(entry["sample"], entry["sample"] + entry["n_samples"]))] = True
    np.testing.assert_array_equal(x[~spoilt], right[~spoilt])
    assert (x[spoilt] != right[spoilt]).mean() > 0.9
    if kind != "spi_slip":
        assert assembler.info is not None
        verdicts = [r.verdict for r in channel_reports(x[:, 400:900], assembler.info)]
        expected = {"saturate": "saturated", "flat": "flat", "noisy": "noisy"}[kind]
        assert [verdict == expected for verdict in verdicts] == rows


def test_an_electrode_that_is_off_is_off_in_the_status_of_the_samples_the_truth_names() -> None:
    bench = Bench(LONG)
    bench.send(Opcode.LEAD_OFF, bytes([LeadOff.DC]))
    bench.board.fault("lead_off", {"channels": ["E4"], "at_sample": 403, "seconds": 1.0})
    bench.start()
    bench.run(4.0)
    chunks, _ = driven(bench)
    shown = np.hstack([chunk.lead_off[0] for chunk in chunks if chunk.lead_off is not None])
    (entry,) = told(bench, "lead_off")
    expected = np.zeros(shown.shape, dtype=bool)
    expected[3, entry["sample"] : entry["sample"] + entry["n_samples"]] = True
    np.testing.assert_array_equal(shown, expected)
