"""`bci export` and `bci import` as a person or a program calls them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bci.cli._main import run
from bci.interop import READERS, WRITERS, RecordedSignal, export_signal, read_signal
from tests.interop.signals import all_counts, device_recording, known_recording


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return device_recording(tmp_path / "x.bfp").path


def test_a_recording_is_exported_beside_itself_and_imported_again(
    recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["export", str(recording), "--to", "bdf"]) == 0
    out = capsys.readouterr().out
    assert "8 channels" in out
    assert "samples lost in 1 gap, filled and marked" in out
    bdf = recording.with_suffix(".bdf")
    assert run(["import", str(bdf), "-o", str(recording.with_name("back.bfp"))]) == 0
    np.testing.assert_array_equal(
        all_counts(RecordedSignal(recording.with_name("back.bfp"))), all_counts(RecordedSignal(recording))
    )


def test_programs_get_json_and_nothing_else(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", str(recording), "--to", "edf", "--start", "0.5", "--end", "2.5", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["format"], told["n_channels"], told["duration_s"]) == ("edf", 8, 2.0)
    assert told["path"].endswith("x.edf")
    assert "16 bits" in told["losses"][0]


def test_a_session_is_exported_with_its_decisions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = tmp_path / "session"
    session.mkdir()
    known_recording(session / "recording.bfp")
    lines = [
        {"sample_index": 500, "classes": ["rest", "right"], "probabilities": [0.2, 0.8], "valid": True, "reason": ""},
        {"sample_index": 525, "classes": ["rest", "right"], "probabilities": ["nan", "nan"], "valid": False},
    ]  # fmt: skip
    (session / "decisions.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"cut', encoding="utf-8")
    (session / "model.safetensors").write_bytes(b"weights")
    assert run(["export", str(session), "--to", "bids", "--subject", "03", "--task", "grasp"]) == 0
    root = tmp_path / "session-bids" / "derivatives"
    table = root / "bci-hand" / "sub-03" / "eeg" / "sub-03_task-grasp_desc-decisions_events.tsv"
    rows = [row.split("\t") for row in table.read_text(encoding="utf-8").splitlines()]
    assert rows[0] == ["onset", "duration", "trial_type", "valid", "p_rest", "p_right"]
    assert rows[1] == ["2.000000", "0", "right", "1", "0.2", "0.8"]
    assert rows[2][2:] == ["n/a", "0", "n/a", "n/a"]
    assert (root / "bci-hand-decoders" / "sub-03_task-grasp_decoder.safetensors").read_bytes() == b"weights"


def test_of_a_visit_the_control_is_exported_with_the_decisions_and_the_decoder_it_had(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    visit = tmp_path / "001-20240229"
    visit.mkdir()
    known_recording(visit / "calibration.bfp")
    assert run(["export", str(visit), "--to", "bdf", "-o", str(tmp_path / "x.bdf")]) == 0
    known_recording(visit / "control-2.bfp")
    assert run(["export", str(visit), "--to", "bids"]) == 2
    assert "holds calibration.bfp, control-2.bfp; name one of them" in capsys.readouterr().err
    control = {"recording": "control-2.bfp", "model": "model-2.safetensors"}
    page = {"schema": "bci-visit/1", "control": control}
    (visit / "session.json").write_text(json.dumps(page), encoding="utf-8")
    said = {"sample_index": 500, "classes": ["rest", "right"], "probabilities": [0.2, 0.8], "valid": True}
    (visit / "control-decisions-2.jsonl").write_text(json.dumps(said), encoding="utf-8")
    (visit / "model-2.safetensors").write_bytes(b"weights")
    signal = RecordedSignal(visit / "control-2.bfp")
    export_signal(signal, tmp_path / "set", to="bids")
    root = tmp_path / "set" / "derivatives"
    assert (
        len((root / "bci-hand/sub-01/eeg/sub-01_task-bci_desc-decisions_events.tsv").read_text().splitlines())
        == 2
    )
    assert (root / "bci-hand-decoders" / "sub-01_task-bci_decoder.safetensors").read_bytes() == b"weights"
    export_signal(RecordedSignal(visit / "calibration.bfp"), tmp_path / "other", to="bids")
    assert not (tmp_path / "other" / "derivatives").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["export", "x.bfp", "--to", "mp3"], "no format 'mp3'"),
        (["export", "nowhere.bfp", "--to", "bdf"], "there is no file"),
        (["export", "notes.txt", "--to", "bdf"], "within its first packet"),
        (["export", "x.bfp", "--to", "bdf", "--start", "3", "--end", "2"], "is not after --start"),
        (["export", "x.bfp", "--to", "bdf", "-o", "nowhere/y.bdf"], "folder that exists"),
        (["export", "x.bfp", "--to", "bids", "--task", "左"], "BIDS label"),
        (["import", "nowhere.edf"], "check name and folder"),
        (["import", "notes.txt", "-o", "y.bfp"], "--from"),
        (["import", "notes.txt", "--from", "magic", "-o", "y.bfp"], "no format 'magic'"),
        (["import", "x.bfp"], "exists|no format|of no format"),
    ],
)
def test_wrong_words_get_one_clear_sentence_and_status_2(
    recording: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    import re

    monkeypatch.chdir(recording.parent)
    Path("notes.txt").write_text("meeting at nine\n" * 20)
    before = {p: p.read_bytes() for p in Path().iterdir()}
    assert run(arguments) == 2
    err = capsys.readouterr().err
    assert re.search(words, err), err
    assert "Traceback" not in err
    assert {p: p.read_bytes() for p in Path().iterdir()} == before


def test_force_replaces_and_nothing_else_does(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = recording.with_suffix(".csv")
    target.write_text("mine")
    assert run(["export", str(recording), "--to", "csv"]) == 2
    assert "--force" in capsys.readouterr().err
    assert target.read_text() == "mine"
    assert run(["export", str(recording), "--to", "csv", "--force"]) == 0
    assert read_signal(target).description.n_samples == 1000


def test_each_format_of_the_table_has_what_it_promises() -> None:
    for writer in WRITERS.values():
        assert callable(writer.load())
    for reader in READERS.values():
        assert callable(reader.load())
    written = {
        writer.suffix for writer in WRITERS.values() if writer.name in ("bdf", "edf", "xdf", "fif", "csv")
    }
    read = {suffix for reader in READERS.values() for suffix in reader.suffixes}
    assert written <= read  # there and back
