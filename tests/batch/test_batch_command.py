"""`bci batch`: real decoders on made-up people, its table and report, and what it says to wrong input."""

from __future__ import annotations

import csv
import json
import re
import stat
from pathlib import Path

import edfio
import numpy as np
import pytest

from bci.batch import Batch, find_items, run_batch
from bci.batch.comparing import compare
from bci.cli import main
from bci.evaluation import balanced_accuracy, sign_flip_test
from tests.pipeline.synthetic import CHANNELS, make_run

MARKERS = {"grasp": "769", "rest": "770"}
OPTIONS = ("--label", "grasp=769", "--label", "rest=770", "--cued-only", "--channels", "C3,Cz,C4")


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people with two runs each, and a file that was cut."""
    where = tmp_path_factory.mktemp("people")
    for person, name in enumerate(("P01", "P02")):
        for number in (1, 2):
            run = make_run(seed=10 * person + number, trials=12)
            data = run.chunks[0].data_uv - 20_000.0
            signals = [
                edfio.EdfSignal(row, 125, label=label, physical_dimension="uV", physical_range=(-400, 400))
                for row, label in zip(data[:, : data.shape[1] // 125 * 125], CHANNELS, strict=True)
            ]
            notes = [edfio.EdfAnnotation(m.sample_index / 125, None, MARKERS[m.label]) for m in run.markers]
            edfio.Edf(signals, annotations=notes).write(where / f"{name}_R{number}.edf")
    (where / "P03_R1.edf").write_bytes((where / "P01_R1.edf").read_bytes()[:5000])
    (where / "README.txt").write_text("no recording")
    return where


@pytest.fixture(scope="module")
def results(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "out"
    assert main(["batch", str(people), str(folder), *OPTIONS, "--json"]) == 1  # one person was not done
    return folder


def test_the_table_has_a_line_a_decoder_and_the_reason_of_who_was_not_done(results: Path) -> None:
    with (results / "results.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [line["item"] for line in lines if line["decoder"] == "default"] == ["P01", "P02"]
    for line in lines[:2]:
        assert 0.5 < float(line["low"]) < float(line["high"]) <= 1
        assert (line["chance"], line["classes"]) == ("0.5", "grasp rest")
    (lost,) = [line for line in lines if line["item"] == "P03"]
    assert (lost["outcome"], lost["error"]) == ("refused", "RecordingError")
    assert "cut" in lost["reason"]
    assert stat.S_IMODE((results / "results.csv").stat().st_mode) == 0o600


def test_the_report_shows_the_numbers_of_the_table_and_needs_no_network(results: Path) -> None:
    page = (results / "report.html").read_text(encoding="utf-8")
    with (results / "results.csv").open(encoding="utf-8") as file:
        lines = [line for line in csv.DictReader(file) if line["outcome"] == "done"]
    for line in lines:
        assert f"{float(line['balanced_accuracy']):.3f}" in page
    assert "P03" in page
    assert re.findall(r"""(?:src|href)=["']?(?!data:)[^"'>\s]+""", page) == []


def test_decoders_are_compared_on_the_same_trials_of_the_people_who_were_done(
    people: Path, results: Path
) -> None:
    batch = Batch(results, find_items(people))
    found = compare(batch.records())
    assert found is not None
    assert found.n_subjects == 2
    assert found.means["default"] > 0.6
    rival = next(one for one in found.against if one.rival == "TS + LR")
    by_hand = found.means["default"] - found.means["TS + LR"]
    assert rival.difference.difference == pytest.approx(by_hand)
    assert rival.p_value >= sign_flip_test([0.1, 0.2])  # two people cannot say more


@pytest.mark.nightly
def test_two_processes_give_the_bits_of_one_with_the_real_decoders(
    people: Path, results: Path, tmp_path: Path
) -> None:
    options = json.loads((results / "batch.json").read_text())["options"]
    run_batch(find_items(people), tmp_path / "two", options=options, workers=2)
    first = {p.name: p.read_bytes() for p in (results / "items").iterdir()}
    assert len(first) == 3
    assert {p.name: p.read_bytes() for p in (tmp_path / "two" / "items").iterdir()} == first


def test_figures_are_those_of_bci_evaluate(
    people: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(people), "--subject", "P02", *OPTIONS, "--json"]) == 0
    (alone,) = json.loads(capsys.readouterr().out)
    with (results / "results.csv").open(encoding="utf-8") as file:
        lines = [line for line in csv.DictReader(file) if line["item"] == "P02"]
    assert {line["decoder"]: float(line["balanced_accuracy"]) for line in lines} == {
        name: one["balanced_accuracy"] for name, one in alone["cued"].items()
    }


