"""What a measurement of hours said take by take: a line for each, so that it goes on after a crash and can be drawn.

Recordings of hours would fill the disk. So the first take is kept, the last `KEPT`, and of all of them this file, which
grows by some hundred bytes a minute.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bci.errors import RecordingError
from bci.files import write_private
from bci.language import _, system_reason
from bci.qualification.result import Result, Take

__all__ = ["KEPT", "Course"]

KEPT = 10  # last takes whose recordings stay: what led to a failure
MOST_POINTS = 600  # of a picture: more than it is wide


class Course:
    """The takes of one measurement of one attempt, in order.

    Parameters
    ----------
    folder : Path
        The attempt's.
    name : str
        The measurement's.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._path = folder / f"{name}.course.jsonl"
        self._lines = _whole_lines(self._path)

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def files(self) -> list[Path]:
        """Recordings that are still there: of the first take, and of the last ones."""
        named = [self._folder / line["file"] for line in self._lines]
        return [path for k, path in enumerate(named) if k == 0 or k >= len(named) - KEPT]

    def add(self, take: Take, file: Path, results: Sequence[Result]) -> None:
        """Write down what a take said, and remove the recording that is not needed any more.

        Raises
        ------
        RecordingError
            If it cannot be written; nothing is removed then.
        """
        values = [[r.test, r.channel, r.value] for r in results]
        line = {"minutes": (take.after_s + take.seconds) / 60.0, "file": file.name, "values": values}
        try:
            if not self._lines:
                write_private(self._path, "")
            with self._path.open("a", encoding="utf-8", newline="\n") as out:
                out.write(json.dumps(line, ensure_ascii=False) + "\n")
                out.flush()
                os.fsync(out.fileno())
        except OSError as err:
            raise RecordingError(
                _("{path} cannot be written: {why}").format(path=self._path, why=system_reason(err)),
                path=self._path,
            ) from err
        self._lines.append(line)
        old = len(self._lines) - 1 - KEPT
        if old > 0:
            (self._folder / self._lines[old]["file"]).unlink(missing_ok=True)

    def begin_anew(self) -> None:
        """Forget all takes; their recordings stay where they are."""
        self._path.unlink(missing_ok=True)
        self._lines.clear()

    def results(self) -> list[Result]:
        """Values of all takes, or of as many as a picture shows, with "minutes" among their facts; none is judged."""
        every = max(-(-len(self._lines) // MOST_POINTS), 1)
        return [
            Result(test, channel, value, "", 0.0, None, None, "pass", "", {"minutes": line["minutes"]})
            for line in self._lines[::every]
            for test, channel, value in line["values"]
        ]


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    """What was written whole; a line that a power cut left half written is cut off."""
    lines: list[dict[str, Any]] = []
    if path.is_file():
        whole = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        for text in whole:
            try:
                lines.append(json.loads(text))
            except ValueError:
                break
        if len(lines) < len(whole):
            write_private(path, "".join(whole[: len(lines)]))
    return lines
