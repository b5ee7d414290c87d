"""The SQLite file that is moved: opened to be read only, seen as it was at one moment."""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bootstrap import sqlite
from bootstrap.errors import DriftError, RefusedError
from bootstrap.libpq import identifier as quoted


@dataclass(frozen=True)
class Table:
    """One table of the file. `keys` are the columns that order it, rowid where it has one."""

    name: str
    columns: tuple[str, ...]
    keys: tuple[str, ...]
    has_rowid: bool

    def sql(self, column: str) -> str:
        """A column's name in SQL; rowid has no quotes, or it might be taken for a text."""
        return column if self.has_rowid and column == self.keys[0] else quoted(column)

    def key(self, values: Sequence[Any]) -> dict[str, Any]:
        """How a row is named in reports."""
        names = ("rowid",) if self.has_rowid else self.keys
        return dict(zip(names, values, strict=False))


class Source:
    """A SQLite file in one read transaction."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.connection = connection
        self.path = path
        self.stamp = stamp(path)
        ((self.version,),) = connection.execute("select sqlite_version()")
        ((self.wal,),) = connection.execute("pragma journal_mode")

    def tables(self) -> dict[str, Table]:
        """All tables with rows of their own, by name."""
        found = {}
        for _, name, kind, _, without_rowid, _ in self.connection.execute("pragma table_list"):
            if kind == "table" and not name.startswith("sqlite_") and name != "bootstrapd_pin":
                found[name] = self._table(name, bool(without_rowid))
        return dict(sorted(found.items()))

    def virtual(self) -> list[str]:
        """Tables whose rows are kept by a module, such as those for full text search."""
        rows = self.connection.execute("pragma table_list")
        return sorted(name for _, name, kind, *_ in rows if kind == "virtual")

    def _table(self, name: str, without_rowid: bool) -> Table:
        columns, keys, types = [], [], []
        for _, column, type_, _, _, key, hidden in self.connection.execute(
            f"pragma table_xinfo({quoted(name)})"
        ):
            if hidden != 1:
                columns.append(column)
                if key:
                    keys.append((key, column))
                    types.append(type_.upper())
        taken = {column.lower() for column in columns}
        rowid = next((word for word in ("rowid", "_rowid_", "oid") if word not in taken), None)
        if rowid is not None and not without_rowid:
            return Table(name, tuple(columns), (rowid,), True)
        # Any other key of such a table may be NULL, and more than once.
        if not without_rowid and types != ["INTEGER"]:
            raise DriftError(
                f"the rows of {name} in {self.path} cannot be told apart: its columns rowid, "
                "_rowid_ and oid hide SQLite's own row number, and it has no INTEGER PRIMARY KEY; "
                "nothing was moved; give one of them another name in the target, and here: "
                f"ALTER TABLE {quoted(name)} RENAME COLUMN oid TO ..."
            )
        return Table(name, tuple(columns), tuple(column for _, column in sorted(keys)), False)

    def count(self, table: str) -> int:
        """How many rows a table has."""
        ((number,),) = self.connection.execute(f"select count(*) from {quoted(table)}")
        return int(number)

    def sequence(self, table: str) -> int:
        """The highest number that AUTOINCREMENT has given in this table; 0 where it has not."""
        with contextlib.suppress(sqlite3.OperationalError):
            for (number,) in self.connection.execute(
                "select seq from sqlite_sequence where name = ?", (table,)
            ):
                return int(number or 0)
        return 0


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Source]:
    """The file in one read transaction, for the length of the block.

    With a write-ahead log the app may go on writing, which is not seen here; without one its
    writes wait. Raises RefusedError where the file cannot be read as it stands.
    """
    connection = _connect(path, "ro")
    try:
        try:
            connection.execute("pragma temp_store = file")
            connection.execute("begin")
            connection.execute("select count(*) from sqlite_schema").fetchone()
        except sqlite3.OperationalError as error:
            connection.close()
            connection = _alone(path, error)
        except sqlite3.DatabaseError as error:
            raise DriftError(f"{path} cannot be read as a SQLite database: {error}") from error
        yield Source(connection, path)
    finally:
        connection.close()


def _alone(path: Path, error: sqlite3.OperationalError) -> sqlite3.Connection:
    """The file where nothing may be made beside it: only as it is, with no log left to apply."""
    left = [
        name
        for name in (f"{path}-wal", f"{path}-journal")
        if Path(name).exists() and Path(name).stat().st_size
    ]
    if left:
        raise RefusedError(
            f"{path} cannot be read as it stands: {error}; {left[0]} holds what a process was "
            "writing when it ended or is writing now; let the app, or sqlite3, open and close the "
            "file once, in a folder that it may write to, then run again"
        ) from error
    connection = _connect(path, "ro&immutable=1")
    try:
        connection.execute("begin")
        connection.execute("select count(*) from sqlite_schema").fetchone()
    except sqlite3.DatabaseError as second:
        connection.close()
        raise RefusedError(f"{path} cannot be read: {error}") from second
    return connection


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite.connect(path, mode, cached_statements=512)


def stamp(path: Path) -> str:
    """What tells whether the file was written: sizes and times of it and of its log."""
    parts = []
    for name in (path, Path(f"{path}-wal")):
        with contextlib.suppress(FileNotFoundError):
            state = name.stat()
            if name == path or state.st_size:
                parts.append(f"{state.st_size}.{state.st_mtime_ns}")
    return "/".join(parts)


def integrity(path: Path) -> list[str]:
    """What integrity_check says of the file, by a connection of its own; nothing when it is sound.

    NOT NULL and CHECK of the file's own tables are left to the scan, which names the rows.
    """
    connection = _connect(path, "ro")
    try:
        lines = [row[0] for row in connection.execute("pragma integrity_check(1000)")]
    except sqlite3.DatabaseError as error:
        return [str(error)]
    finally:
        connection.close()
    told = ("ok", "NULL value in ", "CHECK constraint failed in ", "non-unique entry in ")
    return [line for line in lines if not line.startswith(told)]
