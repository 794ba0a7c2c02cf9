"""frame-validator check: what it prints and writes, its exit status, and what it says of files that are no captures."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from firmware_protocol import HostWriter, Start
from firmware_protocol.cli import main
from firmware_protocol.cli.check import _with_progress
from firmware_protocol.validator import capture as capture_module

from .captures import Board, each_data, good
from .gallery import GALLERY, noisy_line

Printed = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch

BOARD = Board(seconds=1.0, has_status=True)
GOOD = good(BOARD)
BAD = GALLERY["crc-byte-order"][1](BOARD)


@pytest.fixture
def clean(tmp_path: Path) -> str:
    return written(tmp_path / "good.bin", GOOD)


@pytest.fixture
def faulty(tmp_path: Path) -> str:
    return written(tmp_path / "bad.bin", BAD)


def written(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def late_samples(board: Board) -> bytes:
    """One SHOULD is broken: a frame's time is 9 ms off."""
    return each_data(board, lambda f, k: replace(f, t_us=f.t_us + 9000) if k == 30 else f)


# ---- exit status -------------------------------------------------------------------------------------------------


def test_a_clean_capture_ends_with_0(clean: str, capsys: Printed) -> None:
    assert main(["check", clean]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "clean: nothing to say"


def test_findings_end_with_1(faulty: str, capsys: Printed) -> None:
    assert main(["check", faulty]) == 1
    text = capsys.readouterr().out
    assert "cause FP914 crc-byte-order  certain" in text
    assert re.search(r"error FP104 crc-mismatch  byte \d+ \(0x[0-9A-F]+\), frame 1", text)
    assert "[SPEC 3.2]" in text
    assert "not clean: 1 cause" in text


def test_a_should_fails_only_if_strict(tmp_path: Path) -> None:
    path = written(tmp_path / "late.bin", late_samples(BOARD))
    assert main(["check", path]) == 0
    assert main(["check", "--strict", path]) == 1


@pytest.mark.parametrize("name", ["missing.bin", "."])
def test_what_cannot_be_read_ends_with_2_and_one_sentence(name: str, tmp_path: Path, capsys: Printed) -> None:
    assert main(["check", str(tmp_path / name)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("frame-validator: ")
    assert error.count("\n") == 1


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("notes.txt", "nothing")
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "the file is empty"),
        (archive(), "this is a zip archive"),
        (b"0       X X X X".ljust(256) + bytes(999), "this is an EDF file"),
        (b"Dear colleague, the board you asked for is on its way to you.\n" * 20, "no packet among them"),
        (HostWriter(5).encode(Start({"software": "x"})), "without one packet of a device"),
        (HostWriter(5).encode(Start({"software": "x"}))[:20], "no packet among them"),
    ],
    ids=["empty", "zip", "edf", "text", "recording of nothing", "recording cut in its first packet"],
)
def test_a_file_without_frames_ends_with_3_and_says_what_it_is(
    data: bytes, says: str, tmp_path: Path, capsys: Printed
) -> None:
    path = written(tmp_path / "foreign", data)
    assert main(["check", path]) == 3
    text = capsys.readouterr().out
    assert says in text
    assert "no frames found" in text
    assert main(["check", "--json", path]) == 3
    assert says in capsys.readouterr().err


