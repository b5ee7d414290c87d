"""Dirt for SQLite files: takes a clean one and plants faults in it, remembering where each is.

What is a fault depends on the target, so its rules are read from the live PostgreSQL catalog, and
by nothing of what is under test.
"""

import contextlib
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg import sql

from bootstrap.move import problems

T = TypeVar("T")
# Given a number, one of those below it.
Draw = Callable[[int], int]

KINDS = problems.CLASSES

_COLUMNS = """
select c.relname, a.attname, t.typname, t.typtype = 'e', information_schema._pg_char_max_length(
         a.atttypid, a.atttypmod), information_schema._pg_numeric_scale(a.atttypid, a.atttypmod),
       not a.attnotnull, a.atthasdef or a.attidentity <> '', a.attgenerated <> ''
from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_type t on t.oid = a.atttypid
where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attnum > 0
  and not a.attisdropped and c.relname <> 'alembic_version'
order by c.relname, a.attnum
"""
_KEYS = """
select c.relname, i.indisprimary, array_agg(a.attname order by k.place)
from pg_index i join pg_class c on c.oid = i.indrelid
     cross join unnest(i.indkey) with ordinality k (num, place)
     left join pg_attribute a on a.attnum = k.num and a.attrelid = i.indrelid
where i.indisunique and c.relnamespace = 'public'::regnamespace and c.relname <> 'alembic_version'
group by i.indexrelid, c.relname, i.indisprimary having bool_and(k.num > 0)
   and max(i.indpred::text) is null
"""
_CONSTRAINTS = """
select c.contype, c.conrelid::regclass::text, c.confrelid::regclass::text,
       (select array_agg(attname) from pg_attribute
        where attrelid = c.conrelid and attnum = any (c.conkey)),
       (select array_agg(attname) from pg_attribute
        where attrelid = c.confrelid and attnum = any (c.confkey)),
       pg_get_expr(c.conbin, c.conrelid)
from pg_constraint c where c.connamespace = 'public'::regnamespace and c.contype in ('f', 'c')
"""


@dataclass(frozen=True)
class Column:
    """One column of the target; `length` in characters, `scale` in places after the point."""

    table: str
    name: str
    type: str
    is_enum: bool
    length: int | None
    scale: int | None
    nullable: bool
    has_default: bool
    generated: bool

    @property
    def place(self) -> tuple[str, str]:
        """Table and name."""
        return self.table, self.name


@dataclass(frozen=True)
class Rules:
    """What the target takes.

    `free` columns are in no key, no reference and no check, so that what is planted there is one
    fault and no other. `checked` maps a column to a value that breaks a check on it alone.
    `references` are foreign keys of one column that nothing else depends on. `leaves` are tables
    that no other refers to.
    """

    columns: Sequence[Column]
    free: Sequence[Column]
    checked: Mapping[tuple[str, str], object]
    references: Sequence[Column]
    keys: Mapping[str, Sequence[tuple[str, ...]]]
    leaves: Sequence[str]


@dataclass(frozen=True)
class Fault:
    """One planted fault: its class as the report calls it, and its place.

    `rowids` are those of which one must be named; none where the whole table or column is meant.
    """

    kind: problems.Class
    table: str
    column: str = ""
    rowids: frozenset[int] = frozenset()
    value: object = None


def rules(url: str) -> Rules:
    """The rules of this database."""
    with psycopg.connect(url) as connection:
        columns = [Column(*row) for row in connection.execute(_COLUMNS)]
        keys: dict[str, list[tuple[str, ...]]] = {}
        for table, _, names in connection.execute(_KEYS):
            keys.setdefault(table, []).append(tuple(names))
        busy = {(table, name) for table, all_ in keys.items() for key in all_ for name in key}
        references, checks, leaves = [], [], {column.table for column in columns}
        for kind, table, other, names, others, text in connection.execute(_CONSTRAINTS):
            if kind == "c":
                checks.append((table, names, text))
                busy |= {(table, name) for name in names}
                continue
            leaves.discard(other if other != table else "")
            if len(names) == 1 and (table, names[0]) not in busy:
                references.append((table, names[0]))
            busy |= {(table, name) for name in names} | {(other, name) for name in others}
        connection.rollback()
        by_place = {column.place: column for column in columns}
        checked = {}
        for table, names, text in checks:
            mine = [each for each in checks if each[0] == table and set(each[1]) & set(names)]
            in_key = any(names[0] in key for key in keys.get(table, ()))
            if len(names) == 1 and len(mine) == 1 and not in_key:
                column = by_place[table, names[0]]
                with contextlib.suppress(StopIteration):
                    checked[column.place] = next(_breaking(connection, column, text))
    free = [column for column in columns if column.place not in busy and not column.generated]
    return Rules(
        columns,
        free,
        checked,
        [by_place[place] for place in dict.fromkeys(references)],
        keys,
        sorted(leaves),
    )


