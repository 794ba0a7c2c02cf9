"""`bci qualify` as a pilot line uses it: one command per board, crash and clumsiness included."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bci.acquisition import SimulatedBoard
from bci.acquisition.simulator import Bench
from bci.cli import main
from bci.cli._qualify_view import BenchKeys, JsonView, LinesView, Person, TerminalView
from bci.qualification.guide import (
    Abort,
    Again,
    Go,
    Guide,
    Judged,
    Progress,
    Skip,
    Stage,
    TakeDone,
    begin,
    plan,
    step,
)
from bci.qualification.limits import SHIPPED
from bci.qualification.measurements import MEASUREMENTS, endurance
from bci.qualification.store import FILE, Batch


def bci(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    if "--lang" not in words:
        words = (*words, "--lang", "en")
    try:
        code = main(list(words))
    except SystemExit as end:
        code = int(end.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


def qualify(capsys: pytest.CaptureFixture[str], folder: Path, *words: str) -> tuple[int, str, str]:
    return bci(capsys, "qualify", "--simulated", "--batch", str(folder), "--only", "offset", *words)


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A batch with one good board, and one that failed and passed when it was repeated."""
    folder = tmp_path_factory.mktemp("line")
    for words in (
        ["--serial", "SN1"],
        ["--serial", "SN2", "--fault", "offset:ch6:+500uV"],
        ["--serial", "SN2", "--repeat"],
    ):
        main(["qualify", "--simulated", "--batch", str(folder), "--only", "offset", *words])
    return folder


def test_a_good_board_passes_and_a_fault_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _err = qualify(capsys, tmp_path, "--operator", "Li")
    assert code == 0
    assert "PASS  simulated-0-1.0" in out  # its own serial number, from INFO
    sheet = tmp_path / "boards/simulated-0-1.0/1/sheet.en.html"
    assert str(sheet) in out
    assert "Li" in sheet.read_text()
    code, out, _err = qualify(capsys, tmp_path, "--serial", "SN2", "--fault", "offset:ch6:+500uV", "--json")
    lines = [json.loads(line, parse_constant=pytest.fail) for line in out.splitlines()]
    assert code == 1
    assert lines[0]["stage"] == "begin"
    assert (lines[-1]["verdict"], lines[-1]["serial"]) == ("fail", "SN2")
    (bad,) = [line for line in lines if line.get("verdict") == "fail" and line.get("test") == "offset"]
    assert bad["channel"] == "ch6"
    assert bad["facts"]["fault"] == "offset"
    assert float(bad["facts"]["size"]) == pytest.approx(500.0, abs=180.0)  # and the board's own


