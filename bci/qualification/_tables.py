"""The tables of a batch, as SQL. A change of them is a new `SCHEMA` and a step that brings older files up to it."""

from __future__ import annotations

__all__ = ["APPLICATION_ID", "SCHEMA", "TABLES"]

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