def _breaking(
    connection: psycopg.Connection[Any], column: Column, check: str
) -> Iterator[str | int]:
    """Values that the column's type takes and its check does not."""
    for value in ("no such word", "", -1, -1_000_000, 1_000_000):
        query = sql.SQL("select ({}) is false from (select %s::{} as {}) as {}").format(
            sql.SQL(check),
            sql.Identifier(column.type),
            sql.Identifier(column.name),
            sql.Identifier(column.table),
        )
        with contextlib.suppress(psycopg.Error), connection.transaction():
            row = connection.execute(query, [str(value)]).fetchone()
            if row == (True,) and len(str(value)) <= (column.length or 100):
                yield value


class Dirty:
    """A file that faults are planted in."""

    def __init__(self, path: Path, target: Rules, draw: Draw) -> None:
        self.path = path
        self.faults: list[Fault] = []
        self._rules = target
        self._draw = draw
        self._used: set[tuple[str, int]] = set()
        self._whole: set[str] = set()

    def plant(self, kind: problems.Class) -> bool:
        """Plant one fault of this class somewhere; False where the app has no place for it."""
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute("pragma foreign_keys = off")
            connection.execute("pragma ignore_check_constraints = on")
            with _without_triggers(connection):
                found = _PLANTS[kind](self, connection)
        if found is None:
            return False
        self.faults.append(found)
        return True

    # -- where -------------------------------------------------------------------------------------

    def one(self, choices: Sequence[T]) -> T:
        """One of these."""
        return choices[self._draw(len(choices))]

    def row(self, connection: sqlite3.Connection, table: str) -> int | None:
        """A row that no fault is in yet."""
        rows = connection.execute(f'select rowid from "{table}" order by 1').fetchall()
        left = [rowid for (rowid,) in rows if (table, rowid) not in self._used]
        if not left or table in self._whole:
            return None
        rowid: int = self.one(left)
        self._used.add((table, rowid))
        return rowid

    def column(
        self, connection: sqlite3.Connection, fits: Callable[[Column], bool]
    ) -> tuple[Column, int] | None:
        """A free column and a row to plant something in."""
        return self.cell(connection, [each for each in self._rules.free if fits(each)])

    def cell(
        self, connection: sqlite3.Connection, choices: Sequence[Column]
    ) -> tuple[Column, int] | None:
        """One of these columns and a row in its table."""
        filled = [each for each in choices if self._has_rows(connection, each.table)]
        if not filled:
            return None
        column = self.one(filled)
        rowid = self.row(connection, column.table)
        return None if rowid is None else (column, rowid)

    def _has_rows(self, connection: sqlite3.Connection, table: str) -> bool:
        if table in self._whole:
            return False
        (count,) = connection.execute(f'select count(*) from "{table}"').fetchone()
        return bool(count > sum(1 for each, _ in self._used if each == table))

    def write(
        self,
        connection: sqlite3.Connection,
        kind: problems.Class,
        cell: tuple[Column, int] | None,
        value: object,
        expression: str = "?",
    ) -> Fault | None:
        """Put the value there."""
        if cell is None:
            return None
        column, rowid = cell
        connection.execute(
            f'update "{column.table}" set "{column.name}" = {expression} where rowid = ?',
            [value, rowid],
        )
        return Fault(kind, column.table, column.name, frozenset([rowid]), value)

    # -- what --------------------------------------------------------------------------------------

    def storage_class(self, connection: sqlite3.Connection) -> Fault | None:
        """Words or bytes where there is a number, bytes where there is text."""
        cell = self.column(connection, lambda column: column.type in (*_NUMBERS, *_TEXTS))
        value: object = b"\x00\x01"
        if cell and cell[0].type in _NUMBERS:
            value = self.one(["many", b"\x07", "1,5", ""])
        return self.write(connection, "storage_class", cell, value)

    def boolean(self, connection: sqlite3.Connection) -> Fault | None:
        """Neither true nor false."""
        cell = self.column(connection, lambda column: column.type == "bool")
        value = self.one([2, -1, 0.5, "maybe", "", 10**12])
        return self.write(connection, "boolean", cell, value)

    def integer_range(self, connection: sqlite3.Connection) -> Fault | None:
        """Wider than the column."""
        cell = self.column(connection, lambda column: column.type in ("int2", "int4"))
        value = self.one([2**31, -(2**31) - 1, 2**63 - 1, -(2**63)])
        return self.write(connection, "integer_range", cell, value)

    def precision(self, connection: sqlite3.Connection) -> Fault | None:
        """More digits than the column keeps."""
        cell = self.column(connection, lambda column: column.type == "numeric")
        return self.write(connection, "precision", cell, self.one([0.123456789, -1.00000001]))

    def too_long(self, connection: sqlite3.Connection) -> Fault | None:
        """Text over the length of the column, by a little or by far."""
        cell = self.column(
            connection, lambda column: column.type == "varchar" and bool(column.length)
        )
        if cell is None:
            return None
        length = (cell[0].length or 0) + self.one([1, 2, 300])
        return self.write(connection, "too_long", cell, self.one(["x", "ß", "𝄞"]) * length)

    def time(self, connection: sqlite3.Connection) -> Fault | None:
        """No time, or one whose form nobody has named."""
        cell = self.column(connection, lambda column: column.type in _TIMES)
        value = self.one(
            [
                "yesterday",
                "",
                "2026-02-30T12:00:00Z",
                "2026-13-01 00:00:00",
                "2026-01-31T25:00:00",
                "31.01.2026",
                "12:00",
                1_767_225_600,
                1_767_225_600_000,
                1_767_225_600_000_000,
                1_767_225_600.5,
                b"2026-01-31",
            ]
        )
        return self.write(connection, "time", cell, value)

    def json(self, connection: sqlite3.Connection) -> Fault | None:
        """Text that is no JSON."""
        cell = self.column(connection, lambda column: column.type in ("json", "jsonb"))
        value = self.one(["{", "", "{'a': 1}", "[1,]", "NaN", "nothing", '{"a": Infinity}', '"\t"'])
        return self.write(connection, "json", cell, value)

    def nul(self, connection: sqlite3.Connection) -> Fault | None:
        """A NUL character, in text as it is, in JSON as its escape."""
        cell = self.column(connection, lambda column: column.type in ("text", "jsonb"))
        in_json = cell is not None and cell[0].type == "jsonb"
        value = '{"a": ["\\u0000"]}' if in_json else self.one(["a\x00b", "\x00", "end\x00"])
        return self.write(connection, "nul", cell, value)

    def utf8(self, connection: sqlite3.Connection) -> Fault | None:
        """Text that is not UTF-8."""
        cell = self.column(connection, lambda column: column.type in _TEXTS)
        value = self.one([b"\xff", b"caf\xe9", b"\xed\xa0\x80", b"\xc0\x80", b"ok \xf5\x80"])
        return self.write(connection, "utf8", cell, value, "cast(? as text)")

    def enum(self, connection: sqlite3.Connection) -> Fault | None:
        """A word that the enumeration does not have."""
        cell = self.column(connection, lambda column: column.is_enum)
        return self.write(connection, "enum", cell, "no such word")

    def check(self, connection: sqlite3.Connection) -> Fault | None:
        """What a CHECK of the target forbids."""
        choices = [each for each in self._rules.columns if each.place in self._rules.checked]
        cell = self.cell(connection, choices)
        value = self._rules.checked[cell[0].place] if cell else None
        return self.write(connection, "check", cell, value)

    def not_null(self, connection: sqlite3.Connection) -> Fault | None:
        """NULL where the target takes none; a file of somebody else's may be less strict."""
        cell = self.column(connection, lambda column: not column.nullable)
        if cell is None:
            return None
        rewrite(connection, cell[0].table, lambda text: text.replace(" NOT NULL", ""))
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as lenient:
            return self.write(lenient, "not_null", cell, None)

    def duplicate(self, connection: sqlite3.Connection) -> Fault | None:
        """One UUID, once in small letters and once in capitals: the target takes them for one."""
        uuids = {column.place for column in self._rules.columns if column.type == "uuid"}
        tables = [
            (table, keys[0][0])
            for table, keys in sorted(self._rules.keys.items())
            if len(keys) == 1 and len(keys[0]) == 1 and (table, keys[0][0]) in uuids
        ]
        tables = [each for each in tables if self._has_rows(connection, each[0])]
        if not tables:
            return None
        table, key = self.one(tables)
        rowid = self.row(connection, table)
        if rowid is None:
            return None
        names = _columns(connection, table)
        values = ", ".join(f'upper("{each}")' if each == key else f'"{each}"' for each in names)
        listed = ", ".join(f'"{each}"' for each in names)
        cursor = connection.execute(
            f'insert into "{table}" ({listed}) select {values} from "{table}" where rowid = ?',
            [rowid],
        )
        assert cursor.lastrowid is not None
        self._used.add((table, cursor.lastrowid))
        return Fault("duplicate", table, key, frozenset([rowid, cursor.lastrowid]))

    def orphan(self, connection: sqlite3.Connection) -> Fault | None:
        """A reference to a row that is not there."""
        cell = self.cell(connection, self._rules.references)
        value: object = str(uuid.UUID(int=self._draw(2**64), version=4))
        if cell and cell[0].type in _NUMBERS:
            value = 2_000_000_000
        return self.write(connection, "orphan", cell, value)

    def other(self, connection: sqlite3.Connection) -> Fault | None:
        """No UUID in a column of UUIDs."""
        cell = self.column(connection, lambda column: column.type == "uuid")
        return self.write(connection, "other", cell, self.one(["none", "", "0" * 31]))

    def unknown_table(self, connection: sqlite3.Connection) -> Fault | None:
        """A table that the target lacks."""
        name = self.one(["old_things", "Backup of 2024", "zürich"])
        if name in self._whole:
            return None
        connection.execute(f'create table "{name}" (id integer primary key)')
        connection.execute(f'insert into "{name}" values (1)')
        self._whole.add(name)
        return Fault("unknown_table", name)

    def unknown_column(self, connection: sqlite3.Connection) -> Fault | None:
        """A column that the target lacks, with a value in it."""
        tables = [each for each in self._tables() if self._has_rows(connection, each)]
        table, name = self.one(tables), self.one(["former", "Some Thing"])
        rowid = self.row(connection, table)
        if rowid is None or name in _columns(connection, table):
            return None
        connection.execute(f'alter table "{table}" add column "{name}"')
        connection.execute(f'update "{table}" set "{name}" = 1 where rowid = ?', [rowid])
        return Fault("unknown_column", table, name)

    def missing_table(self, connection: sqlite3.Connection) -> Fault | None:
        """A table that only the target has."""
        used = {table for table, _ in self._used} | self._whole
        tables = [each for each in self._rules.leaves if each not in used]
        if not tables:
            return None
        table = self.one(tables)
        connection.execute(f'drop table "{table}"')
        self._whole.add(table)
        return Fault("missing_table", table)

    def missing_column(self, connection: sqlite3.Connection) -> Fault | None:
        """A column that only the target has, and for which it has no value."""
        used = {table for table, _ in self._used}
        start = self._draw(len(self._rules.free))
        for column in (*self._rules.free[start:], *self._rules.free[:start]):
            if column.nullable or column.has_default or column.table in self._whole | used:
                continue
            with contextlib.suppress(sqlite3.OperationalError):
                connection.execute(f'alter table "{column.table}" drop column "{column.name}"')
                self._whole.add(column.table)
                return Fault("missing_column", column.table, column.name)
        return None

    def damaged(self, connection: sqlite3.Connection) -> Fault | None:
        """An index that has lost a row of its table."""
        found = connection.execute(
            "select name, tbl_name, rootpage from sqlite_schema where type = 'index' order by 1"
        ).fetchall()
        filled = [each for each in found if self._has_rows(connection, each[1])]
        (size,) = connection.execute("pragma page_size").fetchone()
        _, table, page = self.one(filled)
        connection.execute("pragma wal_checkpoint(truncate)")
        connection.close()
        with self.path.open("r+b") as file:
            # The number of cells in the header of the page of a b-tree.
            file.seek((page - 1) * size + 3)
            file.write(b"\x00\x00")
        return Fault("damaged", table)

    def _tables(self) -> list[str]:
        names = {column.table for column in self._rules.columns}
        return sorted(names - self._whole)


