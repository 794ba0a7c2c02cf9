"""Keys of the terminal as STOP."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from bci.sessions.stop_key import StopKey

SESSION = """
import sys, termios, time
from bci.sessions.stop_key import StopKey
before = termios.tcgetattr(0)
pressed = []
with StopKey(lambda: pressed.append(1)):
    print("ready", flush=True)
    until = time.monotonic() + 60.0
    while not pressed and time.monotonic() < until:
        time.sleep(0.01)
print("stopped" if pressed else "nothing", termios.tcgetattr(0) == before, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
@pytest.mark.parametrize("key", [b" ", b"\n", b"s", b"\x1b[A"])
def test_any_key_stops_and_the_terminal_is_as_before(key: bytes) -> None:
    controller, terminal = os.openpty()
    session = subprocess.Popen(
        [sys.executable, "-c", SESSION], stdin=terminal, stdout=subprocess.PIPE, text=True
    )
    assert session.stdout is not None
    with session.stdout:
        assert session.stdout.readline() == "ready\n"
        os.write(controller, key)
        assert session.stdout.readline() == "stopped True\n"
    assert session.wait(60.0) == 0
    os.close(controller)
    os.close(terminal)


def test_without_a_terminal_there_are_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("x"))
    pressed: list[int] = []
    with StopKey(lambda: pressed.append(1)) as key:
        assert key._thread is None
    assert pressed == []