def test_a_recording_that_was_cut_off_is_fine_up_to_there(tmp_path: Path, capsys: Printed) -> None:
    data = HostWriter(5).encode(Start({})) + GOOD
    path = written(tmp_path / "session.bfp", data[:-40])
    assert main(["check", "--json", path]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["recording"]
    assert [f["rule"] for f in report["findings"]] == ["FP110"]


# ---- options -----------------------------------------------------------------------------------------------------


def test_rules_may_be_selected_and_ignored(faulty: str, capsys: Printed) -> None:
    assert main(["check", "--ignore", "FP1,crc-byte-order", faulty]) == 0
    capsys.readouterr()
    assert main(["check", "--select", "FP104", "--json", faulty]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["causes"], {f["rule"] for f in report["findings"]}) == ([], {"FP104"})
    assert main(["check", "--select", "FP99", faulty]) == 2
    assert "no rule is called FP99" in capsys.readouterr().err


def test_checking_stops_at_so_many_errors(tmp_path: Path, capsys: Printed) -> None:
    path = written(tmp_path / "noisy.bin", noisy_line(replace(BOARD, seconds=4.0)))
    assert main(["check", "--max-errors", "3", "--json", path]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["stopped"]
    assert sum(c["count"] for c in report["counts"] if c["level"] == "MUST") == 3


def test_explain_adds_what_the_rules_that_spoke_ask_for(faulty: str, capsys: Printed) -> None:
    assert main(["check", "--explain", faulty]) == 1
    assert "It is computed before COBS" in capsys.readouterr().out


def test_a_baseline_takes_out_what_is_known(faulty: str, clean: str, tmp_path: Path, capsys: Printed) -> None:
    known = tmp_path / "known.json"
    assert main(["check", "--json", str(known), faulty]) == 1
    assert main(["check", "--baseline", str(known), faulty]) == 0
    assert "known from the baseline" in capsys.readouterr().out
    late = written(tmp_path / "late.bin", late_samples(BOARD))
    assert main(["check", "--strict", "--baseline", str(known), late]) == 1
    assert main(["check", "--strict", "--json", str(known), late]) == 1
    assert main(["check", "--strict", "--baseline", str(known), late]) == 0
    assert main(["check", "--baseline", clean, late]) == 2
    assert main(["check", "--baseline", str(tmp_path / "none.json"), late]) == 2


def test_a_dump_in_hexadecimal_may_be_checked(tmp_path: Path) -> None:
    assert main(["check", "--hex", written(tmp_path / "dump.txt", GOOD.hex(" ", 8).encode())]) == 0


def test_the_load_of_the_link_follows_from_its_baud_rate(tmp_path: Path, capsys: Printed) -> None:
    wire = good(replace(BOARD, seconds=2.0))
    assert main(["check", "--baud", "115200", "--json", written(tmp_path / "two.bin", wire)]) == 0
    load = json.loads(capsys.readouterr().out)["statistics"]["link_load"]
    assert load == pytest.approx(len(wire) * 10 / 115_200 / 2, rel=0.02)


def test_without_a_file_it_says_what_is_missing(capsys: Printed) -> None:
    assert main(["check"]) == 2
    assert "which capture?" in capsys.readouterr().err


# ---- forms -------------------------------------------------------------------------------------------------------


def test_a_form_without_a_file_goes_to_standard_output_wherever_it_stands(
    faulty: str, capsys: Printed
) -> None:
    assert main(["check", "--json", faulty]) == 1
    first = capsys.readouterr().out
    assert main(["check", faulty, "--json"]) == 1
    assert capsys.readouterr().out == first
    assert main(["check", "--json", "--html", "--", faulty]) == 2


def test_json_holds_every_field_of_a_finding(faulty: str, capsys: Printed) -> None:
    main(["check", "--json", faulty])
    report = json.loads(capsys.readouterr().out)
    finding = report["findings"][0]
    assert finding.keys() >= {
        *("rule", "name", "level", "section", "offset", "frame", "device_s"),
        *("text", "got", "expected", "hint", "window"),
    }
    window = finding["window"]
    first, stop = (place - window["offset"] for place in window["marks"])
    marked = bytes.fromhex(window["hex"])[first:stop]
    assert int.from_bytes(marked, "little") == int(finding["got"], 16)
    assert report["causes"][0]["certainty"] == "certain"
    assert report["exit_status"] == 1


def test_statistics_are_complete(clean: str, capsys: Printed) -> None:
    main(["check", "--json", clean])
    x = json.loads(capsys.readouterr().out)["statistics"]
    assert x["frames_by_type"] == {"DATA": 62, "HEARTBEAT": 1, "INFO": 2, "RESPONSE": 1}
    assert (x["samples"], x["samples_lost"], x["resyncs"], x["bytes_skipped"]) == (248, 0, 0, 0)
    assert (x["measured_rate_hz"], x["rate_ppm"], x["crc_error_rate"]) == (
        pytest.approx(250),
        pytest.approx(0),
        0,
    )
    assert x["jitter_us"].keys() == {"median", "p95", "p99", "max"}
    assert {channel["state"] for channel in x["channels"]} == {"live"}


def test_junit_has_a_failure_for_what_fails(faulty: str, tmp_path: Path) -> None:
    path = tmp_path / "report.xml"
    assert main(["check", faulty, "--junit", str(path)]) == 1
    suite = ElementTree.parse(path).getroot()
    failed = {case.get("name") for case in suite if case.find("failure") is not None}
    assert failed == {"FP104 crc-mismatch", "FP914 crc-byte-order"}
    assert (int(suite.get("tests", 0)), int(suite.get("failures", 0))) == (len(suite), 2)


def test_junit_of_a_capture_without_frames_fails(tmp_path: Path) -> None:
    path = tmp_path / "report.xml"
    assert main(["check", written(tmp_path / "empty", b""), "--junit", str(path)]) == 3
    assert "no frames found" in path.read_text()


def test_a_warning_is_output_of_a_test_that_passed(tmp_path: Path) -> None:
    path = tmp_path / "report.xml"
    assert main(["check", written(tmp_path / "late.bin", late_samples(BOARD)), "--junit", str(path)]) == 0
    suite = ElementTree.parse(path).getroot()
    assert suite.get("failures") == "0"
    assert any(case.find("system-out") is not None for case in suite)


def test_sarif_points_at_the_bytes(faulty: str, capsys: Printed) -> None:
    main(["check", "--sarif", faulty])
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == ["FP104", "FP914"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        region = result["locations"][0]["physicalLocation"]["region"]
        assert region["byteLength"] >= 1
    (uri,) = {r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in run["results"]}
    assert uri == faulty


@pytest.mark.parametrize("name", ["good", "crc-byte-order", "line-damage", "no-answer", "channel-off-by-one"])
def test_html_is_one_file_that_needs_nothing_else(name: str, tmp_path: Path) -> None:
    wire = GOOD if name == "good" else GALLERY[name][1](BOARD)
    path = tmp_path / "report.html"
    main(["check", written(tmp_path / "x<y>.bin", wire), "--html", str(path)])
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"<script|<link|<img|url\(|https?://", text)
    assert "x&lt;y&gt;.bin" in text
    assert ("Not clean" if name != "good" else "Clean") in text
    body = text[text.index("<body") :].replace("<br>", "")
    ElementTree.fromstring(body[: body.index("</body>") + 7])  # well-formed


def test_a_report_overwrites_reports_only(faulty: str, clean: str, tmp_path: Path, capsys: Printed) -> None:
    assert main(["check", faulty, "--json", clean]) == 2
    assert "not overwritten" in capsys.readouterr().err
    assert Path(clean).read_bytes() == GOOD
    path = tmp_path / "report.json"
    assert main(["check", faulty, "--json", str(path)]) == 1
    assert main(["check", faulty, "--json", str(path)]) == 1


def test_colour_is_for_terminals(faulty: str, capsys: Printed, monkeypatch: Patch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    main(["check", faulty])
    plain = capsys.readouterr().out
    assert "\x1b" not in plain
    assert re.search(r"\[[0-9a-f]{2} [0-9a-f]{2}", plain)  # marked bytes stand in brackets
    main(["check", "--color", "always", faulty])
    coloured = capsys.readouterr().out
    assert "\x1b[1;31m" in coloured
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    main(["check", faulty])
    assert capsys.readouterr().out == coloured
    monkeypatch.setenv("NO_COLOR", "1")
    main(["check", faulty])
    assert capsys.readouterr().out == plain


# ---- large captures ----------------------------------------------------------------------------------------------


def test_a_capture_is_checked_alike_on_both_sides_of_the_change_of_decoder(
    tmp_path: Path, capsys: Printed, monkeypatch: Patch
) -> None:
    path = written(tmp_path / "noisy.bin", noisy_line(replace(BOARD, seconds=4.0)))
    main(["check", "--json", path])
    small = json.loads(capsys.readouterr().out)
    monkeypatch.setattr(capture_module, "BULK_FROM", 1 << 14)
    main(["check", "--json", path])
    assert json.loads(capsys.readouterr().out) == small


def test_a_bar_shows_how_far_it_is_and_goes_away(capsys: Printed, monkeypatch: Patch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    clock = iter(range(1000))
    monkeypatch.setattr("firmware_protocol.cli.check.time.monotonic", lambda: float(next(clock)))
    assert list(_with_progress([b"12345"] * 4, 20)) == [b"12345"] * 4
    shown = capsys.readouterr().err
    assert " 75%" in shown
    assert shown.endswith(" \r")
    assert list(_with_progress([b"1"], None)) == [b"1"]
    assert capsys.readouterr().err == ""


_MEMORY = """
import resource, sys
from firmware_protocol.validator import Checker
wire = sys.stdin.buffer.read()
checker = Checker(bulk=True)
def feed(n_bytes):
    for at in range(0, n_bytes, 1 << 19):
        start = at % (len(wire) - (1 << 19))
        checker.feed(wire[start : start + (1 << 19)])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
small = feed(8 << 20)
print(feed(56 << 20) - small)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no resource module")
def test_memory_stays_flat_from_8_to_64_megabytes() -> None:
    wire = good(Board(seconds=10.0, rate=BOARD.rate * 8, n_samples=22, has_status=True)) * 2
    done = subprocess.run([sys.executable, "-c", _MEMORY], input=wire, capture_output=True, check=True)
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(done.stdout) * unit < 16 << 20


@pytest.mark.parametrize(("piped", "status"), [(False, 2), (True, 0)])
def test_ctrl_c_before_the_end_of_a_file_is_no_clean_check_and_of_a_pipe_the_way_to_end_it(
    piped: bool,
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wire = good(BOARD)

    def half(name: str, *, hexadecimal: bool) -> Iterator[bytes]:
        yield wire[: len(wire) // 2]
        raise KeyboardInterrupt

    monkeypatch.setattr("firmware_protocol.cli.check.blocks", half)
    assert main(["check", "-" if piped else written(tmp_path / "good.bin", wire)]) == status
    last = capsys.readouterr().out.splitlines()[-1]
    behind = f"interrupted by Ctrl-C behind {len(wire) // 2:,} of {len(wire):,} bytes"
    assert last.startswith("clean" if piped else "not finished, clean so far")
    assert (behind in last) != piped
