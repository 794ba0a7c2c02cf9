"""Lab Streaming Layer: streams between this process and another on the loopback, with pylsl alone as the witness."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bci.acquisition import Recording, open_source
from bci.chunks import Chunk
from bci.cli import main
from bci.decisions import Intent, Prediction
from bci.errors import DeviceLostError, DeviceNotFoundError, MontageMismatchError
from bci.interop import _lsl, _lsl_inlet
from bci.interop._lsl import StreamFacts
from bci.interop._lsl_counting import SampleCounter
from tests.interop.lsl_bench import CONFIG, INFO, chunks, made_uv
from tests.interop.signals import device_recording

pylsl = pytest.importorskip("pylsl", exc_type=(ImportError, RuntimeError))
pytestmark = pytest.mark.timeout(60)
ROOT = Path(__file__).resolve().parents[2]


class Program:
    """The other end, in a process of its own."""

    def __init__(self, what: str, config: Path) -> None:
        self.name = f"test {uuid.uuid4().hex[:8]}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.interop.lsl_bench", what, self.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"LSLAPICFG": str(config), "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            text=True,
            encoding="utf-8",
        )

    def hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def tell(self, line: str = "go") -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lsl") / "lsl_api.cfg"
    path.write_text(CONFIG)
    pylsl.set_config_filename(str(path))
    return path


@pytest.fixture
def program(config: Path, request: pytest.FixtureRequest) -> Iterator[Program]:
    other = Program(request.param, config)
    try:
        yield other
    finally:
        other.end()


def take(source: Any, n: int, n_markers: int) -> list[Chunk]:
    """All of a run, however late: markers come by a connection of their own. The test's time limit ends it."""
    got: list[Chunk] = []
    while sum(c.n_samples for c in got) < n or sum(len(c.markers) for c in got) < n_markers:
        got += source.read(0.1)
    return got


def joined(got: list[Chunk]) -> np.ndarray:
    return np.concatenate([chunk.data_uv for chunk in got], axis=1)


# ---- streams come in ----


