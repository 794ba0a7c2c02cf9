"""What the clinic's commands say in Chinese holds no English sentence: help, progress, results and errors."""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from rich.console import Console

from bci.cli import _qualify_view, _view, main
from bci.cli._help import PIECES, wrapped
from bci.cli._language import CLINIC
from bci.cli._main import COMMANDS, group
from bci.dsp import ChannelQuality
from bci.language import LANGUAGES, columns, padded, use_language
from bci.locale._sentences import CALLS
from bci.prosthesis import Snapshot
from bci.qualification.drawings import KINDS, drawing_text
from bci.sessions.observer import ControlView
from bci.sessions.summary import Summary

ROOT = Path(__file__).resolve().parents[2]
WORD = re.compile(r"[A-Za-z][a-z]+")
#: Commands, options, quoted input, paths and file names: what stays as it is typed.
TYPED = re.compile(
    r"`[^`]*`|'[^']*'|\[[a-zA-Z0-9|]+\]|--[a-z-]+|[!-~]*[/\\][!-~]*|[!-~]*\.[a-z]{2,4}\b|\$\w+|[!-~]+=[!-~]*"
)
#: Names of things, and words that are typed, which Chinese sentences keep.
KEPT = {
    "bci",
    "zh",
    "en",
    "all",
    "rest",
    "left",
    "right",
    "executed",
    "cyton",
    "Cyton",
    "Daisy",
    "Lab",
    "Layer",
} | {
    *(
        "OpenBCI",
        "Streaming",
        "Ctrl",
        "Esc",
        "Open",
        "noise",
        "gain",
        "ch",
        "uV",
        "mV",
        "nV",
        "as",
        "Ability",
        "Hand",
    ),
    *("Inspire", "Hz", "ms", "min", "of", "ssh", "mne", "simulated", "ability", "intended", "rh"),
    *("Fz", "Cz", "Report", "bfp", "endurance"),
}
WIDTH = 80


@pytest.fixture(autouse=True)
def chinese(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("BCI_LANG", "zh")
    monkeypatch.setenv("LANGUAGE", "zh")
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    monkeypatch.setenv("BCI_SESSIONS", str(tmp_path / "sessions"))
    monkeypatch.chdir(tmp_path)
    use_language("zh")
    yield
    use_language("en")


def english(text: str, typed: str = "") -> list[str]:
    """Words of `text` that are neither Chinese nor names nor those of the line that was typed."""
    kept = KEPT | set(WORD.findall(typed))
    return [word for word in WORD.findall(TYPED.sub(" ", text)) if word not in kept]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Preparing: starting the board", ["Preparing", "starting", "the", "board"]),
        ("无法读取 /tmp/x（No such file or directory）", ["No", "such", "file", "or", "directory"]),
        ("模拟采集板 1.0：16 通道，250 Hz；用 `bci record FILE` 采集", []),
    ],
)
def test_english_is_found_wherever_it_stands(text: str, found: list[str]) -> None:
    assert english(text) == found


# ---- help ------------------------------------------------------------------------------------------------------


def commands() -> Iterator[list[str]]:
    yield []
    for name in CLINIC:
        yield [name]
        command = group.get_command(click.Context(group), name)
        yield from ([name, below] for below in getattr(command, "commands", {}))


