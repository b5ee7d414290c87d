"""A SQLite database as the stages see it.

Any open transaction on the file, even one that reads, stands in the way of its migration: so no
connection stays open here. The lock and the ledger are files beside the database; the identity is
in the database, as a view, which no autogenerate takes for a table.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import socket
import sqlite3
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bootstrap import app, database, target

PIN = "bootstrapd_pin"
BUSY_TIMEOUT_S = 5.0

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
"""
_INSERT = (
    "insert into attempt"
    " (app, run, direction, revision, actor, host, release, started_at, ended_at, result)"
    " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_NOW = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"


class Sqlite:
    """One SQLite file."""

    errors: tuple[type[Exception], ...] = (sqlite3.Error, OSError)

    def __init__(self, where: target.Target, declared: app.App) -> None:
        assert where.path is not None
        self.target = where
        self.path = where.path
        self.ledger_path = Path(f"{where.path}-bootstrapd")
        self.lock_path = Path(f"{where.path}-bootstrapd.lock")
        self._app = declared
        self._lock: int | None = None
        self._ledger: sqlite3.Connection | None = None

    def look(self) -> database.Sight:
        """The state now; a file that is not there is an empty database."""
        if not self.path.exists():
            return database.Sight(None, 0, "empty", None, None, sqlite3.sqlite_version)
        with self._open(self.path, "ro") as connection:
            objects = connection.execute(
                "select type, name, coalesce(sql, '') from sqlite_schema"
                " where name not like 'sqlite_%' order by type, name"
            ).fetchall()
            _, version = database.version_table(self._app)
            revisions: tuple[str, ...] | None = None
            if ("table", version) in {(kind, name) for kind, name, _ in objects}:
                rows = connection.execute(f'select version_num from "{version}" order by 1')
                revisions = tuple(row[0] for row in rows)
            identity = None
            if ("view", PIN) in {(kind, name) for kind, name, _ in objects}:
                (identity,) = connection.execute(f"select identity from {PIN}").fetchone()
        digest = hashlib.sha256()
        for row in objects:
            if row[1] != PIN:
                digest.update(repr(row).encode())
        return database.Sight(
            revisions=revisions,
            tables=sum(1 for kind, name, _ in objects if kind == "table" and name != version),
            catalog=digest.hexdigest(),
            identity=identity,
            proof=self._proof(),
            version=sqlite3.sqlite_version,
            read_only=not os.access(self.path, os.W_OK),
        )

    def current(self) -> tuple[str, ...]:
        """The rows of the version table; a look costs nothing more here."""
        return self.look().current

    def identity(self) -> str | None:
        """What the view says."""
        return self.look().identity

    def close(self) -> None:
        """Close the ledger and give the lock back."""
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None
        self.unlock()

    # -- the lock ---------------------------------------------------------------------------------

    def try_lock(self) -> bool:
        """Take the lock of the file beside the database, which the kernel gives back by itself."""
        descriptor = os.open(self.lock_path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        os.ftruncate(descriptor, 0)
        note = f"{os.getpid()} {self._app.name} {socket.gethostname()} {int(time.time())}\n"
        os.pwrite(descriptor, note.encode(), 0)
        self._lock = descriptor
        return True

    def lock_is_free(self) -> bool:
        """Whether nobody holds the lock: many may share it for an instant."""
        with self.lock_path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    def unlock(self) -> bool:
        """Close the lock file."""
        if self._lock is None:
            return False
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        os.close(self._lock)
        self._lock = None
        return True

    def holder(self) -> str:
        """What the holder wrote into the lock file."""
        try:
            pid, app, host, since = self.lock_path.read_text(encoding="utf-8").split()
        except (OSError, ValueError):
            return "another process"
        return f"process {pid} (app {app}, on {host}, for {int(time.time()) - int(since)} s)"

    def shared_descriptors(self) -> tuple[int, ...]:
        """The lock file: the lock lives as long as any process has this descriptor."""
        return (self._lock,) if self._lock is not None else ()

    def witness(self) -> Mapping[str, Any] | None:
        """Nothing: the worker compares the paths."""
        return None

    def lost(self) -> bool:
        """A lock on a local file does not go away by itself."""
        return False

    def end_leftovers(self) -> int:
        """Nothing: what a killed process had open, SQLite rolls back at the next open."""
        return 0

    # -- the ledger -------------------------------------------------------------------------------

    def prepare(self) -> bool:
        """Open the ledger and make its tables that are not there."""
        if self._ledger is None:
            self._ledger = _connect(self.ledger_path, "rwc")
            # Two small commits a revision: in this mode they need not wait for the disk, and a
            # power failure costs at the most the latest lines.
            self._ledger.execute("pragma journal_mode = wal")
            self._ledger.execute("pragma synchronous = normal")
        self._ledger.executescript(_LEDGER)
        return True

    def pin(self) -> str:
        """The identity in the view, made on first need."""
        identity = self.look().identity
        if identity is None:
            identity = str(uuid.uuid4())
            with self._open(self.path, "rwc") as connection:
                connection.execute(f"create view {PIN} as select '{identity}' as identity")
        return identity

    def begin(self, attempt: database.Started) -> int:
        """Insert a running attempt."""
        number = self._written(_INSERT, self._app.name, *_values(attempt, None)).lastrowid
        assert number is not None
        return number

    def done(self, attempts: Sequence[tuple[database.Started, float]]) -> None:
        """Insert finished attempts, all at once."""
        self._written("begin")
        for attempt, ended_at in attempts:
            self._written(_INSERT, self._app.name, *_values(attempt, ended_at))
        self._written("commit")

    def not_transactional(self, attempt: int) -> None:
        """Mark an attempt that cannot be rolled back, and keep what the schema was before it."""
        before = json.dumps({"catalog": self.look().catalog, "invalid": []})
        self._written(
            "update attempt set transactional = 0, before = ? where id = ?", before, attempt
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

    def unfinished(self) -> Sequence[database.Attempt]:
        """Running attempts, oldest first."""
        return self._attempts("where result = 'running' order by id")

    def attempts(self, limit: int) -> Sequence[database.Attempt]:
        """The latest attempts, newest first."""
        if not self.ledger_path.exists():
            return ()
        return self._attempts("where app = ? order by id desc limit ?", self._app.name, limit)

    def invalid_indexes(self) -> Sequence[str]:
        """SQLite has none."""
        return ()

    def drop_index(self, name: str, *, lock_timeout_ms: int) -> bool:  # noqa: ARG002
        """Nothing to drop."""
        return True

    def prove(self, app_name: str, proof: database.Proof, release: str) -> None:
        """Insert or replace the app's proof."""
        self._written(
            f"insert or replace into proof values (?, ?, ?, ?, ?, {_NOW})",
            app_name,
            proof.code,
            proof.catalog,
            proof.findings,
            release,
        )

    def _written(self, statement: str, *values: object) -> sqlite3.Cursor:
        assert self._ledger is not None, "prepare() opens the ledger"
        return self._ledger.execute(statement, values)

    @property
    def _ledger_mode(self) -> str:
        # A connection that only reads would leave the log's files behind.
        return "rw" if os.access(self.ledger_path, os.W_OK) else "ro"

    def _proof(self) -> database.Proof | None:
        if not self.ledger_path.exists():
            return None
        with self._open(self.ledger_path, self._ledger_mode) as ledger:
            try:
                row = ledger.execute(
                    "select code, catalog, findings from proof where app = ?", (self._app.name,)
                ).fetchone()
            except sqlite3.OperationalError:
                # Killed between making the file and its tables.
                return None
        return database.Proof(*row) if row else None

    def _attempts(self, tail: str, *values: object) -> Sequence[database.Attempt]:
        with self._open(self.ledger_path, self._ledger_mode) as ledger:
            rows = ledger.execute(
                "select id, run, direction, revision, actor, host, release, started_at, ended_at,"
                f" result, error, transactional, before from attempt {tail}",
                values,
            ).fetchall()
        return [database.Attempt(*(*row[:-2], bool(row[-2]), row[-1])) for row in rows]

    @contextlib.contextmanager
    def _open(self, path: Path, mode: str) -> Iterator[sqlite3.Connection]:
        connection = _connect(path, mode)
        try:
            yield connection
        finally:
            connection.close()


def _values(attempt: database.Started, ended_at: float | None) -> tuple[object, ...]:
    return (
        attempt.run,
        attempt.direction,
        attempt.revision,
        database.actor(),
        socket.gethostname(),
        attempt.release,
        _iso(attempt.started_at),
        None if ended_at is None else _iso(ended_at),
        "running" if ended_at is None else "done",
    )


def _iso(seconds: float) -> str:
    shown = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return shown.replace("+00:00", "Z")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
    )