def test_quality_judges_every_channel_of_every_recording(people: Path, tmp_path: Path) -> None:
    folder = tmp_path / "q"
    assert (
        main(["batch", str(people), str(folder), "--task", "quality", "--option", "line_hz=50", "--parquet"])
        == 1
    )
    with (folder / "results.csv").open(encoding="utf-8") as file:
        lines = [line for line in csv.DictReader(file) if line["outcome"] == "done"]
    assert len(lines) == 4 * len(CHANNELS)
    assert all(0 <= int(line["score"]) <= 100 for line in lines)
    assert (folder / "results.parquet").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere", "out"), "does not exist"),
        ((".", "out", "--task", "nonsense"), "evaluate, quality"),
        ((".", "out", "--window", "1"), "2 numbers"),
        ((".", "out", "--option", "line_hz"), "NAME=VALUE"),
        ((".", "out", "--each", "recording"), "--each subject"),
        ((".", "out", "--task", "evaluate", "--option", "colour=red"), "no option colour"),
    ],
)
def test_wrong_input_is_said_before_anything_is_done(
    words: tuple[str, ...],
    said: str,
    people: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    source = str(people) if words[0] == "." else words[0]
    assert main(["batch", source, *words[1:]]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_events_of_a_bids_data_set_are_those_of_its_events_file(people: Path, tmp_path: Path) -> None:
    from bci.errors import RecordingError
    from bci.interop import read_recording

    path = tmp_path / "sub-01_task-mi_run-1_eeg.edf"
    path.write_bytes((people / "P01_R1.edf").read_bytes())
    own = read_recording(path, labels={"grasp": "769"})
    assert len(own.markers) == 6
    events = path.with_name("sub-01_task-mi_run-1_events.tsv")
    events.write_text(
        "onset\tduration\ttrial_type\n2.0\t4\t右手\nn/a\tn/a\tx\n10.5\t4\tn/a\n", encoding="utf-8"
    )
    run = read_recording(path, labels={"right": "右手"})
    assert [(m.sample_index, m.label) for m in run.markers] == [(250, "right")]
    events.write_text("time\tname\n1\tx\n")
    with pytest.raises(RecordingError, match="column `onset`"):
        read_recording(path, labels={})


def test_balanced_accuracy_of_the_details_is_the_one_of_the_table(results: Path) -> None:
    for path in (results / "items").iterdir():
        record = json.loads(path.read_text(encoding="utf-8"))
        for n, row in enumerate(record["rows"]):
            detail = record["detail"][str(n)]
            assert balanced_accuracy(detail["labels"], detail["predicted"]) == row["balanced_accuracy"]


def test_a_sign_flip_test_counts_all_choices_and_is_never_zero() -> None:
    assert sign_flip_test([0.1] * 6) == 2 / 64
    assert sign_flip_test([0.0, 0.0]) == 1.0
    rng = np.random.default_rng(0)
    assert 0 < sign_flip_test(rng.normal(1.0, 0.1, 40)) < 1e-4
    null = [sign_flip_test(rng.normal(0, 1, 10)) for _ in range(300)]
    assert 0.02 < np.mean(np.array(null) <= 0.05) < 0.08