@pytest.mark.parametrize("program", ["ours"], indirect=True)
def test_a_stream_is_a_source_whose_losses_markers_and_recording_are_those_of_a_board(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered = EntryPoint("lsl", "bci.interop.lsl:LslSource", "bci.sources")
    monkeypatch.setattr("bci.acquisition.source.entry_points", lambda **_: [registered])
    assert program.hear() == "ready"
    path = tmp_path / "x.bfp"
    name = program.name.replace(" ", "%20")
    url = f"lsl://{name}?markers={name}-markers&wait=50"
    with open_source(url, record_to=path, notes={"n": 1}) as source:
        assert source.info.channels == INFO.channels
        assert (source.info.rate, source.info.reference) == (INFO.rate, "A2")
        assert "OpenBCI" in source.info.device
        assert source.read(0.0) == []
        source.start()
        program.tell()
        assert program.hear() == "sent"
        got = take(source, 470, 2)
        source.mark("pause", code=4)
        assert source.last_byte_ns > 0
        source.stop()
        source.start()
        program.tell()
        got += take(source, 470, 3)
        statistics = source.statistics
        program.end()
        with pytest.raises(DeviceLostError, match="has ended"):
            list(source)
    assert source.ended
    sent = np.concatenate([made_uv(0, 200), made_uv(230, 270)], axis=1)
    np.testing.assert_array_equal(joined(got), np.concatenate([sent, sent], axis=1))
    samples = [chunk for chunk in got if chunk.n_samples]
    assert [(c.first_sample, c.lost_before) for c in samples if c.lost_before] == [(230, 30), (730, 30)]
    assert [c.first_sample for c in samples if c.restart] == [0, 500]
    markers = [m for chunk in got for m in chunk.markers]
    assert [(m.sample_index, m.label) for m in markers] == [
        (120, "right"),
        (400, "休息"),
        (500, "pause"),
        (620, "right"),
        (900, "休息"),
    ]
    assert (statistics.samples, statistics.samples_lost, statistics.restarts) == (940, 60, 2)

    recording = Recording(path)
    again = list(recording)
    np.testing.assert_array_equal(joined(again), joined(got))
    assert [m for chunk in again for m in chunk.markers] == markers
    assert (recording.statistics.samples, recording.statistics.samples_lost) == (940, 60)
    assert [c.first_sample for c in again if c.restart] == [0, 500]
    assert (recording.info.channels, recording.info.rate) == (INFO.channels, INFO.rate)
    assert recording.notes == {"n": 1}


@pytest.mark.parametrize("program", ["foreign"], indirect=True)
def test_another_programs_stream_comes_in_microvolts_with_its_markers_and_without_acceleration(
    program: Program,
) -> None:
    from bci.interop.lsl import LslSource

    assert program.hear() == "ready"
    name = program.name
    with LslSource(f"lsl://{name}?markers={name}-cues&wait=50", labels={2: "left"}) as source:
        assert source.info.channels == ("C3", "C4")
        source.start()
        program.tell()
        got = take(source, 300, 1)
    np.testing.assert_allclose(joined(got), np.arange(300) * np.array([[1.0], [-2.0]]), rtol=1e-6)
    assert [(m.sample_index, m.label, m.code) for c in got for m in c.markers] == [(150, "left", 2)]
    assert all(chunk.lost_before == 0 for chunk in got)
    with pytest.raises(MontageMismatchError, match="C3, C4, X"):
        LslSource(f"lsl://{name}?channels=C3,O1&markers={name}-cues")
    with pytest.raises(MontageMismatchError, match="µV, mV"):
        LslSource(f"lsl://{name}?channels=X&markers={name}-cues")
    with pytest.raises(DeviceNotFoundError, match="no stream of markers called 'nothing'"):
        LslSource(f"lsl://{name}?markers=nothing&wait=2")


def test_a_stream_that_is_not_there_is_an_error_that_lists_those_there_are(config: Path) -> None:
    from bci.interop.lsl import LslSource

    with pytest.raises(DeviceNotFoundError, match="no stream called 'nobody'"):
        LslSource("lsl://nobody?wait=0.1")
    with pytest.raises(DeviceNotFoundError, match="there are markers"):
        LslSource("lsl://nobody?color=red")
    for seconds in ("long", "nan", "inf", "-1"):
        with pytest.raises(DeviceNotFoundError, match="wait takes seconds"):
            LslSource(f"lsl://nobody?wait={seconds}")


# ---- streams go out ----


@pytest.mark.parametrize("program", ["listen"], indirect=True)
def test_signal_markers_probabilities_and_commands_reach_a_plain_listener_with_their_metadata(
    program: Program,
) -> None:
    from bci.interop.lsl import LslOutlets

    outlets = LslOutlets(
        INFO, name=program.name, filtering={"lower": "8", "upper": "30"}, classes=("rest", "right")
    )
    assert program.hear() == "ready"
    began_ns = 7_000_000_000_000
    for chunk in chunks():
        outlets.signal(chunk, arrived_ns=began_ns + chunk.end_sample * 4_000_000)
        outlets.filtered(chunk.data_uv / 2, chunk.first_sample)
    outlets.prediction(Prediction(300, ("rest", "right"), (0.25, 0.75)))
    outlets.prediction(Prediction(310, ("rest", "right"), (0.0, 0.0), valid=False, reason="lost"))
    outlets.command(Intent(1, "right", 310, 400, 0.9))
    name = program.name
    expected_rows = {name: 470, f"{name}-filtered": 470}
    expected_rows |= {
        f"{name}-{kind}": n for kind, n in (("markers", 2), ("probabilities", 2), ("commands", 1))
    }
    program.tell(json.dumps(expected_rows))
    told = json.loads(program.hear())
    assert set(told) == {name} | {f"{name}-{k}" for k in ("filtered", "markers", "probabilities", "commands")}
    signal = told[name]
    assert (signal["type"], signal["rate"]) == ("EEG", 250)
    assert signal["labels"] == ["C3", "Cz", "C4"]
    assert signal["units"] == ["microvolts"] * 3
    assert signal["types"] == ["EEG"] * 3
    assert (signal["manufacturer"], signal["model"], signal["reference"]) == ("OpenBCI", "Cyton v3.1", "A2")
    expected = np.concatenate([made_uv(0, 200), made_uv(230, 270)], axis=1).T
    np.testing.assert_array_equal(signal["samples"], expected)
    np.testing.assert_array_equal(told[f"{name}-filtered"]["samples"], expected / 2)
    assert told[f"{name}-filtered"]["filter"] == "8"
    # a lost stretch is a step of the stamps, and markers lie on their samples
    steps = np.diff(signal["stamps"]) * 250
    assert steps[199] == pytest.approx(31, abs=0.4)
    np.testing.assert_allclose(np.delete(steps, 199), 1, atol=0.3)
    marks = told[f"{name}-markers"]
    assert [row[0] for row in marks["samples"]] == ["right", "休息"]
    assert marks["stamps"][0] == pytest.approx(signal["stamps"][120], abs=0.002)
    probabilities = np.array(told[f"{name}-probabilities"]["samples"], dtype=float)
    np.testing.assert_array_equal(probabilities[0], [0.25, 0.75, 1])
    assert np.isnan(probabilities[1][:2]).all()
    assert probabilities[1][2] == 0
    assert told[f"{name}-probabilities"]["labels"] == ["rest", "right", "valid"]
    (command,) = told[f"{name}-commands"]["samples"]
    assert json.loads(command[0])["action"] == "right"
    offset = signal["stamps"][0] - began_ns * 1e-9
    before, there, after = time.monotonic(), pylsl.local_clock(), time.monotonic()
    assert there - after - 0.05 < offset < there - before + 0.05


def test_bci_lsl_sends_a_recording_at_its_pace(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bci.interop.lsl import LslSource

    # it begins when it is heard, a moment before `start`, which forgets what came
    monkeypatch.setattr("bci.interop._lsl.Inlet.flush", lambda self: None)
    recording = device_recording(tmp_path / "x.bfp", 500)
    sent = joined(list(recording)).astype(np.float32)
    name = f"test {uuid.uuid4().hex[:8]}"
    words = ["lsl", str(tmp_path / "x.bfp"), "--name", name, "--wait", "45"]
    with subprocess.Popen(
        [sys.executable, "-m", "bci.cli", *words],
        env=os.environ | {"LSLAPICFG": str(config)},
        stderr=subprocess.PIPE,
        cwd=ROOT,
    ) as process:
        try:
            with LslSource(f"lsl://{name}?wait=45&markers={name}-markers") as source:
                source.start()
                got: list[Chunk] = []
                with pytest.raises(DeviceLostError):
                    got.extend(source)
            assert process.wait(60) == 0
        finally:
            process.kill()
    np.testing.assert_array_equal(joined(got), sent)


def test_what_bci_lsl_cannot_do_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lsl", str(tmp_path / "none.bfp")]) == 2
    assert "there is no file" in capsys.readouterr().err
    assert main(["lsl", "x.bfp", "--notch", "50"]) == 2
    assert "--filter" in capsys.readouterr().err


@pytest.mark.parametrize("settings", [None, "lsl_api.cfg", "$LSLAPICFG"])
def test_liblsl_tells_of_errors_alone_where_nobody_has_settings_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: str | None
) -> None:
    told: list[str] = []
    library = SimpleNamespace(set_config_content=told.append)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_lsl, "SETTINGS", ("lsl_api.cfg",))
    monkeypatch.delenv("LSLAPICFG", raising=False)
    if settings == "$LSLAPICFG":
        monkeypatch.setenv("LSLAPICFG", str(tmp_path / "mine.cfg"))
        (tmp_path / "mine.cfg").touch()
    elif settings is not None:
        (tmp_path / settings).touch()
    _lsl._keep_quiet(library)
    assert told == ([] if settings else ["[log]\nlevel = -2\n"])
    _lsl._keep_quiet(SimpleNamespace())  # an older one