def test_chinese_is_spoken_where_it_is_asked_for(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    _code, out, err = qualify(capsys, tmp_path, "--lang", "zh")
    assert "合格" in out
    assert "首次测试" in err
    assert (tmp_path / "boards/simulated-0-1.0/1/sheet.zh.html").is_file()


def test_a_serial_number_that_was_tested_already_is_asked_about(
    capsys: pytest.CaptureFixture[str], tested: Path
) -> None:
    before = (tested / FILE).read_bytes()
    code, _out, err = qualify(capsys, tested, "--serial", "SN1")
    assert code == 2
    assert "was tested already" in err
    assert "--repeat" in err
    assert (tested / FILE).read_bytes() == before
    code, _out, err = qualify(capsys, tested, "--serial", "SN1", "--lang", "zh")
    assert "测试过" in err


def test_what_a_batch_holds_can_be_listed_reported_exported_and_studied(
    capsys: pytest.CaptureFixture[str], tested: Path, tmp_path: Path
) -> None:
    words = ("--batch", str(tested), "--lang", "en")
    code, out, _err = bci(capsys, "qualify", "list", *words, "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [(r["serial"], r["attempts"], r["first"], r["latest"]) for r in rows] == [
        ("SN1", 1, "pass", "pass"),
        ("SN2", 2, "fail", "pass"),
    ]
    assert "FAIL → PASS" in bci(capsys, "qualify", "list", *words)[1]
    assert bci(capsys, "qualify", "report", *words)[1].strip() == str(tested / "report.en.html")
    assert bci(capsys, "qualify", "export", str(tmp_path / "all.csv"), *words)[0] == 0
    assert bci(capsys, "qualify", "gauge", *words)[0] == 1  # no board was repeated twice over
    code, out, _err = bci(
        capsys, "qualify", "sheet", "SN2", "--attempt", "1", "--batch", str(tested), "--lang", "zh"
    )
    page = Path(out.strip()).read_text(encoding="utf-8")
    # the reason and the picture, in a language that was not spoken when it was tested
    assert "ch6 的失调为" in page
    code, _out, err = bci(capsys, "qualify", "sheet", "SN9", *words)
    assert (code, "no finished test" in err) == (2, True)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "--port PORT, or take --simulated"),
        (("--port", "/dev/null", "--fault", "gain:ch3:+4%"), "for simulated boards"),
        (("--simulated", "--fault", "gain:ch3:+4V"), "is given in %"),
        (("--simulated", "--fault", "gain:ch33:+4%"), "ch33"),
        (("--simulated", "--fault", "unplug:ppm=3"), "unplug has no option 'ppm'; it has: seconds"),
        (("--simulated", "--only", "nonsense"), "no measurement is called 'nonsense'"),
        (("--simulated", "--serial", "../etc"), "is no serial number"),
        (("--simulated", "--limits", "none.toml"), "none.toml"),
        (("--port", "/dev/ttyNONE"), "/dev/ttyNONE"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    code, _out, err = bci(capsys, "qualify", "--batch", str(tmp_path), "--lang", "en", *words)
    assert code == 2
    assert sentence in err
    assert "Traceback" not in err


def test_limits_of_another_schema_leave_the_batch_as_it_was(
    capsys: pytest.CaptureFixture[str], tested: Path, tmp_path: Path
) -> None:
    strange = tmp_path / "strange.toml"
    text = (SHIPPED / "ads1299.toml").read_text(encoding="utf-8")
    strange.write_text(text.replace('schema = "bci-limits/1"', 'schema = "bci-limits/9"'), encoding="utf-8")
    before = (tested / FILE).read_bytes()
    code, _out, err = qualify(capsys, tested, "--serial", "SN3", "--limits", str(strange))
    assert code == 2
    assert "bci-limits/9" in err
    assert "限值文件" in qualify(capsys, tested, "--limits", str(strange), "--lang", "zh")[2]
    assert (tested / FILE).read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")
def test_a_bench_that_was_killed_goes_on_where_it_stopped(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = [
        "qualify",
        "--simulated",
        "--batch",
        str(tmp_path),
        "--only",
        "offset,endurance",
        "--serial",
        "SN1",
        "--lang",
        "en",
    ]
    process = subprocess.Popen([sys.executable, "-m", "bci.cli", *words], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "Offset" in line:  # judged, stored, and the next has begun
            os.kill(process.pid, signal.SIGKILL)
            break
    process.stderr.close()
    process.wait()
    with Batch(tmp_path) as batch:
        left = batch.board("SN1").open
        assert left is not None
        assert [d.done for d in batch.measurements(left)] == [True, False]
    # the same board again: what is done is not done again (and hours of endurance are not waited for)
    with Batch(tmp_path) as batch, SimulatedBoard(Bench(), speed=0) as board:
        from bci.qualification.attempts import open_attempt
        from bci.qualification.bench import qualify as go_on
        from bci.qualification.limits import shipped_limits
        from bci.qualification.rig import SimulatedRig
        from tests.qualification.made_up import Answers, measurement

        names = [d.name for d in batch.measurements(left)]
        opened = open_attempt(
            batch, "SN1", names, limits=shipped_limits(), operator="", at="x", simulated=True
        )
        assert opened.resumed
        rest = [m for m in MEASUREMENTS if m.name == "offset"] + [measurement("endurance")]
        ended = go_on(batch, opened.attempt, rest, shipped_limits(), SimulatedRig(board), Answers())
        assert (ended.state, ended.number) == ("finished", 1)
        assert [d.tries for d in batch.measurements(ended)] == [1, 1]


@pytest.mark.parametrize(
    ("fault", "sentence"), [("unplug", "lost the connection"), ("reset", "was reset while it streamed")]
)
def test_a_board_that_is_gone_in_the_middle_of_a_measurement_leaves_its_test_open(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fault: str, sentence: str
) -> None:
    code, _out, err = qualify(capsys, tmp_path, "--serial", "SN1", "--fault", fault)
    assert code == 2
    assert sentence in err
    assert "it goes on where it stopped" in err
    assert (tmp_path / "boards/SN1/1/offset-1.bfp").stat().st_size > 2 * 250 * 8 * 3  # half of four seconds
    code, out, err = qualify(capsys, tmp_path, "--serial", "SN1")
    assert (code, "PASS  SN1" in out) == (0, True)
    assert "was interrupted and goes on" in err


def test_endurance_for_hours_ends_with_the_first_failure(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ("--only", "endurance", "--hours", "0.5", "--fault", "drops:60/min", "--serial", "SN1")
    code, out, err = bci(capsys, "qualify", "--simulated", "--batch", str(tmp_path), *words)
    assert code == 1
    assert "conversions were lost within 1 min." in out
    assert len(list(tmp_path.glob("boards/SN1/1/endurance-*.bfp"))) == 1  # a minute of thirty
    assert (tmp_path / "boards/SN1/1/sheet.en.html").is_file()
    code, _out, err = bci(capsys, "qualify", "--simulated", "--batch", str(tmp_path), "--hours", "0")
    assert (code, "--hours" in err) == (2, True)


def test_without_a_generator_what_needs_one_is_left_out() -> None:
    from bci.qualification.attempts import chosen

    names = {m.name for m in chosen(MEASUREMENTS, generator=False)}
    assert {m.name for m in chosen(MEASUREMENTS)} - names == {"linearity", "common-mode"}
    # the bench's order
    assert [m.name for m in chosen(MEASUREMENTS, only=["noise", "offset"])] == ["offset", "noise"]


# ---- what the operator sees and presses ----------------------------------------------------------------------


class Keys(BenchKeys):
    def __init__(self, *keys: str) -> None:
        self._keys = list(keys)

    def pressed(self) -> list[str]:
        keys, self._keys = self._keys[:1], self._keys[1:]
        return keys

    @property
    def ended(self) -> bool:
        return not self._keys


def asking(*events: Any) -> Guide:
    guide = begin(plan([m for m in MEASUREMENTS if m.name == "leads"], 8))
    for event in events:
        guide = step(guide, event)
    return guide


@pytest.mark.parametrize(
    ("keys", "event"),
    [
        (["\n"], Go()),
        ([""], Go()),
        (["x", "s"], Skip()),
        (["\x1b"], Abort()),
        (["q"], Abort()),
        ([], Abort()),
    ],
)
def test_keys_and_lines_are_the_operators_answers(tmp_path: Path, keys: list[str], event: object) -> None:
    view = LinesView((tmp_path / "out").open("w"))
    assert Person(view, Keys(*keys), yes=False).answer(asking()) == event


def test_nobody_there_does_as_asked_once_and_leaves_out_what_fails(tmp_path: Path) -> None:
    view = LinesView((tmp_path / "out").open("w"))
    person = Person(view, Keys(), yes=True)
    assert person.answer(asking()) == Go()
    failed = asking(Go(), *[TakeDone()] * 9, Judged("not measured", "No tone."))
    assert failed.stage == Stage.ASK
    assert person.answer(failed) == Skip()
    assert Person(view, Keys("\n"), yes=False).answer(failed) == Again()


def test_a_second_screen_is_written_when_something_changes_and_ends_no_test(tmp_path: Path) -> None:
    page = tmp_path / "guide-ttyUSB0.html"
    with (tmp_path / "out").open("w") as stream:
        person = Person(LinesView(stream), Keys(), yes=False, page=page)
        person.show(asking())
        first = page.stat()
        person.show(asking())
        assert page.stat() == first
        person.show(asking(Go()))
        assert "Measuring" in page.read_text(encoding="utf-8")
        page.unlink()
        page.mkdir()  # nothing can be written there any more
        person.show(asking())


def test_the_terminal_shows_one_instruction_its_picture_and_the_time_left() -> None:
    console = Console(record=True, width=90, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    view = TerminalView(console.file)  # type: ignore[arg-type]
    console.print(view.panel(asking()))
    console.print(view.panel(asking(Go())))
    shown = console.export_text()
    assert "Put 5.1 kΩ between each input and the reference." in shown
    assert "[5.1 kOhm]" in shown
    assert "Esc: stop" in shown
    assert "seconds left" in shown
    assert " / " in shown  # seconds of signal, of how many


def test_hours_tell_how_far_they_are(tmp_path: Path) -> None:
    guide = begin(plan([endurance(2.0)], 8))
    with (tmp_path / "out").open("w") as stream:
        view = LinesView(stream)
        view.show(guide)
        for minute in range(1, 61):
            for signal_s in (20.0, 40.0, 60.0):
                guide = step(guide, Progress(signal_s, signal_s))
                view.show(guide)
            guide = step(guide, TakeDone())
            view.show(guide)
            if minute == 60:
                console = Console(record=True, width=90, file=stream)
                console.print(TerminalView(stream).panel(guide))
    lines = [line for line in (tmp_path / "out").read_text().splitlines() if line.startswith("  Endurance")]
    assert len(lines) == 10  # a twentieth each
    assert "6 / 120 min" in lines[0]
    assert "60 / 120 min" in lines[-1]
    assert "about 60 minutes left" in lines[-1]
    assert "60 / 120 min" in console.export_text()


def test_programs_are_told_what_to_connect(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as stream:
        JsonView(stream).show(asking())
    told = json.loads((tmp_path / "out").read_text())
    assert told["stage"] == "instruct"
    assert told["connect"] == {"kind": "resistors", "kohm": 5.1}
    assert told["instruction"]
