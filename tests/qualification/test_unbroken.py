"""Takes without a pause between them, and a bench that notices which board it has."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bci.acquisition import RecordingWriter, SimulatedBoard, open_source
from bci.acquisition.simulator import Bench
from bci.errors import DeviceLostError, SerialNumberError
from bci.qualification.attempts import alone, open_attempt
from bci.qualification.bench import qualify
from bci.qualification.limits import shipped_limits
from bci.qualification.result import Taken
from bci.qualification.rig import SimulatedRig, record
from bci.qualification.store import Batch
from bci.qualification.taken import taken_from
from bci.qualification.unbroken import Unbroken, _Cut
from firmware_protocol import Opcode
from firmware_protocol.device import ReferenceDevice
from tests.acquisition.boards import CONFIG, stream
from tests.qualification.made_up import Answers, measurement, short
from tests.qualification.test_store import FACTS

LIMITS = shipped_limits()


def line_of(rig: SimulatedRig, **more: Any) -> Unbroken:
    return Unbroken(rig, **{"device": "", "notes": {}, "real_time": False, **more})


def packets(taken: Taken) -> tuple[Any, Any]:
    """First and last conversion of each packet."""
    assert taken.clock is not None
    return taken.clock.sample - taken.clock.n_samples + 1, taken.clock.sample


def test_the_board_streams_through_all_takes_and_each_recording_goes_on_where_the_last_one_ended(
    tmp_path: Path,
) -> None:
    takes = [short(str(k), seconds=2.0) for k in range(3)]
    with SimulatedBoard(Bench(seed=3), speed=0, truth_path=tmp_path / "truth") as board:
        line = line_of(SimulatedRig(board), device="simulated 3 1.0")
        for take in takes:
            assert line.record(take, tmp_path / f"{take.name}.bfp")
        line.close()
        line.close()
        with open_source(board.port, check_pattern=False) as source:
            assert source.client.read_registers(0x05, 8) == bytes([0x60] * 8)  # type: ignore[attr-defined]
            source.start()  # at rest: a streaming board refuses START
    truth = [json.loads(text) for text in (tmp_path / "truth").read_text().splitlines()]
    # one for the takes, one for this test
    assert [entry["run"] for entry in truth if "run" in entry] == [0, 1]
    takens = [taken_from(tmp_path / f"{take.name}.bfp", take) for take in takes]
    for taken in takens:
        first, last = packets(taken)
        assert np.all(first[1:] == last[:-1] + 1)
        assert last[-1] - first[0] + 1 >= 525  # 2.1 s
        assert (taken.lost_device, taken.lost_link, taken.data_uv.shape) == (0, 0, (8, 500))
    for before, after in itertools.pairwise(takens):
        assert packets(after)[0][0] == packets(before)[0][-1]  # its last packet again


@pytest.mark.parametrize("lost", [0, 2])
def test_what_is_lost_between_two_takes_is_missing_in_the_later_one(tmp_path: Path, lost: int) -> None:
    device, cut = ReferenceDevice(replace(CONFIG, samples_per_frame=4)), _Cut()
    begins = _begun(device)
    wire = stream(device, 400)
    packet = wire.split(b"\0")
    just_coming = packet[50 + lost][:17]
    first = b"\0".join([*packet[:50], just_coming])
    second = b"\0".join(packet[50 + lost :])[17:]
    takens = []
    for k, part in enumerate((begins + first, second)):
        writer = RecordingWriter(tmp_path / f"{k}.bfp", facts={}, wall_clock=datetime(2026, 1, 1, tzinfo=UTC))
        cut.into(writer)
        cut.arrived(part, k)
        cut.into(None)
        writer.close()
        takens.append(taken_from(tmp_path / f"{k}.bfp", short(seconds=0.5)))
    assert [taken.lost_link for taken in takens] == [0, 4 * lost]
    assert packets(takens[1])[0][0] == packets(takens[0])[0][-1]


def _begun(device: ReferenceDevice) -> bytes:
    """What a device says when it is identified and started."""
    from firmware_protocol import Command, encode_command

    said = b""
    for number, opcode in enumerate((Opcode.IDENTIFY, Opcode.START)):
        payload = (0).to_bytes(4, "little") if opcode == Opcode.START else b""
        device.receive(encode_command(Command(number, 0, number, opcode, payload)), 0)
        said += device.poll(0)
    return said


# ---- which board it is ---------------------------------------------------------------------------------------


def test_another_board_in_the_middle_of_a_test_is_noticed(board: SimulatedBoard, tmp_path: Path) -> None:
    rig = SimulatedRig(board)
    unbroken = line_of(rig, device="simulated 9 1.0")
    for take_it in (
        lambda path: record(rig, short(), path, notes={}, real_time=False, device="simulated 9 1.0"),
        lambda path: unbroken.record(short(), path),
    ):
        with pytest.raises(DeviceLostError, match=r"simulated 3 1\.0 is on .* began with simulated 9 1\.0"):
            take_it(tmp_path / f"{id(take_it)}.bfp")
    unbroken.close()
    with Batch(tmp_path, create=True) as batch:
        attempt = batch.begin("SN1", ["one"], **FACTS)
        batch.met(attempt, "simulated 9 1.0")
        with pytest.raises(DeviceLostError, match="another board was put in"):
            qualify(batch, batch.attempt(attempt.id), [measurement("one")], LIMITS, rig, Answers())
        assert batch.attempt(attempt.id).device == "simulated 9 1.0"


def test_an_interrupted_test_goes_on_with_its_own_board_only(tmp_path: Path) -> None:
    facts: dict[str, Any] = {"limits": LIMITS, "operator": "Li", "at": "2026-01-01T00:00:00+00:00"}
    with Batch(tmp_path, create=True) as batch:
        first = open_attempt(batch, "SN1", ["one"], device="A 1.0", **facts).attempt
        batch.met(first, "A 1.0")
        assert open_attempt(batch, "SN1", ["one"], device="A 1.0", repeat=True, **facts).resumed
        with pytest.raises(
            SerialNumberError, match=r"began with the board A 1\.0, and B 1\.0 is on the port"
        ):
            open_attempt(batch, "SN1", ["one"], device="B 1.0", **facts)
        assert batch.attempt(first.id).state == "open"
        opened = open_attempt(batch, "SN1", ["one"], device="B 1.0", repeat=True, **facts)
        assert (opened.resumed, opened.attempt.number) == (False, 2)
        assert batch.attempt(first.id).reason == "Another board was put in before it was finished."
        batch.met(opened.attempt, "B 1.0")
        batch.finish(opened.attempt, at="x")
        with pytest.raises(
            SerialNumberError, match=r"It called itself B 1\.0 then, and C 1\.0 is on the port"
        ):
            open_attempt(batch, "SN1", ["one"], device="C 1.0", **facts)


def test_a_board_is_tested_on_one_bench_at_a_time(tmp_path: Path) -> None:
    with Batch(tmp_path, create=True) as here, Batch(tmp_path) as there:
        with alone(here, "SN1"):
            with pytest.raises(SerialNumberError, match="being tested at this moment"), alone(there, "SN1"):
                pass
            with alone(there, "SN2"):
                pass
        with alone(there, "SN1"):
            pass