_NUMBERS = ("int2", "int4", "int8", "numeric", "float4", "float8")
_TEXTS = ("text", "varchar")
_TIMES = ("timestamp", "timestamptz")
_PLANTS: Mapping[problems.Class, Callable[[Dirty, sqlite3.Connection], Fault | None]] = {
    kind: getattr(Dirty, kind) for kind in KINDS
}


def rewrite(connection: sqlite3.Connection, table: str, change: Callable[[str], str]) -> None:
    """Change the statement that the file keeps of a table, without touching its rows."""
    query = "select sql from sqlite_schema where type = 'table' and name = ?"
    (text,) = connection.execute(query, [table]).fetchone()
    (version,) = connection.execute("pragma schema_version").fetchone()
    connection.execute("pragma writable_schema = on")
    connection.execute(
        "update sqlite_schema set sql = ? where type = 'table' and name = ?", [change(text), table]
    )
    connection.execute(f"pragma schema_version = {version + 1}")
    connection.execute("pragma writable_schema = off")


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f'pragma table_info("{table}")')]


@contextlib.contextmanager
def _without_triggers(connection: sqlite3.Connection) -> Iterator[None]:
    """Plant behind the back of triggers, which would refuse it or change something else too."""
    triggers = connection.execute(
        "select name, tbl_name, sql from sqlite_schema where type = 'trigger'"
    ).fetchall()
    for name, _, _ in triggers:
        connection.execute(f'drop trigger "{name}"')
    yield
    with contextlib.suppress(sqlite3.ProgrammingError):
        for _, table, text in triggers:
            if _columns(connection, table):
                connection.execute(text)
