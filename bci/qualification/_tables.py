"""The file of a batch: its tables as SQL, how it is made and recognised, and SQLite's errors in this project's words.

A change of the tables is a new `SCHEMA` and a step that brings older files up to it.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from bci.errors import BenchRecordError
from bci.files import open_private
from bci.language import _, library_reason, system_reason

__all__ = ["APPLICATION_ID", "SCHEMA", "TABLES", "check", "create_file", "in_words", "lay_out"]

#: In the file's header, so that another program's database is told from a batch (SQLite: PRAGMA application_id).
APPLICATION_ID = 0x42434951  # "BCIQ"
SCHEMA = 1

TABLES = """
CREATE TABLE attempts (
  id            INTEGER PRIMARY KEY,
  serial        TEXT NOT NULL,
  number        INTEGER NOT NULL,               -- 1 is the first, more are repeats
  state         TEXT NOT NULL CHECK (state IN ('open', 'finished', 'aborted')),
  verdict       TEXT NOT NULL DEFAULT '',       -- pass, fail, not measured, empty until it is finished
  reason        TEXT NOT NULL DEFAULT '',       -- why it was aborted
  operator      TEXT NOT NULL,
  device        TEXT NOT NULL DEFAULT '',       -- what the board calls itself
  software      TEXT NOT NULL,
  limits_name   TEXT NOT NULL,
  limits_sha256 TEXT NOT NULL,
  partial       INTEGER NOT NULL,               -- 1: only some measurements were asked for
  simulated     INTEGER NOT NULL,
  started       TEXT NOT NULL,                  -- wall clock, ISO 8601
  ended         TEXT NOT NULL DEFAULT '',
  UNIQUE (serial, number)
);
CREATE TABLE measurements (
  id        INTEGER PRIMARY KEY,
  attempt   INTEGER NOT NULL REFERENCES attempts (id),
  position  INTEGER NOT NULL,
  name      TEXT NOT NULL,
  state     TEXT NOT NULL CHECK (state IN ('planned', 'done')),
  tries     INTEGER NOT NULL DEFAULT 0,         -- how often it was measured, the operator's second tries included
  took_s    REAL NOT NULL DEFAULT 0,
  files     TEXT NOT NULL DEFAULT '[]',         -- JSON: recordings, below the batch's folder
  UNIQUE (attempt, name)
);
CREATE TABLE results (
  measurement INTEGER NOT NULL REFERENCES measurements (id),
  position    INTEGER NOT NULL,
  test        TEXT NOT NULL,
  channel     TEXT,                             -- NULL: the whole board
  value       REAL,                             -- NULL: nothing was measured
  unit        TEXT NOT NULL,
  uncertainty REAL,                             -- expanded, k = 2
  limit_low   REAL,
  limit_high  REAL,
  verdict     TEXT NOT NULL CHECK (verdict IN ('pass', 'fail', 'not measured')),
  reason      TEXT NOT NULL,                    -- JSON: language -> sentence
  facts       TEXT NOT NULL,                    -- JSON
  PRIMARY KEY (measurement, position)
) WITHOUT ROWID;
CREATE INDEX results_by_test ON results (test, channel);
"""


def create_file(path: Path) -> None:
    """An empty file for its owner alone; `lay_out` makes a batch of it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileExistsError):
            open_private(path, "xb").close()
    except OSError as err:
        raise BenchRecordError(
            _("no batch can be kept in {folder}: {why}. Choose a folder that you may write to").format(
                folder=path.parent, why=system_reason(err)
            ),
            path=path,
        ) from err


def lay_out(db: sqlite3.Connection) -> None:
    """Tables into an empty file, in one transaction: another bench, or a crash, finds all of them or none."""
    db.execute("BEGIN IMMEDIATE")
    (n_tables,) = db.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()
    (application,) = db.execute("PRAGMA application_id").fetchone()
    if not n_tables and not application:
        for statement in filter(str.strip, TABLES.split(";")):
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {SCHEMA}")
    db.execute("COMMIT")


def check(db: sqlite3.Connection, path: Path) -> None:
    """Refuse what is no batch of this schema."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (schema,) = db.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise BenchRecordError(
            _("{path} is another program's database, no batch of this bench; choose another folder").format(
                path=path
            ),
            path=path,
        )
    if schema != SCHEMA:
        raise BenchRecordError(
            _(
                "{path} is of schema {got}, this program reads schema {expected}; use the version of this software "
                "that wrote it, or begin a new batch"
            ).format(path=path, got=schema, expected=SCHEMA),
            path=path,
        )


@contextlib.contextmanager
def in_words(path: Path) -> Iterator[None]:
    """SQLite's errors in this project's words."""
    try:
        yield
    except sqlite3.OperationalError as err:
        raise BenchRecordError(
            _("the batch {path} cannot be used now: {why}. What was stored before is safe").format(
                path=path, why=library_reason(err)
            ),
            path=path,
        ) from err
    except sqlite3.DatabaseError as err:
        raise BenchRecordError(
            _("{path} is damaged or no database: {why}. Restore it from its backup").format(
                path=path, why=library_reason(err)
            ),
            path=path,
        ) from err
