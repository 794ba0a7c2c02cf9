"""A batch on disk: one SQLite file beside the boards' recordings, whole at any moment.

Rules
-----
- What belongs together is one transaction: a measurement is either there with all its results or still planned. Power
  may fail and the program may be killed between any two instructions; SQLite's journal brings the file back.
- An attempt is open until it is finished or aborted. An open one goes on at its first planned measurement.
- Nothing is ever overwritten: a repeat is a further attempt, and the first verdict stays beside the latest.
- Two benches may share a batch: each writes for milliseconds, the other waits.
- Files are for their owner alone (mode 0600).

Wall clock and file names are given by the caller; nothing here measures.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from bci.errors import BenchRecordError
from bci.language import _, language
from bci.qualification._tables import check, create_file, in_words, lay_out
from bci.qualification.records import Attempt, Board, Done, Value, verdict_of
from bci.qualification.result import Result

__all__ = ["FILE", "Batch"]

FILE = "batch.sqlite"
WAIT_S = 10.0  # for another bench that writes at the same moment


class Batch:
    """A folder with the record of a batch of boards and, below `boards/`, what was recorded of each.

    Parameters
    ----------
    folder : path
    create : bool
        Make folder and file if they are not there yet.

    Raises
    ------
    BenchRecordError
        If there is none, or what is there is no batch, damaged, or of another schema.
    """

    def __init__(self, folder: str | os.PathLike[str], *, create: bool = False) -> None:
        self.folder = Path(folder)
        self.path = self.folder / FILE
        if create:
            create_file(self.path)
        elif not self.path.is_file() or not self.path.stat().st_size:
            raise BenchRecordError(
                _("there is no batch in {folder}; `bci qualify --batch {folder}` begins one").format(
                    folder=self.folder
                ),
                path=self.path,
            )
        self._db = sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None)
        try:
            with in_words(self.path):
                if create:
                    lay_out(self._db)
                check(self._db, self.path)
                self._db.execute("PRAGMA foreign_keys = ON")
                self._db.execute("PRAGMA synchronous = FULL")
        except BaseException:
            self._db.close()
            raise

    # ---- attempts ----

    def begin(
        self,
        serial: str,
        planned: Sequence[str],
        *,
        operator: str,
        software: str,
        limits_name: str,
        limits_sha256: str,
        at: str,
        partial: bool = False,
        simulated: bool = False,
    ) -> Attempt:
        """A new attempt with its measurements planned, in order."""
        with self._writing():
            (number,) = self._row(
                "SELECT COALESCE(MAX(number), 0) + 1 FROM attempts WHERE serial = ?", serial
            )
            cursor = self._db.execute(
                "INSERT INTO attempts (serial, number, state, operator, software, limits_name, limits_sha256, partial, "
                "simulated, started) VALUES (?, ?, 'open', ?, ?, ?, ?, ?, ?, ?)",
                (serial, number, operator, software, limits_name, limits_sha256, partial, simulated, at),
            )
            rows = [(cursor.lastrowid, position, name) for position, name in enumerate(planned)]
            self._db.executemany(
                "INSERT INTO measurements (attempt, position, name, state) VALUES (?, ?, ?, 'planned')", rows
            )
        assert cursor.lastrowid is not None
        return self.attempt(cursor.lastrowid)

    def attempt(self, id: int) -> Attempt:
        return self._attempts("WHERE id = ?", id)[0]

    def attempts(self, serial: str | None = None) -> list[Attempt]:
        """All attempts, or those of one board, in order of their beginning."""
        if serial is None:
            return self._attempts("ORDER BY id")
        return self._attempts("WHERE serial = ? ORDER BY number", serial)

    def met(self, attempt: Attempt, device: str) -> None:
        """What the board on the port calls itself."""
        with self._writing():
            self._db.execute("UPDATE attempts SET device = ? WHERE id = ?", (device, attempt.id))

    def finish(self, attempt: Attempt, *, at: str) -> Attempt:
        """End an attempt; its verdict is that of all its results."""
        verdict = verdict_of([result for done in self.measurements(attempt) for result in done.results])
        with self._writing():
            self._db.execute(
                "UPDATE attempts SET state = 'finished', verdict = ?, ended = ? WHERE id = ? AND state = 'open'",
                (verdict, at, attempt.id),
            )
        return self.attempt(attempt.id)

    def abort(self, attempt: Attempt, reason: str, *, at: str) -> Attempt:
        """End an attempt without a verdict; what was measured of it stays."""
        with self._writing():
            self._db.execute(
                "UPDATE attempts SET state = 'aborted', reason = ?, ended = ? WHERE id = ? AND state = 'open'",
                (reason, at, attempt.id),
            )
        return self.attempt(attempt.id)

    # ---- measurements ----

    def keep(
        self,
        attempt: Attempt,
        name: str,
        results: Sequence[Result],
        *,
        took_s: float,
        files: Sequence[str] = (),
        reasons: Sequence[dict[str, str]] | None = None,
    ) -> None:
        """A measurement is done: all its results at once, in place of those of an earlier try of this attempt.

        Parameters
        ----------
        reasons : sequence of dict, optional
            Each result's reason by language; default: as it is, in the language spoken.
        """
        told = reasons or [{language(): result.reason} if result.reason else {} for result in results]
        rows = [_row_of(k, result, why) for k, (result, why) in enumerate(zip(results, told, strict=True))]
        with self._writing():
            (id,) = self._row("SELECT id FROM measurements WHERE attempt = ? AND name = ?", attempt.id, name)
            self._db.execute("DELETE FROM results WHERE measurement = ?", (id,))
            marks = ", ".join("?" * (1 + len(rows[0]))) if rows else ""
            self._db.executemany(f"INSERT INTO results VALUES ({marks})", [(id, *row) for row in rows])
            self._db.execute(
                "UPDATE measurements SET state = 'done', tries = tries + 1, took_s = ?, files = ? WHERE id = ?",
                (took_s, json.dumps(list(files)), id),
            )

    def measurements(self, attempt: Attempt) -> list[Done]:
        """All measurements of an attempt in order, those still planned among them."""
        with in_words(self.path):
            rows = self._db.execute(
                "SELECT id, name, state, tries, took_s, files FROM measurements WHERE attempt = ? ORDER BY position",
                (attempt.id,),
            ).fetchall()
        return [
            Done(name, state == "done", tries, took_s, tuple(json.loads(files)), self._results(id))
            for id, name, state, tries, took_s, files in rows
        ]

    def _results(self, measurement: int) -> tuple[Result, ...]:
        rows = self._db.execute(
            f"SELECT {RESULT} FROM results WHERE measurement = ? ORDER BY position", (measurement,)
        )
        return tuple(_result_of(row) for row in rows)

    # ---- the batch as a whole ----

    def boards(self) -> list[Board]:
        """Each serial number once, in order of its first attempt."""
        found: dict[str, list[Attempt]] = {}
        for attempt in self.attempts():
            found.setdefault(attempt.serial, []).append(attempt)
        return [_board(serial, attempts) for serial, attempts in found.items()]

    def board(self, serial: str) -> Board:
        return _board(serial, self.attempts(serial))

    def values(self, test: str | None = None) -> list[Value]:
        """Every figure of every attempt that was not aborted, in order of testing; of one test, or of all."""
        where = "" if test is None else "AND r.test = ?"
        with in_words(self.path):
            rows = self._db.execute(
                "SELECT a.serial, a.number, a.operator, a.started, r.test, r.channel, r.value, r.unit, r.uncertainty, "
                "r.limit_low, r.limit_high, r.verdict, a.verdict FROM results r "
                "JOIN measurements m ON m.id = r.measurement "
                f"JOIN attempts a ON a.id = m.attempt WHERE a.state = 'finished' {where} "
                "ORDER BY a.id, m.position, r.position",
                () if test is None else (test,),
            ).fetchall()
        return [_value_of(row) for row in rows]

    def close(self) -> None:
        """Twice is fine."""
        self._db.close()

    def __enter__(self) -> Batch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- SQL ----

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction, written to disk when the block ends, undone if it raises."""
        with in_words(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # of a full disk SQLite has undone it by itself
                    self._db.execute("ROLLBACK")
                raise

    def _row(self, sql: str, *values: Any) -> tuple[Any, ...]:
        row: tuple[Any, ...] = self._db.execute(sql, values).fetchone()
        return row

    def _attempts(self, where: str, *values: Any) -> list[Attempt]:
        with in_words(self.path):
            rows = self._db.execute(f"SELECT {ATTEMPT} FROM attempts {where}", values).fetchall()
        return [_attempt_of(row) for row in rows]


ATTEMPT = (
    "id, serial, number, state, verdict, reason, operator, device, software, limits_name, limits_sha256, partial, "
    "simulated, started, ended"
)
RESULT = "test, channel, value, unit, uncertainty, limit_low, limit_high, verdict, reason, facts"


def _row_of(position: int, result: Result, why: dict[str, str]) -> tuple[Any, ...]:
    facts = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in result.facts.items()}
    return (
        position,
        result.test,
        result.channel,
        result.value,
        result.unit,
        result.uncertainty,
        result.limit_low,
        result.limit_high,
        result.verdict,
        json.dumps(why, ensure_ascii=False),
        json.dumps(facts, ensure_ascii=False, default=float),
    )


def _result_of(row: tuple[Any, ...]) -> Result:
    test, channel, value, unit, uncertainty, low, high, verdict, why, facts = row
    reasons = json.loads(why)
    reason = reasons.get(language()) or next(iter(reasons.values()), "")
    told = {key: math.nan if fact is None else fact for key, fact in json.loads(facts).items()}
    return Result(test, channel, _number(value), unit, _number(uncertainty), low, high, verdict, reason, told)


def _attempt_of(row: Sequence[Any]) -> Attempt:
    fields = list(row)
    fields[11:13] = map(bool, row[11:13])
    return Attempt(*fields)


def _value_of(row: Sequence[Any]) -> Value:
    fields = list(row)
    fields[6], fields[8] = _number(row[6]), _number(row[8])
    return Value(*fields)


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _board(serial: str, attempts: Sequence[Attempt]) -> Board:
    finished = [a for a in attempts if a.state == "finished"]
    return Board(
        serial,
        len(attempts),
        finished[0] if finished else None,
        finished[-1] if finished else None,
        next((a for a in attempts if a.state == "open"), None),
    )
