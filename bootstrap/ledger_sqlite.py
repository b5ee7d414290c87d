"""The ledger of a SQLite database: a file beside it."""

import json
import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bootstrap import database, ledger, report, sqlite

_LEDGER = """
create table if not exists proof (
  app text primary key, code text not null, catalog text not null, findings integer not null,
  release text not null, proven_at text not null
);
create table if not exists attempt (
  id integer primary key, app text not null, run text not null, direction text not null,
  revision text not null, actor text not null, host text not null, release text not null,
  started_at text not null, ended_at text, result text not null, error text,
  transactional integer not null default 1, before text
);
create table if not exists schema (
  app text primary key, revisions text not null, digest text not null, snapshot text not null,
  noted_at text not null
);
create table if not exists revision (
  app text not null, revision text not null, below text not null, bytes text not null,
  source text not null, origin text not null, release text not null, at text not null,
  compatible_with text, settled integer not null, primary key (app, revision)
);
"""
_INSERT = (
    "insert into attempt"
    " (app, run, direction, revision, actor, host, release, started_at, ended_at, result)"
    " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_NOW = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"


class Ledger:
    """The record of one app."""

    def __init__(self, path: Path, app: str) -> None:
        self._path = path
        self._app = app
        self._writing: sqlite3.Connection | None = None

    def prepare(self) -> bool:
        """Open the ledger and make its tables that are not there."""
        if self._writing is None:
            self._writing = sqlite.connect(self._path, "rwc")
            # Two small commits a revision: in this mode they need not wait for the disk, and a
            # power failure costs at the most the latest lines.
            self._writing.execute("pragma journal_mode = wal")
            self._writing.execute("pragma synchronous = normal")
        self._writing.executescript(_LEDGER)
        return True

    def close(self) -> None:
        """Close what `prepare` opened."""
        if self._writing is not None:
            self._writing.close()
            self._writing = None

    def begin(self, attempt: ledger.Started) -> int:
        """Insert a running attempt."""
        number = self._written(_INSERT, self._app, *_values(attempt, None)).lastrowid
        assert number is not None
        return number

    def done(self, attempts: Sequence[tuple[ledger.Started, float]]) -> None:
        """Insert finished attempts, all at once."""
        self._written("begin")
        for attempt, ended_at in attempts:
            self._written(_INSERT, self._app, *_values(attempt, ended_at))
        self._written("commit")

    def not_transactional(self, attempt: int, before: Mapping[str, Any]) -> None:
        """Mark an attempt that cannot be rolled back, and keep `before`."""
        self._written(
            "update attempt set transactional = 0, before = ? where id = ?",
            json.dumps(dict(before)),
            attempt,
        )

    def not_comparable(self, attempt: int) -> None:
        """Forget the digest of the schema."""
        self._written(
            "update attempt set before = json_set(before, '$.catalog', null) where id = ?", attempt
        )

    def end(self, attempt: int, result: str, error: str | None = None) -> None:
        """Write result, error and time."""
        self._written(
            f"update attempt set result = ?, error = ?, ended_at = {_NOW} where id = ?",
            result,
            error,
            attempt,
        )

    def unfinished(self) -> Sequence[ledger.Attempt]:
        """Running attempts, oldest first."""
        return self._attempts("where result = 'running' order by id")

    def attempts(self, limit: int) -> Sequence[ledger.Attempt]:
        """The latest attempts, newest first."""
        return self._attempts("where app = ? order by id desc limit ?", self._app, limit)

    def note_schema(self, schema: ledger.Schema) -> None:
        """Insert or replace what is kept of the app's schema."""
        self._written(
            f"insert or replace into schema values (?, ?, ?, ?, {_NOW})",
            self._app,
            json.dumps(schema.revisions),
            schema.digest,
            schema.text,
        )

    def schema(self) -> ledger.Schema | None:
        """What is kept of the app's schema."""
        row = self._written(
            "select revisions, digest, snapshot from schema where app = ?", self._app
        ).fetchone()
        return ledger.Schema(tuple(json.loads(row[0])), *row[1:]) if row else None

    def notes(self) -> Sequence[ledger.Note]:
        """All rows of the app."""
        rows = sqlite.read_ledger(
            self._path,
            "select revision, below, bytes, '', origin, release, at, compatible_with, settled"
            " from revision where app = ?",
            self._app,
        )
        return [
            ledger.Note(*(row[0], tuple(json.loads(row[1])), *row[2:-1], bool(row[-1])))
            for row in rows
        ]

    def note(self, notes: Sequence[ledger.Note]) -> None:
        """Insert or replace the rows, all or none."""
        self._written("begin")
        for note in notes:
            self._written(
                "insert or replace into revision"
                f" values (?, ?, ?, ?, ?, ?, ?, coalesce(?, {_NOW}), ?, ?)",
                self._app,
                note.revision,
                json.dumps(note.below),
                note.bytes,
                note.source,
                note.origin,
                note.release,
                note.at,
                note.compatible_with,
                note.settled,
            )
        self._written("commit")

    def sources(self, revisions: Sequence[str]) -> Mapping[str, str] | None:
        """The packed texts of these."""
        rows = sqlite.read_ledger(
            self._path,
            "select revision, source from revision where app = ?"
            " and revision in (select value from json_each(?))",
            self._app,
            json.dumps(list(revisions)),
        )
        return dict(rows)

    def settle(self, revisions: Sequence[str]) -> None:
        """Mark the rows, in one statement."""
        self._written(
            "update revision set settled = 1 where app = ? and not settled"
            " and revision in (select value from json_each(?))",
            self._app,
            json.dumps(list(revisions)),
        )

    def prove(self, proof: database.Proof, release: str) -> None:
        """Insert or replace the app's proof."""
        self._written(
            f"insert or replace into proof values (?, ?, ?, ?, ?, {_NOW})",
            self._app,
            proof.code,
            proof.catalog,
            proof.findings,
            release,
        )

    def _written(self, statement: str, *values: object) -> sqlite3.Cursor:
        assert self._writing is not None, "prepare() opens the ledger"
        return self._writing.execute(statement, values)

    def _attempts(self, tail: str, *values: object) -> Sequence[ledger.Attempt]:
        rows = sqlite.read_ledger(
            self._path,
            "select id, run, direction, revision, actor, host, release, started_at, ended_at,"
            f" result, error, transactional, before from attempt {tail}",
            *values,
        )
        return [ledger.Attempt(*(*row[:-2], bool(row[-2]), row[-1])) for row in rows]


def _values(attempt: ledger.Started, ended_at: float | None) -> tuple[object, ...]:
    return (
        attempt.run,
        attempt.direction,
        attempt.revision,
        ledger.actor(),
        os.uname().nodename,
        attempt.release,
        _iso(attempt.started_at),
        None if ended_at is None else _iso(ended_at),
        "running" if ended_at is None else "done",
    )


def _iso(seconds: float) -> str:
    return report.iso(seconds).replace("+00:00", "Z")