def test_markers_beside_a_stream_are_found_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    signal = StreamFacts("amp", "EEG", 2, 250.0)
    markers, others = (StreamFacts(name, "Markers", 1, 0.0, words=True) for name in ("amp-markers", "cues"))
    answers = [[others], [others, signal], [others, signal, markers]]
    monkeypatch.setattr(_lsl_inlet, "look_for_streams", lambda wait_s: iter(answers))
    assert _lsl_inlet._find("lsl://", "", None, 5.0) == (signal, markers)
    answers.pop()
    assert _lsl_inlet._find("lsl://amp", "amp", None, 5.0) == (signal, None)
    assert _lsl_inlet._find("lsl://amp", "amp", "cues", 5.0) == (signal, others)


# ---- which samples are missing ----


def stamps_of(numbers: np.ndarray, fs: float) -> np.ndarray:
    return 100.0 + numbers / fs


def losses(counter: SampleCounter, stamps: np.ndarray, *, block: int = 17) -> list[tuple[int, int]]:
    """(samples before, lost) of each gap."""
    found = []
    for at in range(0, len(stamps), block):
        found += [(at + begin, lost) for begin, _, lost in counter.cut(stamps[at : at + block]) if lost]
    return found


def test_a_gap_of_regular_stamps_is_counted_to_the_sample_at_a_rate_that_is_two_percent_off() -> None:
    numbers = np.delete(np.arange(10_000), np.r_[3000:3001, 5000:5040, 8000:8500])
    got = losses(SampleCounter(250.0), stamps_of(numbers, 245.0))
    assert got == [(3000, 1), (4999, 40), (7959, 500)]


def test_stamps_of_arrival_in_bursts_are_no_gaps() -> None:
    rng = np.random.default_rng(0)
    true = stamps_of(np.arange(5000), 256.0)
    bursts = np.repeat(true[11::12], 12)[:4992] + np.repeat(rng.uniform(0, 0.05, 416), 12)
    assert losses(SampleCounter(256.0), bursts) == []


def test_a_second_of_silence_is_a_gap_in_any_stream() -> None:
    rng = np.random.default_rng(1)
    numbers = np.delete(np.arange(5000), np.r_[3000:3256])
    jittered = stamps_of(numbers, 256.0) + rng.uniform(0, 0.004, len(numbers))
    ((at, lost),) = losses(SampleCounter(256.0), jittered)
    assert at == 3000
    assert abs(lost - 256) <= 2


def test_a_clock_that_is_set_back_is_no_gap() -> None:
    stamps = stamps_of(np.arange(2000), 250.0)
    stamps[1000:] -= 40.0
    assert losses(SampleCounter(250.0), stamps) == []
