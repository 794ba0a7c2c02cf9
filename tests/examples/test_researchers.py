"""The examples for reports, researchers and firmware run in small form, without hardware, and say what they found."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from bci.language import use_language
from bci.report import write_visit
from tests.report.visits import full_visit

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SCRIPTS = (
    "04_session_report",
    "11_offline_with_mne",
    "12_train_on_public_data",
    "13_swap_a_stage",
    "14_stream_to_lsl",
    "15_cyton",
    "21_validate_firmware",
)
needs_pty = pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo-terminals here")


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], ModuleType]:
    """Load a script as Python would when it is started by its path; it works in a folder of its own."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.chdir(tmp_path)

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="module")
def wearer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three short runs of the simulated wearer, recorded as the examples record them."""
    spec = importlib.util.spec_from_file_location("simulated_wearer", EXAMPLES / "simulated_wearer.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    path: Path = module.record_wearer(tmp_path_factory.mktemp("wearer") / "wearer.bfp", runs=3, trials=7)
    return path


def test_04_writes_the_report_of_a_folder(
    example: Callable[[str], ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "visit"
    folder.mkdir()
    write_visit(folder / "session.json", full_visit())
    try:
        assert example("04_session_report").main([str(folder), "--lang", "zh"]) == 0
    finally:
        use_language("en")
    assert capsys.readouterr().out == f"报告  {folder / 'report.html'}\n"
    assert (folder / "report.html").stat().st_size > 10_000


def test_11_finds_the_desynchronisation_over_the_hand_that_was_meant(
    example: Callable[[str], ModuleType], wearer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert example("11_offline_with_mne").main([str(wearer)]) == 0
    told = capsys.readouterr().out
    found = re.search(r"right +([-+]\d+) % at C3 +([-+]\d+) % at C4", told)
    assert found is not None, told
    at_c3, at_c4 = map(int, found.groups())
    assert at_c3 < -25
    assert at_c3 < at_c4
    assert (tmp_path / "erd.png").read_bytes().startswith(b"\x89PNG")


def test_12_scores_a_run_that_was_not_trained_on(
    example: Callable[[str], ModuleType],
    shared_data: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert example("12_train_on_public_data").main(["--folder", str(shared_data("eegmmidb"))]) == 0
    told = capsys.readouterr().out
    assert "trained on R4 and R8" in told
    assert re.search(r"default +balanced accuracy 0\.\d\d \(95 % 0\.\d\d to ", told)
    assert "chance 0.50" in told


def test_12_says_what_is_wrong_with_a_folder(
    example: Callable[[str], ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert example("12_train_on_public_data").main(["--folder", str(tmp_path)]) == 2
    assert "no recordings in" in capsys.readouterr().err


def test_13_own_filter_and_a_foreign_decoder_find_the_intent(
    example: Callable[[str], ModuleType], wearer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert example("13_swap_a_stage").main([str(wearer)]) == 0
    told = capsys.readouterr().out
    scores = dict(re.findall(r"^(\S.*?) +balanced accuracy (\d\.\d\d)", told, re.MULTILINE))
    assert set(scores) == {"TangentSpaceDecoder", "pyRiemann TS + LR"}
    guessing = re.search(r"guessing reaches (\d\.\d\d)", told)
    assert guessing is not None
    assert all(float(score) > float(guessing[1]) for score in scores.values()), told


def test_13_filter_gives_the_same_however_the_signal_is_cut(example: Callable[[str], ModuleType]) -> None:
    import numpy as np

    module = example("13_swap_a_stage")
    x = np.random.default_rng(0).standard_normal((3, 500)) + 10_000
    whole, parts = module.MuFilter(250.0), module.MuFilter(250.0)
    cut = np.concatenate(
        [parts.process(x[:, :7]), parts.process(x[:, 7:300]), parts.process(x[:, 300:])], axis=1
    )
    np.testing.assert_allclose(whole.process(x), cut, atol=1e-9)
    assert np.abs(cut[:, :50]).max() < 50, "the electrodes' potential makes no step at the start"


@needs_pty
def test_14_streams_the_board_to_the_network(
    example: Callable[[str], ModuleType], capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pylsl", exc_type=(ImportError, RuntimeError))
    assert example("14_stream_to_lsl").main(["--seconds", "1", "--name", "bci-hand-test"]) == 0
    told = capfd.readouterr().out
    assert "stream 'bci-hand-test': 16 channels at 250 Hz" in told
    sent = re.search(r"(\d+) samples sent", told)
    assert sent is not None
    assert int(sent[1]) > 0


@needs_pty
def test_15_shows_the_alpha_rhythm_of_a_cyton(
    example: Callable[[str], ModuleType], capsys: pytest.CaptureFixture[str]
) -> None:
    assert example("15_cyton").main(["--seconds", "2"]) == 0
    told = capsys.readouterr().out
    assert "OpenBCI Cyton" in told
    assert re.search(r"   2 s  alpha +\d+\.\d µV, most at \w+ .*; \d+ samples lost", told)


@needs_pty
def test_21_asks_the_board_and_lists_what_it_finds(
    example: Callable[[str], ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        example("21_validate_firmware").main(["--steps", "identify,unknown-opcode", "--html", "v.html"]) == 0
    )
    told = capsys.readouterr().out
    assert re.search(r"FP702 +identify +passed", told)
    assert (tmp_path / "v.html").exists()


@pytest.mark.parametrize("name", ["14_stream_to_lsl", "15_cyton"])
def test_a_missing_port_is_said_in_a_sentence(
    name: str, example: Callable[[str], ModuleType], capsys: pytest.CaptureFixture[str]
) -> None:
    assert example(name).main(["--port", "/dev/no-such-port"]) == 2
    assert "there is no port" in capsys.readouterr().err


@pytest.mark.parametrize("name", SCRIPTS[1:])
def test_every_script_explains_itself(
    name: str, example: Callable[[str], ModuleType], capsys: pytest.CaptureFixture[str]
) -> None:
    module = example(name)
    try:
        code = module.main(["--help"])
    except SystemExit as left:  # argparse's way
        code = left.code
    assert code == 0
    assert module.__doc__ is not None
    assert module.__doc__.split()[0] in capsys.readouterr().out


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("[0-9]*.py")), ids=lambda path: path.stem)
def test_an_example_is_about_one_screen(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 130
