"""One demonstration and one clinician's day, each run once, whose traces many tests look at."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bci.report.visit import Visit
from bci.sessions.bench import Bench, Wearer
from bci.sessions.controlling import ControlOptions
from bci.sessions.demo import DemoOptions, run_demo
from bci.sessions.folder import SessionFolder
from bci.sessions.observer import ControlView
from bci.sessions.store import SessionStore, VisitFolder
from bci.sessions.visiting import Clinic
from tests.sessions.clinic_bench import SHORT, WEARER, Clinician


class Watcher:
    """Keeps what a session tells its observer."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.notes: list[str] = []
        self.views: list[ControlView] = []

    def stage(self, name: str, detail: str = "") -> None:
        self.stages.append(name)

    def progress(self, done: float, total: float, unit: str) -> None: ...

    def control(self, view: ControlView) -> None:
        self.views.append(view)

    def note(self, text: str) -> None:
        self.notes.append(text)


@dataclass
class Finished:
    folder: SessionFolder
    summary: dict[str, Any]
    watcher: Watcher


def finished(folder: Path, **options: Any) -> Finished:
    watcher = Watcher()
    summary = run_demo(DemoOptions(output=folder, **options), watcher)
    return Finished(SessionFolder(folder), json.loads(summary.to_json()), watcher)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The default demonstration with a live part of two seconds."""
    return finished(tmp_path_factory.mktemp("demo") / "session", live_s=2.0)


@dataclass
class Day:
    """What one visit left, and what the clinician saw and pressed."""

    store: SessionStore
    user: str
    folder: VisitFolder
    visit: Visit
    clinician: Clinician
    operator_s: float


@pytest.fixture(scope="session")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    store = SessionStore(tmp_path_factory.mktemp("clinic") / "store")
    clinician = Clinician("next", "next", "arm", "quit")
    with Bench(fast=True, wearer=Wearer(**WEARER)) as bench:
        clinic = Clinic(store, bench, clinician, person=True)
        assert clinic.check()
        check_s = clinician.samples / bench.info.fs_hz
        begun = time.process_time()
        calibrated = clinic.calibrate(SHORT)
        assert calibrated is not None
        assert calibrated.calibration is not None
        part = calibrated.calibration
        trials_s = sum(part.trials_kept.values()) * SHORT.plan.timing.trial_s
        clinic.control(ControlOptions(check_trials=4))
        clinic.report()
        operator_s = check_s + part.seconds - trials_s + time.process_time() - begun
    return Day(store, clinic.user, clinic.folder, clinic.folder.read(), clinician, operator_s)
