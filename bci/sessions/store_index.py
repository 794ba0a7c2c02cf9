"""The index of the session store: figures of every visit in SQLite, so that weeks are compared at once.

It holds nothing that the folders do not hold, too; `SessionStore.rebuild` makes it anew.
"""

from __future__ import annotations

import os
import sqlite3
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from bci.errors import RecordingError
from bci.evaluation import poisson_interval
from bci.files import open_private
from bci.language import _, library_reason
from bci.report.visit import Visit

__all__ = ["StoreIndex", "VisitRow"]

VERSION = 1


@dataclass(frozen=True, slots=True)
class VisitRow:
    """The figures of one visit that are compared over weeks; None where they were not measured.

    `accuracy` (with `low`, `high` and `chance`) is of cued trials that were left out of the training; false movements
    are per minute of measured rest, `idle_min` of it; `latency_ms` is from the last byte to the command, `detection_s`
    from the cue to the movement, both medians.
    """

    user: str
    session: str
    started_s: float
    classes: str = ""
    trials: int | None = None
    accuracy: float | None = None
    low: float | None = None
    high: float | None = None
    chance: float | None = None
    ready: bool | None = None
    hits: int | None = None
    cued_movements: int | None = None
    false_movements: int | None = None
    idle_min: float | None = None
    false_per_min: float | None = None
    false_low: float | None = None
    false_high: float | None = None
    detection_s: float | None = None
    latency_ms: float | None = None
    stops: int | None = None
    simulated: bool = False

    @classmethod
    def of(cls, visit: Visit) -> VisitRow:
        """The figures of a visit."""
        row: dict[str, object] = {
            "user": visit.user,
            "session": visit.session,
            "started_s": visit.started_s,
            "simulated": visit.equipment.simulated,
        }
        if (part := visit.calibration) is not None:
            low, high = part.cued.get("interval_95") or (None, None)
            row |= {
                "classes": " ".join(part.classes),
                "trials": sum(part.trials_kept.values()),
                "accuracy": part.cued.get("balanced_accuracy"),
                "low": low,
                "high": high,
                "chance": part.cued.get("chance"),
                "ready": part.ready,
            }
        if (control := visit.control) is not None:
            row |= {"stops": sum(stop.stopped for stop in control.stops)}
            row["latency_ms"] = control.latency_ms.get("median")
            if control.movements is not None:
                moves = control.movements
                idle = moves.get("idle_minutes") or 0.0
                false = moves.get("false_movements") or 0
                low, high = poisson_interval(false, idle) if idle > 0 else (None, None)
                row |= {
                    "hits": moves.get("hits"),
                    "cued_movements": moves.get("cued_movements"),
                    "false_movements": false,
                    "idle_min": idle,
                    "false_per_min": false / idle if idle > 0 else None,
                    "false_low": low,
                    "false_high": high,
                    "detection_s": moves.get("detection_latency_s_median"),
                }
        return cls(**row)  # type: ignore[arg-type]


COLUMNS = tuple(field.name for field in fields(VisitRow))
_MADE = (
    "CREATE TABLE users (user TEXT PRIMARY KEY, note TEXT NOT NULL, made_s REAL NOT NULL)",
    f"CREATE TABLE visits ({', '.join(COLUMNS)}, PRIMARY KEY (user, session))",
    f"PRAGMA user_version = {VERSION}",
)


class StoreIndex:
    """The SQLite file. `made_anew` is True if there was none, or none of use: then it has to be filled.

    Raises
    ------
    RecordingError
        If it can be neither read nor made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.made_anew = False
        try:
            self._db = self._open()
            found = self._db.execute("PRAGMA user_version").fetchone()[0]
            self._db.execute("SELECT count(*) FROM visits").fetchone()
            if found != VERSION:
                raise sqlite3.DatabaseError(f"version {found}")
        except sqlite3.DatabaseError:
            self._make()
        self._db.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten
        self._db.execute("PRAGMA journal_mode = MEMORY")  # no second file beside it

    def add_user(self, user: str, note: str, made_s: float) -> None:
        """A user, or his or her newest note."""
        self._write("INSERT OR REPLACE INTO users VALUES (?, ?, ?)", (user, note, made_s))

    def add_visit(self, row: VisitRow) -> None:
        """A visit, or its newest figures."""
        marks = ", ".join("?" for _name in COLUMNS)
        self._write(f"INSERT OR REPLACE INTO visits VALUES ({marks})", astuple(row))

    def users(self) -> list[str]:
        """Ids, oldest first."""
        return [str(row[0]) for row in self._db.execute("SELECT user FROM users ORDER BY made_s, user")]

    def note(self, user: str) -> str:
        """Free text of a user."""
        found = self._db.execute("SELECT note FROM users WHERE user = ?", (user,)).fetchone()
        return "" if found is None else str(found[0])

    def visits(self, user: str) -> list[VisitRow]:
        """Visits of a user by their numbers."""
        rows = self._db.execute(
            f"SELECT {', '.join(COLUMNS)} FROM visits WHERE user = ? ORDER BY session", (user,)
        )
        return [_row(values) for values in rows]

    def forget(self, user: str) -> None:
        """Remove every trace of a user."""
        self._write("DELETE FROM visits WHERE user = ?", (user,))
        self._write("DELETE FROM users WHERE user = ?", (user,))
        self._db.execute("VACUUM")

    def clear(self) -> None:
        """Empty it."""
        self._write("DELETE FROM visits", ())
        self._write("DELETE FROM users", ())

    def close(self) -> None:
        """Twice is fine."""
        self._db.close()

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        try:
            self._db.execute(statement, values)
        except sqlite3.Error as err:
            raise self._unusable(err) from err

    def _open(self) -> sqlite3.Connection:
        if not self.path.exists():
            open_private(self.path, "wb").close()
        elif os.name == "posix":
            self.path.chmod(0o600)
        return sqlite3.connect(self.path, isolation_level=None, timeout=5.0)

    def _make(self) -> None:
        """Begin anew; what was there was no index of ours, or damaged."""
        self.made_anew = True
        try:
            self._db.close()
            self.path.unlink(missing_ok=True)
            self._db = self._open()
            for statement in _MADE:
                self._db.execute(statement)
        except (sqlite3.Error, OSError) as err:
            raise self._unusable(err) from err

    def _unusable(self, err: Exception) -> RecordingError:
        return RecordingError(
            _("The index {path} cannot be used ({reason}); delete that one file, it is made anew.").format(
                path=self.path, reason=library_reason(err)
            ),
            path=self.path,
        )


def _row(values: tuple[object, ...]) -> VisitRow:
    named = dict(zip(COLUMNS, values, strict=True))
    for name in ("ready", "simulated"):
        if named[name] is not None:
            named[name] = bool(named[name])
    return VisitRow(**named)  # type: ignore[arg-type]