@pytest.mark.parametrize("command", list(commands()), ids=" ".join)
def test_help_is_chinese_and_fits_a_terminal(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--help"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("用法：bci")
    assert english(said, " ".join((*COMMANDS, *(below for line in commands() for below in line)))) == []
    assert [line for line in said.splitlines() if columns(line) > WIDTH] == []
    assert [line for line in said.splitlines() if line.lstrip()[:1] in tuple("，。：；、！？）”》")] == []
    assert "..." not in said.replace("[参数]...", "")  # click cuts sentences that it takes for one long word


def test_what_stays_english_is_said_where_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out.split("（仅英文）")
    assert len(listed) == 2
    assert all(f"\n  {name} " in listed[0] for name in CLINIC)
    assert all(f"\n  {name} " in listed[1] for name in ("batch", "evaluate", "export", "import", "lsl"))
    assert main(["export", "--help"]) == 0
    assert "Write a recording" in capsys.readouterr().out


@pytest.mark.parametrize("width", [10, 23, 40, 78])
def test_wrapped_lines_hold_all_words_and_no_more_columns_than_there_are(width: int) -> None:
    text = "半分钟走完全程，无需任何硬件。使用 --recording 时，采集板播放真实脑电（.bfp）。 [默认：1.0; 0.0<=x<=3.0]"
    lines = wrapped(text, width)
    longest = max(columns(piece) for piece in PIECES.findall(text))
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(columns(line) <= max(width, longest) for line in lines)
    assert wrapped("one two three", 7) == ["one two", "three"]
    assert wrapped("", width) == []


# ---- bad input -------------------------------------------------------------------------------------------------

#: What each command is given, and words of its own that it names in the answer.
BAD_INPUT: list[tuple[str, str]] = [
    ("demo --recording nowhere", ""),
    ("demo --recording full", ""),
    ("demo --label x", ""),
    ("demo --code foo", ""),
    ("demo --profile nowhere.toml", ""),
    ("demo --profile bad.toml", ""),
    ("demo --profile unknown.toml", "colour user control budget per closing intents sequences sequence within grips "
     "limits opening signal"),
    ("demo --profile full", ""),
    ("demo --output full", ""),
    ("demo --port nowhere", ""),
    ("demo --port full", ""),
    ("demo --port text.txt", ""),
    ("demo --port socket://nowhere", "socket"),
    ("demo --port foo://x", "lsl socket"),
    ("demo --intent 9", ""),
    ("demo --seed x", ""),
    ("demo --nope", ""),
    ("demo extra", "extra"),
    ("demo --budget", ""),
    ("nope", ""),
    ("doctor --port nowhere", ""),
    ("doctor --port socket://127.0.0.1:9", ""),
    ("doctor --seconds 0", ""),
    ("live --port a --recording b", ""),
    ("live --recording nowhere.bfp", ""),
    ("live --recording text.bfp --terminal", ""),
    ("live --terminal --lan", ""),
    ("live --port nowhere --terminal", ""),
    ("record x.bfp", ""),
    ("record x.bfp --port nowhere", ""),
    ("record x.bfp --port text.bfp", ""),
    ("record x.bfp --port p --mark g", ""),
    ("record x.bfp --port p --code g=x", ""),
    ("replay nowhere", ""),
    ("replay text.bfp", ""),
    ("replay empty.bfp", ""),
    ("recover nowhere.bfp", ""),
    ("recover text.bfp", ""),
    ("recover full", ""),
    ("report", ""),
    ("report visit", "session"),
    ("report full", ""),
    ("sessions --user u-nobody", "nobody"),
    ("sessions delete u-nobody --yes", "nobody"),
    ("sessions --store text.txt", ""),
    ("sessions nope", ""),
    ("quality --port nowhere", ""),
    ("quality --override C3", ""),
    ("quality --user u-nobody", "nobody"),
    ("calibrate --classes rest", ""),
    ("calibrate --pause 3 1", ""),
    ("calibrate --pause x 1", ""),
    ("calibrate --profile bad.toml", ""),
    ("control --user u-nobody", "nobody"),
    ("qualify", ""),
    ("qualify --simulated --only foo", "link offset response crosstalk clock input contact leads linearity common mode "
     "supply warmth sweep endurance flicker"),
    ("qualify --simulated --limits bad.toml", ""),
    ("qualify --simulated --limits nowhere.toml", ""),
    ("qualify --simulated --batch text.txt", ""),
    ("qualify list --batch full", ""),
    ("qualify sheet x --batch nowhere", ""),
]  # fmt: skip


@pytest.fixture
def around(tmp_path: Path) -> None:
    """What the commands above find where they are called."""
    for name, text in {
        "text.txt": "hello\n",
        "bad.toml": "x = = 1",
        "unknown.toml": 'colour = "red"',
        "text.bfp": "hello world\n" * 100,
        "empty.bfp": "",
        "full/something": "x",
        "visit/session.json": "{}",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(("line", "own"), BAD_INPUT, ids=[line for line, _own in BAD_INPUT])
def test_bad_input_is_answered_in_chinese(
    line: str, own: str, around: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line.split()) != 0
    told = capsys.readouterr()
    said = told.out + told.err
    assert re.search(r"[\u4e00-\u9fff]", said)
    assert english(said.replace(str(tmp_path), ""), f"{line} {own}") == [], said


# ---- what is shown ---------------------------------------------------------------------------------------------


def look() -> ControlView:
    """The hand in movement, one electrode bad."""
    names = ("F3", "Fz", "F4", "C3", "Cz", "C4", "P3", "P4")
    quality = {
        name: ChannelQuality(name, 20 if name == "C3" else 95, ("noise",), ("noise",), 0.0, 1.0, 1.0, 1.0)
        for name in names
    }
    hand = Snapshot(
        mode="hold",
        cause="no fresh signal; an electrode is off; too many samples were lost",
        position=(0.5,) * 6,
    )
    return ControlView(
        "第 3 组", 123.4, "right", quality, {"rest": 0.2, "right": 0.8}, {"right": 1.2}, 2.0, hand, 3, True
    )


@pytest.mark.parametrize("width", [80, 104])
@pytest.mark.parametrize("name", LANGUAGES)
def test_the_view_of_the_demonstration_is_spoken_and_fits(name: str, width: int) -> None:
    use_language(name)
    console = Console(file=io.StringIO(), width=width, force_terminal=True, record=True)
    view = _view.TerminalView(io.StringIO())
    view._console = console
    console.print(view.panel(look()))
    said = console.export_text()
    assert "…" not in said
    assert max(columns(line) for line in said.splitlines()) <= width
    if name == "zh":
        assert all(part in said for part in ("没有新的信号", "右手 +1.2/+2.0", "拇 50 食 50", "保持"))
        assert english(said) == []


REFUSAL = "尚不能证明解码优于随机水平：平衡正确率的下限为0.43，随机水平为0.50。请采集更多组，或改善信号。"


@pytest.mark.parametrize("armed", [True, False])
def test_the_summary_of_the_demonstration_is_chinese(armed: bool, capsys: pytest.CaptureFixture[str]) -> None:
    cued = {"interval_95": [0.7, 0.9], "trials": {"rest": 30, "right": 30}, "chance": 0.5}
    control = {
        **{"interval_95": [0.1, 1.4], "hits": 15, "cued_movements": 30, "detection_latency_s_median": 3.2},
        **{"blind_hit_rate": 0.04, "false_movements": 4, "idle_minutes": 7.1},
    }
    _view.print_summary(
        Summary(
            balanced_accuracy=0.82,
            balanced_accuracy_motor=0.8,
            armed=armed,
            refusal=REFUSAL,
            latency_ms_median=12.0,
            false_movements_per_min=0.5,
            what={"motor_channels": ["C3", "C4"], "hand_title": "模拟假肢手"},
            cued=cued,
            control=control,
            speed={"byte_to_command_ms_p99": 30.0, "decisions": 80},
            link={"samples": 1, "frames": 2, "bytes": 3, "faults": 4},
            files={"recording": "d/recording.bfp", "report": "d/report.html"},
        )
    )
    said = capsys.readouterr().out
    assert english(said) == []
    assert [line for line in said.splitlines() if columns(line) > WIDTH] == []
    assert "…" not in said  # rich cuts what it takes for one long word
    if not armed:
        assert REFUSAL in re.sub(r"\s", "", said)


def test_drawings_of_the_bench_keep_their_lines_where_words_are_chinese() -> None:
    for kind in KINDS:
        said = drawing_text({"kind": kind, "frequency_hz": 10.0, "amplitude_uv": 2e5})
        assert english(said.replace("kOhm", "")) == []
        use_language("en")
        plain = drawing_text({"kind": kind, "frequency_hz": 10.0, "amplitude_uv": 2e5})
        use_language("zh")
        assert [columns(line) for line in said.split("\n")] == [len(line) for line in plain.split("\n")]


def test_lines_beside_a_moving_panel_keep_the_encoding_of_the_console() -> None:
    """click would write UTF-8 past what rich puts in place of stderr."""
    console = io.TextIOWrapper(io.BytesIO(), encoding="gbk", errors="strict", write_through=True)
    with _qualify_view.TerminalView(console) as view:
        view.say("采集板 A1：首次测试。")
    assert "采集板 A1：首次测试。" in console.buffer.getvalue().decode("gbk")


def test_columns_count_chinese_signs_twice() -> None:
    assert (columns("C3 电极"), columns("")) == (7, 0)
    assert (padded("电极", 6), padded("电极", 6, right=True), padded("电极", 2)) == (
        "电极  ",
        "  电极",
        "电极",
    )


@pytest.mark.nightly
def test_the_whole_demonstration_is_told_in_chinese(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--live", "2", "--output", str(tmp_path / "demo")]) == 0
    told = capsys.readouterr()
    assert english(told.out + told.err) == []


# ---- what is not run above -------------------------------------------------------------------------------------

#: Files whose literals people in a clinic read.
TOLD = (
    *(f"bci/cli/{name}.py" for name in (*CLINIC, "_view", "_clinic_*", "_live_view", "_qualify_view", "_doctor_words")),
    *(f"bci/sessions/{name}.py" for name in ("demo", "staging", "arming", "live", "stop_key", "guided", "visiting")),
    *(f"bci/sessions/{name}.py" for name in ("calibrating", "controlling", "readiness", "signal_check", "electrodes")),
    "bci/acquisition/low_latency.py",
)  # fmt: skip
SENTENCE = re.compile(r"[A-Za-z]{2,},? [a-z]{2,}")
#: Words of rich's styles; names of log entries and results, which programs read.
FOR_PROGRAMS = re.compile(r"^(bold|dim|black|not measured$|board lost$|guided calibration$)")


def untold(source: str) -> list[str]:
    """Literals of two words and more that never go through the catalogue, besides docstrings, options and errors."""
    tree = ast.parse(source)
    aside: set[int] = set()
    for node in ast.walk(tree):
        called = getattr(node, "func", None)
        if (isinstance(called, ast.Name) and called.id in CALLS) or (
            isinstance(called, ast.Attribute) and called.attr in ("option", "argument")
        ):
            aside |= {id(below) for below in ast.walk(node)}
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            aside.add(id(node.value))
        if isinstance(node, ast.Raise):  # `tests/test_language.py` looks at these
            aside |= {id(below) for below in ast.walk(node)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in aside
        and SENTENCE.search(node.value.replace(" | sudo tee ", ""))
        and not FOR_PROGRAMS.match(node.value)
    ]


def test_every_sentence_in_files_that_speak_to_the_clinic_goes_through_the_catalogue() -> None:
    rule = '"""A docstring of words."""\nstage("x", f"{a}; {b}, at once so")\nnote(_("fine"))\nT = {"a": "in time"}'
    assert sorted(untold(rule)) == [", at once so", "in time"]
    paths = [path for pattern in TOLD for path in sorted(ROOT.glob(pattern))]
    assert len(paths) > len(TOLD)
    found = {
        str(path.relative_to(ROOT)): words
        for path in paths
        if (words := untold(path.read_text(encoding="utf-8")))
    }
    assert found == {}
