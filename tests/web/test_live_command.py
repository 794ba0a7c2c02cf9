"""`bci live` as a person runs it: page, terminal, recording, and its plain refusals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from http.cookiejar import CookieJar

import pytest
from click.testing import CliRunner

from bci.acquisition import open_source
from bci.acquisition.simulator import CuedRun, SimulatedBoard, Synthetic
from bci.cli.live import command


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Two seconds of a simulated board."""
    path = tmp_path_factory.mktemp("live") / "short.bfp"
    signal_ = Synthetic(montage=("C3", "Cz", "C4"), runs=(CuedRun(trials_per_class=1),))
    with SimulatedBoard(signal_, speed=0) as board, open_source(board.port, record_to=path) as source:
        source.start()
        n = 0
        while n < 500:
            n += sum(chunk.n_samples for chunk in source.read(1.0))
    return path


def test_a_recording_in_the_terminal_tells_channels_rate_and_levels(recording):
    done = CliRunner().invoke(command, ["--recording", str(recording), "--terminal", "--seconds", "2.5"])
    assert done.exit_code == 0, done.output
    line = next(x for x in done.output.splitlines() if "3 channels" in x)
    assert "0 samples lost" in line
    assert "C3 " in line


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C of POSIX")
def test_the_page_of_a_recording_opens_at_the_printed_link_and_ctrl_c_ends_it(recording):
    words = ["-m", "bci.cli", "live", "--recording", str(recording), "--no-open", "--lang", "zh"]
    environment = os.environ | {"PYTHONIOENCODING": "utf-8"}
    shown = subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=environment,
    )
    url = shown.stdout.readline().strip()
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(CookieJar())
    )
    page = opener.open(url, timeout=60).read().decode()
    shown.send_signal(signal.SIGINT)
    _, said = shown.communicate(timeout=60)
    assert '<html lang="zh-CN">' in page
    assert "short.bfp" in page
    assert shown.returncode == 0, said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--port", "COM3", "--recording", "x.bfp"], "exclude each other"),
        (["--recording", "nowhere.bfp"], "There is no recording nowhere.bfp"),
        (["--terminal", "--lan"], "leave out --lan"),
        (["--page-port", "70000"], "--page-port"),
        (["--seconds", "0"], "--seconds"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_plain_words(words, said):
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 2
    assert said in done.output
