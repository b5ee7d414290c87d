"""A SQLite database as the stages see it.

Any open transaction on the file, even one that reads, stands in the way of its migration: so no
connection stays open here. The lock and the ledger are files beside the database; the identity is
in the database, as a view, which no autogenerate takes for a table.
"""

import contextlib
import fcntl
import functools
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bootstrap import app, database, digests, target

if TYPE_CHECKING:
    from bootstrap import catalog as catalogs
    from bootstrap import ledger_sqlite

PIN = "bootstrapd_pin"
# The view in a file whose rows have moved; see `fence`.
MOVED = "bootstrapd_moved"
BUSY_TIMEOUT_S = 5.0


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

    @functools.cached_property
    def ledger(self) -> "ledger_sqlite.Ledger":
        """The record, in a file of its own."""
        from bootstrap import ledger_sqlite

        return ledger_sqlite.Ledger(self.ledger_path, self._app.name)

    def look(self, before: database.Sight | None = None) -> database.Sight:  # noqa: ARG002
        """The state now; a file that is not there is an empty database.

        Raises IdentityError where the rows have moved elsewhere.
        """
        if not self.path.exists():
            return database.Sight(None, 0, database.EMPTY, None, None, sqlite3.sqlite_version)
        with _opened(self.path, "ro") as connection:
            objects = connection.execute(
                "select type, name, coalesce(sql, '') from sqlite_schema"
                " where name not like 'sqlite_%' order by type, name"
            ).fetchall()
            if ("view", MOVED) in {(kind, name) for kind, name, _ in objects}:
                from bootstrap import fence

                fence.refuse(connection, self.path)
            _, version = database.version_table(self._app)
            revisions: tuple[str, ...] | None = None
            if ("table", version) in {(kind, name) for kind, name, _ in objects}:
                rows = connection.execute(f'select version_num from "{version}" order by 1')
                revisions = tuple(row[0] for row in rows)
            identity = None
            if ("view", PIN) in {(kind, name) for kind, name, _ in objects}:
                (identity,) = connection.execute(f"select identity from {PIN}").fetchone()
        digest = digests.new()
        objects = [row for row in objects if row[1] != PIN]
        for row in objects:
            digest.update(repr(row).encode())
        return database.Sight(
            revisions=revisions,
            tables=sum(1 for kind, name, _ in objects if kind == "table" and name != version),
            catalog=digest.hexdigest() if objects else database.EMPTY,
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

    def pin(self) -> str:
        """The identity in the view, made on first need."""
        identity = self.look().identity
        if identity is None:
            import uuid

            identity = str(uuid.uuid4())
            with _opened(self.path, "rwc") as connection:
                connection.execute(f"create view {PIN} as select '{identity}' as identity")
        return identity

    def close(self) -> None:
        """Close the ledger and give the lock back."""
        if "ledger" in vars(self):
            self.ledger.close()
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
        note = f"{os.getpid()} {self._app.name} {os.uname().nodename} {int(time.time())}\n"
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

    def await_unlock(self, timeout_s: float, stop: threading.Event) -> None:
        """Sleep: a file lock that is given back is not told."""
        stop.wait(timeout_s)

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

    def catalog(self) -> "catalogs.Catalog":
        """Read from the statements that the file keeps."""
        from bootstrap import catalog

        with _opened(self.path, "ro") as connection:
            return catalog.read_sqlite(connection, version_table=database.version_table(self._app))

    def flaws(
        self,
        wanted: "catalogs.Catalog | None",  # noqa: ARG002
        *,
        app_role: str | None,  # noqa: ARG002
    ) -> "Sequence[catalogs.Finding]":
        """Rows that refer to nothing, counters that are behind, and damage of the file."""
        from bootstrap import catalog

        with _opened(self.path, "ro") as connection:
            return catalog.flaws(connection, version_table=database.version_table(self._app))

    def invalid_indexes(self) -> Sequence[str]:
        """SQLite has none."""
        return ()

    def drop_index(self, name: str, *, lock_timeout_ms: int) -> bool:  # noqa: ARG002
        """Nothing to drop."""
        return True

    def _proof(self) -> database.Proof | None:
        rows = read_ledger(
            self.ledger_path,
            "select code, catalog, findings from proof where app = ?",
            self._app.name,
        )
        return database.Proof(*rows[0]) if rows else None


def read_ledger(path: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    """What the ledger in the file `path` answers; nothing where there is none."""
    if not path.exists():
        return []
    # A connection that only reads would leave the log's files behind.
    with _opened(path, "rw" if os.access(path, os.W_OK) else "ro") as ledger:
        try:
            return ledger.execute(query, values).fetchall()
        except sqlite3.OperationalError as error:
            # Killed between making the file and its tables, or made by an older release.
            if not str(error).startswith("no such table"):
                raise
            return []


def connect(path: Path, mode: str, *, cached_statements: int = 128) -> sqlite3.Connection:
    """A connection in autocommit mode; `mode` is ro, rw or rwc as in SQLite's URIs.

    In a folder where nothing can be made, a file whose write-ahead log is gone is read as it is.
    """
    alone = "&immutable=1" if mode == "ro" and _is_put_away(path) else ""
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}{alone}",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=cached_statements,
    )


def _is_put_away(path: Path) -> bool:
    """Whether SQLite would want to make a log's files where it may not, and nobody has one."""
    if os.access(path.parent, os.W_OK) or Path(f"{path}-wal").exists():
        return False
    try:
        with path.open("rb") as file:
            return file.read(20)[18:] == b"\2\2"
    except OSError:
        return False


@contextlib.contextmanager
def _opened(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    connection = connect(path, mode)
    try:
        yield connection
    finally:
        connection.close()
