"""`bci evaluate`: what it prints, what it writes, and what it says to wrong input."""

from __future__ import annotations

import json
import math
import re
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import edfio
import pytest

from bci.cli import main
from tests.pipeline.synthetic import CHANNELS, make_run

MARKERS = {"grasp": "769", "rest": "770"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs of one person as EDF, markers as numbers."""
    where = tmp_path_factory.mktemp("recordings")
    for number in (1, 2, 3):
        run = make_run(seed=number, trials=12)
        data = run.chunks[0].data_uv - 20_000.0
        signals = [
            edfio.EdfSignal(row, 125, label=name, physical_dimension="uV", physical_range=(-400, 400))
            for row, name in zip(data[:, : data.shape[1] // 125 * 125], CHANNELS, strict=True)
        ]
        notes = [edfio.EdfAnnotation(m.sample_index / 125, None, MARKERS[m.label]) for m in run.markers]
        edfio.Edf(signals, annotations=notes).write(where / f"P01_R{number}.edf")
    return where


OPTIONS = ("--label", "grasp=769", "--label", "rest=770", "--cued-only", "--train", "1,2", "--test", "R3")


def test_figures_come_as_a_table_and_as_json_with_the_same_numbers(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "evaluation.html"
    assert main(["evaluate", str(folder), *OPTIONS, "--html", str(page)]) == 0
    printed = capsys.readouterr().out
    assert main(["evaluate", str(folder), *OPTIONS, "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    for name in ("default", "TS + LR", "CSP + LDA"):
        stated = result["cued"][name]["balanced_accuracy"]
        shown = re.search(rf"^  {re.escape(name)} +(\d\.\d+)", printed, re.M)
        assert shown is not None
        assert float(shown[1]) == pytest.approx(stated, abs=5e-4)
        assert f"{stated:.3f}" in page.read_text(encoding="utf-8")
    assert result["folds"] == [{"train": ["R1", "R2"], "test": ["R3"]}]
    assert result["cued"]["default"]["balanced_accuracy"] > result["cued"]["default"]["chance"] == 0.5
    assert result["control"] is None
    p, trial_s = result["cued"]["default"]["accuracy"], result["trial_s"]
    lost = sum(q * math.log2(q) for q in (p, 1 - p) if q)
    assert result["cued"]["default"]["bits_per_min"] == pytest.approx((1 + lost) * 60 / trial_s)
    assert f"{(1 + lost) * 60 / trial_s:.1f} bits/min" in printed


def test_imported_recordings_give_the_figures_of_the_files_they_were_made_of(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in folder.iterdir():
        assert main(["import", str(path), "-o", str(tmp_path / f"{path.stem}.bfp")]) == 0
    figures = []
    for where in (folder, tmp_path):
        capsys.readouterr()
        assert main(["evaluate", str(where), *OPTIONS, "--json"]) == 0
        (result,) = json.loads(capsys.readouterr().out)
        figures.append(result)
    of_files, of_recordings = figures
    assert of_recordings["folds"] == of_files["folds"]
    for name, one in of_files["cued"].items():
        # MNE goes through volts, which rounds the last bit
        assert of_recordings["cued"][name] == {
            key: pytest.approx(value, rel=1e-9, abs=1e-9) if isinstance(value, float) else value
            for key, value in one.items()
        }


def test_the_report_is_one_private_file_without_network(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "evaluation.html"
    assert main(["evaluate", str(folder), *OPTIONS, "--html", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert "http://" not in text
    assert "https://" not in text
    assert text.count("<img ") >= 4
    assert len(text) < 2_000_000
    if sys.platform != "win32":
        assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert main(["evaluate", str(folder), *OPTIONS, "--html", str(page)]) == 2  # never overwritten


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--train", "1"], "both the runs to train on and the runs to test on"),
        (["--train", "1,2", "--test", "2"], "trains and tests"),
        (["--runs", "1"], "needs at least 2 runs"),
        (["--train", "1", "--test", "7"], "has no run R7; its runs are R1, R2, R3"),
        (["--runs", "one"], "expected the number of a run"),
        (["--channels", "C3,Oz"], "it has C3, Cz, C4, Pz, F3"),
        (["--window", "1"], "expected 2 numbers"),
        (["--subject", "P09"], "no subject 'P09'"),
    ],
)
def test_wrong_input_gets_one_sentence_and_status_2(
    folder: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = ("--label", "grasp=769", "--label", "rest=770", "--cued-only")
    assert main(["evaluate", str(folder), *labels, *words]) == 2
    assert told in capsys.readouterr().err


def test_missing_folders_and_labels_are_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(tmp_path / "nowhere")]) == 2
    assert "nowhere does not exist" in capsys.readouterr().err
    assert main(["evaluate", str(folder), "--label", "left=5", "--label", "right=6"]) == 2
    assert "769" in capsys.readouterr().err


def test_a_real_person_is_evaluated_over_whole_runs(
    shared_data: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "--subject",
        "S02",
        "--train",
        "R1",
        "--test",
        "R3",
        "--channels",
        "motor",
        "--cued-only",
        "--json",
    ]
    assert main(["evaluate", str(shared_data("mi_openbci")), *words]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    assert result["cued"]["default"]["trials"] >= 30
    assert result["cued"]["default"]["balanced_accuracy"] > 0.5
