"""Space and Esc are STOP, from every screen and for nothing else; other keys press what is shown."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from bci.cli._clinic_view import KEYS, ClinicTerminal
from bci.cli._clinic_view_keys import STOP_KEYS, ClinicKeys
from bci.decisions import Intent
from bci.prosthesis import Certificate, Profile, SafetyMonitor
from bci.sessions.bench import Bench, Wearer
from bci.sessions.screen import button, stage
from bci.sessions.store import SessionStore
from bci.sessions.visiting import Clinic
from tests.sessions.clinic_bench import WEARER, Clinician
from tests.sessions.test_clinic_bad_input import TINY

posix = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")


def test_stop_keys_are_keys_of_no_button() -> None:
    assert not set(STOP_KEYS) & set(KEYS.values())
    assert STOP_KEYS == (" ", "\x1b")


@pytest.mark.parametrize("typed", [" ", "\x1b", "\x1b[A", "\x1bOP", "q "])
def test_stop_keys_stop_whatever_else_was_typed(typed: str) -> None:
    stops: list[int] = []
    keys = ClinicKeys(lambda: stops.append(1))
    keys.take(typed)
    assert stops == [1]
    assert keys.pressed() == (["q"] if typed == "q " else [])


def test_other_keys_never_stop() -> None:
    stops: list[int] = []
    keys = ClinicKeys(lambda: stops.append(1))
    keys.take("abc\r\nQ19äü中")
    assert stops == []
    assert keys.pressed() == ["a", "b", "c", "\n", "\n", "q", "1", "9", "ä", "ü", "中"]


def test_a_key_presses_a_button_only_while_it_is_shown() -> None:
    terminal = ClinicTerminal(Console(file=io.StringIO(), width=80))
    terminal._keys.take("a")
    assert terminal.actions() == [], "typed ahead of the screen that has the button"
    terminal.show(stage=stage("Control", "", button("arm", "Arm"), button("quit", "End")))
    terminal._keys.take("apQ")
    assert terminal.actions() == ["arm", "quit"]


@pytest.mark.parametrize("screen", ["check", "calibration", "control"])
def test_from_every_screen_a_stop_key_is_stop_and_nothing_else(screen: str) -> None:
    """Every button of every screen is offered; the key still gives STOP alone."""
    terminal = ClinicTerminal(Console(file=io.StringIO(), width=80))
    terminal.show(stage=stage(screen, "", *(button(action, action) for action in KEYS)))
    told: list[str] = []
    if screen == "control":
        terminal.stops(lambda source: told.append(source), "")
    terminal._keys.take(" ")
    if screen == "control":
        assert (told, terminal.actions()) == (["key"], [])
    else:
        assert terminal.actions() == ["stop"]


def test_stop_in_the_calibration_pauses_it(tmp_path: Path) -> None:
    pressed: list[str] = []

    def hook(clinician: Clinician) -> list[str]:
        if not pressed and clinician.cues and clinician.cues[-1][0] == "task":
            pressed.append("stop")
            return ["stop"]
        return []

    clinician = Clinician("next", "next", "resume", hook=hook)
    with Bench(fast=True, wearer=Wearer(**WEARER)) as bench:
        clinic = Clinic(SessionStore(tmp_path / "store"), bench, clinician, person=True)
        assert clinic.check()
        visit = clinic.calibrate(TINY)
    assert "resume" in clinician.pressed
    assert "It pauses after this trial." in clinician.notes
    assert visit is not None
    assert visit.calibration is not None
    assert sum(visit.calibration.trials_kept.values()) == TINY.plan.n_trials


@pytest.fixture
def terminal_keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A pseudo-terminal as standard input; what is written into the other end is typed."""
    controller, slave = os.openpty()
    with os.fdopen(slave, "rb", buffering=0) as file:
        monkeypatch.setattr(
            sys, "stdin", SimpleNamespace(fileno=file.fileno, isatty=lambda: True, closed=False)
        )
        yield controller
    os.close(controller)


@posix
@pytest.mark.parametrize("key", [b" ", b"\x1b"])
def test_from_the_key_to_a_hand_that_holds_it_takes_at_most_100_ms(
    terminal_keys: int, tmp_path: Path, key: bytes
) -> None:
    """Real terminal, real monitor in its process, real time; the best of five, as others use this computer."""
    certificate = Certificate(lower=0.7, chance=0.5, runs=2, issued_s=time.time())
    took_ms = []
    with (
        SafetyMonitor(
            Profile.for_classes(("rest", "right")), log_path=tmp_path / "log.jsonl", certificate=certificate
        ) as monitor,
        ClinicTerminal(Console(file=io.StringIO(), width=80)) as terminal,
    ):
        terminal.stops(monitor.stop, monitor.stop_address)
        began, sample, intents, asked = time.monotonic(), 0, 0, -250

        def stream(until: float, *, mode: str) -> None:
            """A board at 250 Hz, until the monitor is in this mode. Where this computer lets the signal go stale, the
            hand holds and an intent is over without a movement: then the next one is sent."""
            nonlocal sample, intents, asked
            while (now := monitor.state().mode) != mode:
                assert time.monotonic() < until, f"{mode} was not reached: {monitor.state()}"
                sample = int((time.monotonic() - began) * 250)
                monitor.signal(sample, sample * 4000)
                if mode == "moving" and now == "armed" and sample - asked >= 250:
                    intents, asked = intents + 1, sample
                    monitor.intent(Intent(intents, "right", sample, sample + 250, 0.9))
                time.sleep(0.01)

        for _number in range(5):
            deadline = time.monotonic() + 60.0
            monitor.disarm()
            stream(deadline, mode="idle")
            monitor.arm()
            stream(deadline, mode="armed")
            asked = sample - 250
            stream(deadline, mode="moving")
            pressed = time.monotonic()
            os.write(terminal_keys, key)
            while not monitor.state().stopped:
                assert time.monotonic() < deadline
                time.sleep(0.0005)
            took_ms.append(1000 * (time.monotonic() - pressed))
            assert monitor.sync().mode != "moving"
            time.sleep(0.21)  # a key that is held down would be the same press
    assert min(took_ms) <= 100.0, took_ms
