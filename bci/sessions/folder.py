"""One folder per session: what is in it, and the decisions file.

| file | what |
| --- | --- |
| `recording.bfp` | the wire, both directions, with markers |
| `model.safetensors` | filters, decoders, policy and certificate that controlled the hand |
| `events.jsonl` | every event of the safety monitor, before it acted |
| `decisions.jsonl` | every prediction of the control runs, floats written so that they read back bit for bit |
| `summary.json`, `report.html` | the session in numbers, and for people |

All are readable by their owner only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bci.decisions import Prediction
from bci.errors import RecordingError
from bci.files import open_private
from bci.language import _, library_reason, system_reason

__all__ = ["DecisionLog", "SessionFolder", "read_decisions"]


@dataclass(frozen=True, slots=True)
class SessionFolder:
    """Paths of one session; `create` makes the folder."""

    path: Path

    @classmethod
    def create(cls, path: Path) -> SessionFolder:
        """A new folder, for its owner only.

        Raises
        ------
        RecordingError
            If it exists and holds something, or cannot be made.
        """
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            if any(path.iterdir()):
                raise RecordingError(
                    _("{path} is not empty; name a new folder with --output").format(path=path), path=path
                )
        except OSError as err:
            reason = _("{path} cannot be made ({reason}); name another folder with --output").format(
                path=path, reason=system_reason(err)
            )
            raise RecordingError(reason, path=path) from err
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> SessionFolder:
        """An existing session, named by its folder or by the recording in it.

        Raises
        ------
        RecordingError
            If a part that a replay needs is missing.
        """
        folder = cls(path.parent if path.is_file() else path)
        for needed in (folder.recording, folder.model, folder.decisions, folder.events):
            if not needed.is_file():
                raise RecordingError(
                    _("{path} has no {name}; name the folder that a session wrote").format(
                        path=folder.path, name=needed.name
                    ),
                    path=folder.path,
                )
        return folder

    @property
    def recording(self) -> Path:
        return self.path / "recording.bfp"

    @property
    def model(self) -> Path:
        return self.path / "model.safetensors"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def decisions(self) -> Path:
        return self.path / "decisions.jsonl"

    @property
    def summary(self) -> Path:
        return self.path / "summary.json"

    @property
    def report(self) -> Path:
        return self.path / "report.html"


class DecisionLog:
    """Append predictions as they are made, one JSON object a line; a context manager."""

    def __init__(self, path: Path) -> None:
        self._file = open_private(path, "x")

    def write(self, predictions: Iterable[Prediction]) -> None:
        for prediction in predictions:
            self._file.write(_line(prediction))

    def close(self) -> None:
        """Twice is fine."""
        self._file.close()

    def __enter__(self) -> DecisionLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_decisions(path: Path) -> Iterator[Prediction]:
    """The predictions of a session, as they were made.

    Raises
    ------
    RecordingError
        If a line before the last is damaged; a last line cut by a kill ends the log.
    """
    lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            fields: dict[str, Any] = json.loads(line)
            fields["classes"] = tuple(fields["classes"])
            fields["probabilities"] = tuple(float(p) for p in fields["probabilities"])
            prediction = Prediction(**fields)
        except (ValueError, TypeError, KeyError) as err:
            if number == len(lines):
                return
            raise RecordingError(
                _("{path}, line {number}: no prediction ({err})").format(
                    path=path, number=number, err=library_reason(err)
                ),
                path=path,
            ) from err
        yield prediction


def _line(prediction: Prediction) -> str:
    fields = asdict(prediction)
    # NaN has no place in JSON; written as text it reads back as the same NaN.
    fields["probabilities"] = [p if p == p else "nan" for p in prediction.probabilities]
    return json.dumps(fields, ensure_ascii=False) + "\n"
