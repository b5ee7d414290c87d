"""The SQLite file that is moved: opened to be read only, seen as it was at one moment."""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bootstrap import sqlite
from bootstrap.errors import BootstrapdError, DriftError, LockError, RefusedError
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
        return dict(zip(names, map(_named, values), strict=False))


class Source:
    """A SQLite file in one read transaction."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.connection = connection
        self.path = path
        self.stamp = stamp(path)
        ((self.version,),) = connection.execute("select sqlite_version()")
        ((self.wal,),) = connection.execute("pragma journal_mode")
        ((self.encoding,),) = connection.execute("pragma encoding")

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


def _named(value: Any) -> Any:
    """A part of a key, so that any report can hold it."""
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return value


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Source]:
    """The file in one read transaction, for the length of the block.

    With a write-ahead log the app may go on writing, which is not seen here; without one its
    writes wait. Raises RefusedError, LockError or DriftError where the file cannot be read as it
    stands, also where only the block finds that out.
    """
    try:
        with contextlib.closing(_connect(path)) as connection:
            connection.execute("pragma temp_store = file")
            connection.execute("begin")
            connection.execute("select count(*) from sqlite_schema").fetchone()
            yield Source(connection, path)
    except sqlite3.DatabaseError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: sqlite3.DatabaseError) -> BootstrapdError:
    """What SQLite says of a file, in words that say what to do."""
    code = kind(error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return LockError(
            f"another process has {path} to itself, and did not let go of it in "
            f"{sqlite.BUSY_TIMEOUT_S:g} s; stop the app that uses it, then run this again"
        )
    if code == sqlite3.SQLITE_FULL:
        return RefusedError(
            f"{path} could not be looked through: SQLite has no room to sort its rows ({error}); "
            "nothing was moved; give it a folder with more room, SQLITE_TMPDIR=FOLDER and "
            "TMPDIR=FOLDER, then run again"
        )
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return _shut(path, error)
    if code == sqlite3.SQLITE_NOTADB:
        return DriftError(f"{path} cannot be read as a SQLite database: {error}")
    if code == sqlite3.SQLITE_ERROR:
        return DriftError(
            f"{path} needs what only its app adds to SQLite: {error}; nothing was moved; take out "
            "of a copy of it what needs that, then move the copy"
        )
    return DriftError(
        f"{path} cannot be read to its end: {error}; nothing was moved; restore the file from a "
        "backup, or save what can be with sqlite3's .recover"
    )


def kind(error: sqlite3.Error) -> int:
    """The kind of an error by SQLite's number; one without a number counts as an error in SQL."""
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF


def _shut(path: Path, error: sqlite3.DatabaseError) -> RefusedError:
    for name in (f"{path}-wal", f"{path}-journal"):
        if Path(name).exists():
            return RefusedError(
                f"{path} cannot be read as it stands: {error}; {name} holds what a process was "
                "writing when it ended or is writing now; let the app, or sqlite3, open and close "
                "the file once, in a folder that it may write to, then run again"
            )
    return RefusedError(f"{path} cannot be read: {error}; check this user's rights to it")


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite.connect(path, "ro", cached_statements=512)


def decoded(raw: bytes) -> str:
    """A text as it is; bytes that are no UTF-8 become lone surrogates."""
    return raw.decode("utf-8", "surrogateescape")


@contextlib.contextmanager
def any_text(connection: sqlite3.Connection) -> Iterator[None]:
    """Rows that are fetched in the block may hold text that is no UTF-8."""
    before = connection.text_factory
    connection.text_factory = decoded
    try:
        yield
    finally:
        connection.text_factory = before


def bound(values: Sequence[Any]) -> tuple[str, list[Any]]:
    """Marks for values in SQL and what to give for them; a text that is no UTF-8 goes as bytes."""
    marks, given = [], []
    for value in values:
        odd = isinstance(value, str) and decoded(value.encode("utf-8", "replace")) != value
        marks.append("cast(? as text)" if odd else "?")
        given.append(value.encode("utf-8", "surrogateescape") if odd else value)
    return ", ".join(marks), given


def stamp(path: Path) -> str:
    """What tells whether the file was written: sizes and times of it and of its log."""
    parts = []
    for name in (path, Path(f"{path}-wal")):
        with contextlib.suppress(FileNotFoundError):
            state = name.stat()
            if name == path or state.st_size:
                parts.append(f"{state.st_size}.{state.st_mtime_ns}")
    return "/".join(parts)


@dataclass(frozen=True)
class Integrity:
    """What is wrong with a file; why indexes were `left_out`, which its app alone can compare."""

    lines: Sequence[str]
    left_out: str | None = None


def integrity(path: Path) -> Integrity:
    """What integrity_check says of the file, by a connection of its own; nothing when it is sound.

    NOT NULL and CHECK of the file's own tables are left to the scan, which names the rows. Raises
    sqlite3.DatabaseError where the file cannot be asked at all.
    """
    left_out = None
    with contextlib.closing(_connect(path)) as connection:
        for check in ("integrity_check", "quick_check"):
            try:
                found = connection.execute(f"pragma {check}(1000)").fetchall()
            except sqlite3.OperationalError as error:
                if kind(error) != sqlite3.SQLITE_ERROR:
                    raise
                left_out = str(error)
                continue
            except sqlite3.DatabaseError as error:
                return Integrity([str(error)], left_out)
            told = ("ok", "NULL value in ", "CHECK constraint failed in ", "non-unique entry in ")
            return Integrity([line for (line,) in found if not line.startswith(told)], left_out)
    return Integrity([], left_out)
