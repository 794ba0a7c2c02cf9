"""One demonstration, run once, whose traces many tests look at."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bci.sessions.demo import DemoOptions, run_demo
from bci.sessions.folder import SessionFolder
from bci.sessions.observer import ControlView


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
