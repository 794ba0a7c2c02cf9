"""frame-validator: the frame around its subcommands, and decode, encode, budget."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from firmware_protocol import Data, Event, HostWriter, Log, Sent, Start, encode, pack_counts
from firmware_protocol.cli import main

Printed = pytest.CaptureFixture[str]
PrintedBytes = pytest.CaptureFixture[bytes]
Patch = pytest.MonkeyPatch

EVENT = Event(1, 0, 1000, 4_000_000, 1, 769, 5)
DATA = Data(2, 0, 1004, 4_016_000, 2, 2, 1, pack_counts([[1, -2], [3, -4]]))
WIRE = encode(EVENT) + encode(DATA)


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "capture.bin"
    path.write_bytes(WIRE)
    return path


def test_decode_prints_a_line_for_each_frame(capture: Path, capsys: Printed) -> None:
    assert main(["decode", str(capture)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "EVENT" in lines[0]
    assert "TRIGGER 769" in lines[0]
    assert f"{len(encode(EVENT))}  DATA" in lines[1]


def test_decode_shows_counts_where_asked(capture: Path, capsys: Printed) -> None:
    assert main(["decode", "--counts", str(capture)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[2:]] == [["1004", "1", "-2"], ["1005", "3", "-4"]]
    assert main(["decode", "--counts", "--json", str(capture)]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[1])["counts"] == [[1, -2], [3, -4]]


def test_decode_shows_float_samples(tmp_path: Path, capsys: Printed) -> None:
    path = tmp_path / "float.bin"
    path.write_bytes(encode(Data(0, 0, 0, 0, 1, 1, 0, b"\x00\x00\xc0\x3f", sample_type=1)))
    assert main(["decode", "--counts", str(path)]) == 0
    assert capsys.readouterr().out.split()[-1] == "1.5"


def test_damage_is_shown_and_told_by_the_exit_status(tmp_path: Path, capsys: Printed) -> None:
    path = tmp_path / "damaged.bin"
    path.write_bytes(encode(EVENT) + b"\x05abc\x00" + encode(EVENT))
    assert main(["decode", str(path)]) == 1
    assert "fault cobs" in capsys.readouterr().out


def test_no_frame_at_all_has_its_own_status(tmp_path: Path) -> None:
    path = tmp_path / "noise.bin"
    path.write_bytes(b"nothing of the kind")
    assert main(["decode", str(path)]) == 3
    path.write_bytes(b"")
    assert main(["decode", str(path)]) == 3


def test_decode_reads_a_recording_and_counts_bytes_of_the_wire(tmp_path: Path, capsys: Printed) -> None:
    writer = HostWriter(5)
    path = tmp_path / "session.bfp"
    path.write_bytes(writer.encode(Start({})) + encode(EVENT) + writer.encode(Sent(1, b"x")) + encode(DATA))
    assert main(["decode", str(path)]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "0",
        str(len(encode(EVENT))),
    ]


@pytest.mark.parametrize("flags", [[], ["--hex"]])
def test_encode_undoes_decode(
    flags: list[str], capture: Path, tmp_path: Path, capfdbinary: PrintedBytes
) -> None:
    assert main(["decode", "--json", str(capture)]) == 0
    forms = tmp_path / "frames.json"
    forms.write_bytes(capfdbinary.readouterr().out + b"\n")
    assert main(["encode", *flags, str(forms)]) == 0
    out = capfdbinary.readouterr().out
    assert (bytes.fromhex(out.decode()) if flags else out) == WIRE


def test_hexadecimal_text_may_be_decoded(tmp_path: Path, capsys: Printed) -> None:
    path = tmp_path / "hex.txt"
    path.write_text(WIRE.hex(" ", 4))
    assert main(["decode", "--hex", str(path)]) == 0
    path.write_text("02 1x")
    assert main(["decode", "--hex", str(path)]) == 2
    assert "is not hexadecimal text" in capsys.readouterr().err


def test_a_command_is_encoded_with_a_delimiter_before_it(tmp_path: Path, capsys: Printed) -> None:
    path = tmp_path / "command.json"
    path.write_text('{"type": "COMMAND", "request_id": 1, "opcode": 1}')
    assert main(["encode", "--hex", str(path)]) == 0
    assert capsys.readouterr().out.startswith("00 02 18")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"type": "EVENT"}', "line 1: EVENT needs sample_index"),
        ("\n[]", "line 2: expected a JSON object"),
        ("{", "line 1 is not JSON"),
        (json.dumps({"type": "LOG", "t_us": -1, "level": 0, "text": ""}), "line 1: LOG with"),
    ],
)
def test_what_is_no_frame_is_named_with_its_line(
    text: str, says: str, tmp_path: Path, capsys: Printed
) -> None:
    path = tmp_path / "frames.json"
    path.write_text(text)
    assert main(["encode", str(path)]) == 2
    assert says in capsys.readouterr().err


def test_encode_of_nothing_has_no_frames(tmp_path: Path) -> None:
    path = tmp_path / "frames.json"
    path.write_text("\n")
    assert main(["encode", str(path)]) == 3


@pytest.mark.parametrize("name", ["missing.bin", "."])
def test_a_file_that_cannot_be_read_is_one_line_and_status_2(
    name: str, tmp_path: Path, capsys: Printed
) -> None:
    assert main(["decode", str(tmp_path / name)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("frame-validator: ")
    assert error.count("\n") == 1


def test_budget_says_whether_it_fits(capsys: Printed) -> None:
    plan = ["budget", "--channels", "8", "--rate", "250", "--baud"]
    assert main([*plan, "115200", "--samples-per-frame", "4"]) == 0
    assert "73%" in capsys.readouterr().out
    assert main([*plan, "9600"]) == 1
    assert "What would fit" in capsys.readouterr().out
    assert main([*plan, "115200", "--json", "--no-status", "--samples-per-frame", "4"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["fits"], figures["packet_bytes"]) == (True, 118)
    assert main(["budget", "--channels", "65", "--rate", "500/3", "--baud", "9600"]) == 2


@pytest.mark.parametrize("argv", [[], ["no-such-command"], ["budget"]])
def test_wrong_usage_ends_with_status_2(argv: list[str], capsys: Printed) -> None:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2


def test_help_lists_every_subcommand_with_its_line(capsys: Printed) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for name in ("check", "live", "explain", "decode", "encode", "budget"):
        assert name in text


_HELP = """
import contextlib, io, sys
from firmware_protocol.cli import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main(["--help"])
"""


def loaded_by(code: str) -> set[str]:
    """Modules that a fresh interpreter has behind some code."""
    code += "\nimport sys\nprint(*sorted(sys.modules), sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_help_loads_nothing_heavy_and_little_at_all() -> None:
    """It starts about as fast as numpy alone, which loads as many modules."""
    loaded = loaded_by(_HELP)
    heavy = {"numpy", "numba", "scipy", "serial", "rich", "bci", "firmware_protocol.validator"}
    assert not loaded & heavy
    assert len(loaded) <= 1.25 * len(loaded_by("import numpy"))


@pytest.mark.nightly
@pytest.mark.skipif(sys.platform == "win32", reason="no CPU time of children")
def test_help_starts_about_as_fast_as_numpy_loads() -> None:
    """On a computer that does nothing else."""
    import resource

    def cpu_s(code: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    pairs = [(cpu_s(_HELP), cpu_s("import numpy")) for _ in range(5)]
    assert min(of_help for of_help, _ in pairs) <= 1.25 * min(of_numpy for _, of_numpy in pairs)


def test_ctrl_c_ends_with_status_130(capture: Path, monkeypatch: Patch) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("firmware_protocol.cli.decode.events_of", interrupted)
    assert main(["decode", str(capture)]) == 130


def run(argv: list[str], stdin: bytes) -> subprocess.CompletedProcess[bytes]:
    code = "import sys; from firmware_protocol.cli import main; sys.exit(main())"
    return subprocess.run([sys.executable, "-c", code, *argv], input=stdin, capture_output=True, check=False)


def test_standard_input_and_output_work_as_a_pipe() -> None:
    decoded = run(["decode", "--json", "-"], WIRE)
    assert (decoded.returncode, decoded.stderr) == (0, b"")
    encoded = run(["encode", "-"], decoded.stdout)
    assert (encoded.returncode, encoded.stdout) == (0, WIRE)


def test_a_reader_that_has_seen_enough_ends_it_quietly() -> None:
    code = "import sys; from firmware_protocol.cli import main; sys.exit(main())"
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = subprocess.Popen([sys.executable, "-c", code, "decode", "-"], **pipes)
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate(
        b"".join(encode(Log(k & 0xFFFF, 0, k, 1, "x" * 300)) for k in range(2000))
    )
    assert (process.returncode, errors) == (0, b"")


def test_output_may_be_captured_by_a_program_without_a_descriptor(capture: Path, monkeypatch: Patch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    assert main(["decode", str(capture)]) == 0
    assert "EVENT" in out.getvalue()
