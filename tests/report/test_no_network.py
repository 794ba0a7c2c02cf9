"""Nothing talks to anybody but this computer: every socket of every process is watched while a session runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bci.report import write_visit
from tests.report.visits import full_visit

#: Python runs this at the start of each process: addresses beyond this computer are written down and refused.
WATCH = """
import os, socket

def here(family, address):
    if family == getattr(socket, "AF_UNIX", None):
        return True
    host = address[0] if isinstance(address, tuple) else address
    return host in (None, "", "127.0.0.1", "::1", "localhost", "0.0.0.0")

def refuse(what, address):
    with open(os.environ["WATCH_LOG"], "a") as log:
        log.write(f"{what} {address!r}\\n")
    raise OSError(101, f"Network is unreachable: {address!r}")

class Watched(socket.socket):
    def connect(self, address):
        return super().connect(address) if here(self.family, address) else refuse("connect", address)
    def connect_ex(self, address):
        return super().connect_ex(address) if here(self.family, address) else refuse("connect", address)
    def sendto(self, data, *rest):
        return super().sendto(data, *rest) if here(self.family, rest[-1]) else refuse("sendto", rest[-1])

lookup = socket.getaddrinfo
def getaddrinfo(host, *rest, **more):
    return lookup(host, *rest, **more) if here(None, host) else refuse("getaddrinfo", host)

socket.socket, socket.getaddrinfo = Watched, getaddrinfo
"""

SESSION = """
import sys, time
from pathlib import Path
from bci.acquisition import Recording, open_source
from bci.acquisition.simulator import SimulatedBoard
from bci.cli import main

folder = Path(sys.argv[1])
with SimulatedBoard() as board, open_source(board.port, record_to=folder / "signal.bfp") as source:
    source.start()
    while source.statistics.samples < 250:
        source.read(timeout_s=0.5)
    source.stop()
assert Recording(folder / "signal.bfp").statistics.samples >= 250
assert main(["ports", "--json"]) in (0, 3)
assert main(["report", str(folder), "--mne", str(folder / "mne.html")]) == 0
"""


@pytest.fixture
def watched(tmp_path: Path) -> dict[str, str]:
    """The environment of processes whose sockets are watched."""
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch" / "sitecustomize.py").write_text(WATCH)
    path = os.pathsep.join([str(tmp_path / "watch"), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "WATCH_LOG": str(tmp_path / "log"), "BCI_LANG": "en"}


def test_the_watch_sees_an_address_that_is_not_here(watched: dict[str, str], tmp_path: Path) -> None:
    code = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=watched, capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0
    assert "192.0.2.1" in (tmp_path / "log").read_text()


def test_signal_recording_and_reports_need_no_network(watched: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "visit"
    folder.mkdir()
    write_visit(folder / "session.json", msgspec.structs.replace(full_visit(), calibration=None))
    done = subprocess.run(
        [sys.executable, "-c", SESSION, str(folder)], env=watched, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "report.html").exists()
    assert not (tmp_path / "log").exists(), (tmp_path / "log").read_text()


@pytest.mark.nightly
def test_the_whole_demonstration_needs_no_network(watched: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bci.cli", "demo", "--live", "2", "--output", str(tmp_path / "demo")],
        env=watched,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "log").exists(), (tmp_path / "log").read_text()


def test_a_backup_is_a_copy_of_one_folder(tmp_path: Path) -> None:
    import shutil

    from bci.chunks import SignalInfo
    from bci.sessions.store import SessionStore

    visit = full_visit()
    info = SignalInfo(visit.equipment.channels, 250)  # type: ignore[arg-type]
    with SessionStore(tmp_path / "clinic") as store:
        user = store.new_user(note="left-handed")
        store.visit(user, info, equipment=visit.equipment)
    shutil.copytree(tmp_path / "clinic", tmp_path / "backup")
    shutil.rmtree(tmp_path / "clinic")
    with SessionStore(tmp_path / "backup") as store:
        assert store.users() == [user]
        assert store.folder(user).read().equipment == visit.equipment
