"""The rows of a table by its keys, in chunks of bounded size, whatever the values' lengths."""

import codecs
import itertools
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bootstrap.libpq import identifier as quoted
from bootstrap.move import source

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
class Huge:
    """A value too long to be held: read it in pieces."""

    kind: type[str] | type[bytes]
    size: int
    pieces: Callable[[], Iterator[bytes]]

    def whole(self) -> str | bytes:
        """The value itself, for a column that does not take it in pieces."""
        raw = b"".join(self.pieces())
        return raw if self.kind is bytes else source.decoded(raw)


def chunks(
    origin: source.Source, table: source.Table, columns: Sequence[str]
) -> Iterator[list[Row]]:
    """The rows of a table: the values of its keys, then those of `columns`.

    A row with a value over HUGE_BYTES comes alone, that value as a Huge.
    """
    reader = _Reader(origin, table, columns)
    level, calm = 0, 0
    while True:
        count = CHUNK_ROWS[level]
        rows, whole = reader.chunk(count)
        if rows:
            yield rows
            reader.after = rows[-1][: len(table.keys)]
        if whole and len(rows) < count:
            return
        if whole:
            calm += 1
            if level and calm >= _PATIENCE:
                level, calm = level - 1, 0
        elif level + 1 < len(CHUNK_ROWS):
            level, calm = level + 1, 0
        else:
            row = reader.long_row()
            yield [row]
            reader.after = row[: len(table.keys)]


class _Reader:
    """Reads from one table the rows `after` one by its key, or the first ones."""

    def __init__(self, origin: source.Source, table: source.Table, columns: Sequence[str]) -> None:
        self._connection = origin.connection
        self._encoding = origin.encoding
        self._table = table
        self._columns = columns
        self._names = [table.sql(name) for name in (*table.keys, *columns)]
        self.after: Sequence[Any] | None = None

    def chunk(self, count: int) -> tuple[list[Row], bool]:
        """Up to `count` rows; False with them where the next one holds too long a value."""
        rows: list[Row] = []
        # JSON grows when it is printed by PostgreSQL's rules, but not to its double.
        limit = min(CHUNK_BYTES // (count * len(self._names)), HUGE_BYTES // 2)
        before = self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(limit, 64))
        try:
            rows.extend(itertools.islice(self._select(self._names, count), count))
            return rows, True
        except sqlite3.DataError:
            return rows, False
        except sqlite3.OperationalError as error:
            if "UTF-8" not in str(error):
                raise
        finally:
            self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, before)
        return self._any_text(self._names, count), True

    def long_row(self) -> Row:
        """The next row, whatever its values' lengths."""
        keys = [self._table.sql(name) for name in self._table.keys]
        names = [self._table.sql(name) for name in self._columns]
        (key,) = self._select(keys, 1)
        kinds = self._select([f"typeof({name})" for name in names], 1).fetchone()
        values: list[Any] = []
        for column, name, kind in zip(self._columns, names, kinds, strict=True):
            huge = self._huge(column, key[0], kind) if kind in ("text", "blob") else None
            values.append(huge or self._any_text([name], 1)[0][0])
        return (*key, *values)

    def _any_text(self, names: Sequence[str], count: int) -> list[Row]:
        """Up to `count` rows whose text need not be UTF-8."""
        with source.any_text(self._connection):
            return self._select(names, count).fetchall()

    def _huge(self, column: str, rowid: Any, kind: str) -> Huge | None:
        if not self._table.has_rowid:
            return None

        def opened() -> sqlite3.Blob:
            return self._connection.blobopen(self._table.name, column, rowid, readonly=True)

        def raw() -> Iterator[bytes]:
            with opened() as blob:
                while piece := blob.read(PIECE_BYTES):
                    yield piece

        def pieces() -> Iterator[bytes]:
            if kind == "blob" or self._encoding == "UTF-8":
                yield from raw()
                return
            decoder = codecs.getincrementaldecoder(self._encoding)("surrogatepass")
            for piece in raw():
                yield decoder.decode(piece).encode("utf-8", "surrogatepass")

        try:
            with opened() as blob:
                size = len(blob)
        except sqlite3.OperationalError:
            # A generated column has nothing stored that could be opened.
            return None
        return Huge(str if kind == "text" else bytes, size, pieces) if size > HUGE_BYTES else None

    def _select(self, names: Sequence[str], count: int) -> sqlite3.Cursor:
        keys = ", ".join(map(self._table.sql, self._table.keys))
        where = ""
        after: list[Any] = []
        if self.after is not None:
            marks, after = source.bound(self.after)
            where = f" where ({keys}) > ({marks})"
        table = quoted(self._table.name)
        return self._connection.execute(
            f"select {', '.join(names)} from {table}{where} order by {keys} limit {count}",
            after,
        )
