"""The flaws of a SQLite file, as far as they can be found in a limited time."""

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from os import PathLike
from urllib.parse import quote

from bootstrap.catalog import sqlite_words, words
from bootstrap.catalog.model import Finding

_SHOWN = 5
_PROBLEMS = 20
_STEPS = 10_000
# What SQLite says of an index that does not fit its table; it is made anew from the table.
_INDEX = re.compile(
    r"(?:row \d+ missing from|wrong # of entries in|non-unique entry in) index (.+)"
)


def find(
    place: sqlite3.Connection | str | PathLike[str], version_table: str, limit_s: float
) -> Iterator[Finding]:
    """Damage to the file, rows that refer to nothing, and counters that are behind."""
    if not isinstance(place, sqlite3.Connection):
        uri = f"file:{quote(str(place))}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            yield from find(connection, version_table, limit_s)
        return
    for what, check in (("its integrity", _damage), ("foreign keys", _orphans)):
        with _limited(place, limit_s):
            try:
                yield from list(check(place))
            except sqlite3.OperationalError as error:
                if "interrupted" not in str(error):
                    raise
                yield Finding(
                    "not-checked", "file", f"{what} checked", f"no end within {limit_s:g} s"
                )
    yield from _counters(place)


@contextmanager
def _limited(connection: sqlite3.Connection, limit_s: float) -> Iterator[None]:
    end_s = time.monotonic() + limit_s
    connection.set_progress_handler(lambda: int(time.monotonic() > end_s), _STEPS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)


def _damage(connection: sqlite3.Connection) -> Iterator[Finding]:
    try:
        rows = connection.execute(f"pragma integrity_check({_PROBLEMS})").fetchall()
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        rows = [(str(error),)]
    seen: set[str] = set()
    for (text,) in rows:
        if text == "ok":
            continue
        index = _INDEX.search(text)
        subject = f"index {index[1]}" if index else "file"
        if index and subject in seen:
            continue
        seen.add(subject)
        yield Finding(
            "damaged-file",
            subject,
            "integrity",
            text,
            fix=(f"REINDEX {sqlite_words.name(index[1])}",) if index else (),
            note=""
            if index
            else "restore a backup, or save what can be read: sqlite3 FILE .recover",
        )


def _orphans(connection: sqlite3.Connection) -> Iterator[Finding]:
    found: dict[tuple[str, int], list[int | None]] = {}
    for table, row, _, key in connection.execute("pragma foreign_key_check"):
        found.setdefault((table, key), []).append(row)
    for (table, key), rows in found.items():
        links = [
            row
            for row in connection.execute(
                'select id, "table", "from", "to" from pragma_foreign_key_list(?) order by seq',
                (table,),
            )
            if row[0] == key
        ]
        columns = [name for _, _, name, _ in links]
        nullable = {
            name: not notnull and not primary
            for name, notnull, primary in connection.execute(
                'select name, "notnull", pk from pragma_table_info(?)', (table,)
            )
        }
        parent = links[0][1]
        shown = ", ".join(str(row) for row in rows[:_SHOWN]) + ", ..." * (len(rows) > _SHOWN)
        keys = _primary(connection, parent)
        targets = [to or keys[place] for place, (_, _, _, to) in enumerate(links)]
        yield Finding(
            "broken-row",
            f"foreign key ({', '.join(columns)}) on {sqlite_words.name(table)}",
            f"a row of {sqlite_words.name(parent)} for each",
            f"{len(rows)} {'row' if len(rows) == 1 else 'rows'} without (rowid {shown})",
            fix=(_unlink(table, parent, columns, targets, nullable),),
            destructive=True,
        )


def _primary(connection: sqlite3.Connection, table: str) -> list[str]:
    rows = connection.execute(
        "select name from pragma_table_info(?) where pk > 0 order by pk", (table,)
    )
    return [name for (name,) in rows]


def _unlink(
    table: str, parent: str, columns: list[str], targets: list[str], nullable: dict[str, bool]
) -> str:
    """Forget a reference that may be null; else the row has to go."""
    child, other = sqlite_words.name(table), sqlite_words.name(parent)
    names = [sqlite_words.name(column) for column in columns]
    pairs = zip(names, targets, strict=True)
    same = " AND ".join(f"p.{sqlite_words.name(to)} = {child}.{name}" for name, to in pairs)
    there = " AND ".join(f"{name} IS NOT NULL" for name in names)
    where = f"WHERE {there} AND NOT EXISTS (SELECT 1 FROM {other} p WHERE {same})"
    free = next((column for column in columns if nullable.get(column)), None)
    if free is not None:
        return f"UPDATE {child} SET {sqlite_words.name(free)} = NULL {where}"
    return f"DELETE FROM {child} {where}"


def _counters(connection: sqlite3.Connection) -> Iterator[Finding]:
    counting = connection.execute(
        "select name from sqlite_schema where type = 'table'"
        " and sql like '%autoincrement%' and name not like 'sqlite!_%' escape '!'"
    ).fetchall()
    known = "select 1 from sqlite_schema where name = 'sqlite_sequence'"
    if not connection.execute(known).fetchone():
        return
    for (name,) in counting:
        table = sqlite_words.name(name)
        (largest,) = connection.execute(f"select max(rowid) from {table}").fetchone()
        row = connection.execute("select max(seq) from sqlite_sequence where name = ?", (name,))
        (counted,) = row.fetchone()
        if largest is None or (counted is not None and counted >= largest):
            continue
        text = words.literal(name)
        yield Finding(
            "sequence-behind",
            f"counter of table {table}",
            f"at least {largest}, its largest rowid",
            "nothing" if counted is None else str(counted),
            fix=(
                f"DELETE FROM sqlite_sequence WHERE name = {text}",
                f"INSERT INTO sqlite_sequence (name, seq) SELECT {text}, max(rowid) FROM {table}",
            ),
        )
