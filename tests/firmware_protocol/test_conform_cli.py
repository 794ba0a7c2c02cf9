"""`frame-validator conform` as a user runs it: over a socket, over a pseudo-terminal, with good and bad input."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from firmware_protocol import DeviceConfig, ReferenceDevice
from firmware_protocol.cli import main
from firmware_protocol.conform import suite
from tests.firmware_protocol.bench import LABELS
from tests.firmware_protocol.wrong_devices import StopIdle

SHORT = "answers,unknown-opcode,bad-crc,stop-idle,start"


def serve(server: socket.socket, device: ReferenceDevice, ended: threading.Event) -> None:
    """A device in real time at the other end of a socket."""
    peer, _ = server.accept()
    peer.settimeout(0.004)
    began = time.monotonic()
    made = 0
    with peer:
        while not ended.is_set():
            try:
                data = peer.recv(4096)
                if not data:
                    return
            except TimeoutError:
                data = b""
            now_us = int((time.monotonic() - began) * 1e6)
            device.receive(data, now_us)
            due = now_us // 4000
            if device.streaming:
                device.push_samples(
                    [[k] * 8 for k in range(made, due)], [(k + 1) * 4000 for k in range(made, due)]
                )
            made = due
            peer.sendall(device.poll(now_us))


@pytest.fixture
def port(request: pytest.FixtureRequest) -> Iterator[str]:
    """A port with a device behind it, of the class that the test asks for."""
    kind = getattr(request, "param", ReferenceDevice)
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        device = kind(DeviceConfig(labels=LABELS, boot_id=0xC0FFEE11))
        thread = threading.Thread(target=serve, args=(server, device, ended), daemon=True)
        thread.start()
        yield f"socket://127.0.0.1:{server.getsockname()[1]}"
        ended.set()
        thread.join(5)


def test_a_good_device_is_clean_and_every_report_form_tells_the_steps(
    port: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forms = {form: tmp_path / f"report.{form}" for form in ("json", "junit", "sarif", "html")}
    options = [word for form, path in forms.items() for word in (f"--{form}", str(path))]
    assert main(["conform", port, "--quick", "--seed", "1", "--steps", f"{SHORT},FP795", *options]) == 0
    said = capsys.readouterr().out
    assert "FP711  unknown-opcode" in said
    assert "clean" in said.splitlines()[-1]
    assert "\x1b" not in said
    report = json.loads(forms["json"].read_text())
    verdicts = {step["name"]: step["verdict"] for step in report["steps"]}
    assert verdicts == dict.fromkeys(SHORT.split(","), "passed") | {"reboot": "skipped"}
    suite = ElementTree.parse(forms["junit"]).getroot()
    cases = {case.get("name"): case for case in suite}
    assert cases["FP795 reboot"].find("skipped") is not None
    assert cases["FP731 bad-crc"].find("failure") is None
    assert "bad-crc" in forms["html"].read_text()
    assert json.loads(forms["sarif"].read_text())["runs"]


@pytest.mark.parametrize("port", [StopIdle], indirect=True)
def test_a_wrong_device_is_told_with_bytes_and_hint(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conform", port, "--quick", "--seed", "1", "--steps", SHORT, "--color", "always"]) == 1
    said = capsys.readouterr().out
    assert "STOP while idle was not answered" in said
    assert "[SPEC 6.1]" in said
    assert "\x1b[" in said


def test_json_on_standard_output_leaves_the_progress_to_standard_error(
    port: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["conform", port, "--quick", "--steps", "answers", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["exit_status"] == 0
    assert "FP701" in said.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["/dev/there-is-none"], "there is no port"),
        (["/dev/null"], "not a serial port"),
        (["x", "--steps", "no-such-step"], "no step is called no-such-step"),
        (["x", "--select", "FP99X"], "no rule is called FP99X"),
        (["x", "--soak", "-1"], "--soak"),
        (["x", "--baud", "0"], "--baud"),
    ],
)
def test_what_cannot_run_is_told(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = main(["conform", *arguments])
    except SystemExit as end:  # argparse
        status = int(end.code or 0)
    assert status == 2
    assert said in capsys.readouterr().err


def test_a_line_where_nothing_is_heard(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite, "_MEETING_S", 0.1)
    monkeypatch.setattr(suite, "_LISTEN_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"socket://127.0.0.1:{server.getsockname()[1]}"
        assert main(["conform", url, "--quick", "--steps", "identify"]) == 3
    assert "0 bytes came" in capsys.readouterr().out


def test_explain_knows_the_steps() -> None:
    command = [
        sys.executable,
        "-c",
        "from firmware_protocol.cli import main; main(['explain', 'half-frame'])",
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "FP732" in said
    assert "Half a COMMAND, then silence" in said
