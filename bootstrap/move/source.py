"""The SQLite file that is moved: opened to be read only, seen as it was at one moment.

Its rows come in chunks of bounded size, in the order of their keys, whatever the values' lengths.
"""

import contextlib
import itertools
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bootstrap import sqlite
from bootstrap.errors import DriftError, RefusedError
from bootstrap.libpq import identifier as quoted

# A chunk holds at most this many bytes of values, by the limit that SQLite is given for one value.
CHUNK_BYTES = 6_000_000
# Rows of usual length, and what becomes of them, stay in a processor's cache.
CHUNK_ROWS = (500, 100, 20, 1)
# After so many chunks of fewer rows, more rows are tried again.
_PATIENCE = 32
# From here on, a value is read and written in pieces, and compared by its SHA-256.
HUGE_BYTES = 1_000_000
PIECE_BYTES = 262_144

Row = tuple[Any, ...]


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


@dataclass(frozen=True)
class Huge:
    """A value too long to be held: read it in pieces."""

    kind: type[str] | type[bytes]
    size: int
    pieces: Callable[[], Iterator[bytes]]

    def whole(self) -> str | bytes:
        """The value itself, for a column that does not take it in pieces."""
        raw = b"".join(self.pieces())
        return raw if self.kind is bytes else raw.decode("utf-8", "surrogateescape")


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
        columns, keys = [], []
        for _, column, _, _, _, key, hidden in self.connection.execute(
            f"pragma table_xinfo({quoted(name)})"
        ):
            if hidden != 1:
                columns.append(column)
                if key:
                    keys.append((key, column))
        taken = {column.lower() for column in columns}
        rowid = next((word for word in ("rowid", "_rowid_", "oid") if word not in taken), None)
        if without_rowid or rowid is None:
            return Table(name, tuple(columns), tuple(column for _, column in sorted(keys)), False)
        return Table(name, tuple(columns), (rowid,), True)

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

    def chunks(
        self, table: Table, columns: Sequence[str], after: Sequence[Any] | None = None
    ) -> Iterator[list[Row]]:
        """The rows of a table: the values of its keys, then those of `columns`.

        A row with a value over HUGE_BYTES comes alone, that value as a Huge.
        """
        level, calm = 0, 0
        width = len(table.keys) + len(columns)
        while True:
            rows, whole = self._chunk(table, columns, after, CHUNK_ROWS[level], width)
            if rows:
                yield rows
                after = rows[-1][: len(table.keys)]
            if whole and len(rows) < CHUNK_ROWS[level]:
                return
            if whole:
                calm += 1
                if level and calm >= _PATIENCE:
                    level, calm = level - 1, 0
            elif level + 1 < len(CHUNK_ROWS):
                level, calm = level + 1, 0
            else:
                row = self._long_row(table, columns, after)
                yield [row]
                after = row[: len(table.keys)]

    def _chunk(
        self,
        table: Table,
        columns: Sequence[str],
        after: Sequence[Any] | None,
        count: int,
        width: int,
    ) -> tuple[list[Row], bool]:
        """Up to `count` rows; False with them where the next one holds too long a value."""
        rows: list[Row] = []
        # JSON grows when it is printed by PostgreSQL's rules, but not to its double.
        limit = min(CHUNK_BYTES // (count * width), HUGE_BYTES // 2)
        before = self.connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(limit, 64))
        try:
            cursor = self._select(table, [*table.keys, *columns], after, count)
            rows.extend(itertools.islice(cursor, count))
            return rows, True
        except sqlite3.DataError:
            return rows, False
        except sqlite3.OperationalError as error:
            if "UTF-8" not in str(error):
                raise
        finally:
            self.connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, before)
        return self._damaged_text(table, columns, after, count), True

    def _damaged_text(
        self, table: Table, columns: Sequence[str], after: Sequence[Any] | None, count: int
    ) -> list[Row]:
        """Rows whose text is not all UTF-8: bytes that are none become lone surrogates."""
        self.connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        try:
            cursor = self._select(table, [*table.keys, *columns], after, count)
            return cursor.fetchall()
        finally:
            self.connection.text_factory = str

    def _long_row(self, table: Table, columns: Sequence[str], after: Sequence[Any] | None) -> Row:
        names = [f"typeof({quoted(column)})" for column in columns]
        (row,) = self._select(table, [*table.keys], after, 1)
        kinds = self._select(table, names, after, 1, raw=True).fetchone()
        values: list[Any] = []
        for column, kind in zip(columns, kinds, strict=True):
            huge = self._huge(table, column, row[0], kind) if kind in ("text", "blob") else None
            values.append(huge or self._one(table, column, after))
        return (*row, *values)

    def _one(self, table: Table, column: str, after: Sequence[Any] | None) -> Any:
        self.connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        try:
            return self._select(table, [column], after, 1).fetchone()[0]
        finally:
            self.connection.text_factory = str

    def _huge(self, table: Table, column: str, rowid: Any, kind: str) -> Huge | None:
        if not table.has_rowid:
            return None

        def opened() -> sqlite3.Blob:
            return self.connection.blobopen(table.name, column, rowid, readonly=True)

        def pieces() -> Iterator[bytes]:
            with opened() as blob:
                while piece := blob.read(PIECE_BYTES):
                    yield piece

        try:
            with opened() as blob:
                size = len(blob)
        except sqlite3.OperationalError:
            # A generated column has nothing stored that could be opened.
            return None
        return Huge(str if kind == "text" else bytes, size, pieces) if size > HUGE_BYTES else None

    def _select(
        self,
        table: Table,
        names: Sequence[str],
        after: Sequence[Any] | None,
        count: int,
        *,
        raw: bool = False,
    ) -> sqlite3.Cursor:
        chosen = ", ".join(names if raw else [table.sql(name) for name in names])
        keys = ", ".join(map(table.sql, table.keys))
        where = ""
        if after is not None:
            where = f" where ({keys}) > ({', '.join('?' * len(after))})"
        order = f" order by {keys}" if keys else ""
        return self.connection.execute(
            f"select {chosen} from {quoted(table.name)}{where}{order} limit {count}",
            tuple(after or ()),
        )


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
