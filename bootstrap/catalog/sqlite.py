"""The catalog of a SQLite database, from the statements that it keeps."""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from os import PathLike
from urllib.parse import quote

from bootstrap.catalog import sqlite_table, sqlite_words, words
from bootstrap.catalog.model import Catalog, Object, catalog
from bootstrap.catalog.words import Word

# bootstrapd's own: by which it knows the database again, and where the rows have moved.
_OWN = ("bootstrapd_pin", "bootstrapd_moved")

_KINDS = frozenset(("TABLE", "INDEX", "VIEW", "TRIGGER"))
_STATEMENTS = (
    "select type, name, tbl_name, sql from sqlite_schema where sql is not null"
    " and name not like 'sqlite!_%' escape '!'"
)
_NAMES = (
    "select lower(p.name) from sqlite_schema m, pragma_table_xinfo(m.name) p"
    " where m.type = 'table' and m.sql not like 'create virtual%'"
)


def read(
    place: sqlite3.Connection | str | PathLike[str], *, version_table: tuple[str | None, str]
) -> Catalog:
    """What the database consists of; `place` is a connection or a file, which is only read.

    Left out are SQLite's own tables, those that belong to a virtual table, bootstrapd's own
    views, and the version table, whose schema does not count. Raises
    sqlite3.Error.
    """
    if isinstance(place, sqlite3.Connection):
        return _read(place, version_table[1])
    uri = f"file:{quote(str(place))}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        return _read(connection, version_table[1])


def _read(connection: sqlite3.Connection, version_table: str) -> Catalog:
    rows = connection.execute(_STATEMENTS).fetchall()
    known = {name for (name,) in connection.execute(_NAMES)}
    known |= {name.lower() for _, name, _, _ in rows}
    virtual = [name for _, name, _, sql in rows if _is_virtual(sql)]
    objects: list[Object] = []
    for kind, name, table, sql in rows:
        if _is_own(name, table, version_table, virtual):
            continue
        objects += _objects(kind, name, table, sql, known)
    return catalog("sqlite", objects, server=sqlite3.sqlite_version)


def _is_own(name: str, table: str, version_table: str, virtual: Sequence[str]) -> bool:
    return (
        version_table.lower() in (name.lower(), table.lower())
        or name in _OWN
        or any(name.startswith(f"{each}_") for each in virtual)
    )


def _is_virtual(sql: str) -> bool:
    return sql[:14].upper() == "CREATE VIRTUAL"


def _objects(
    kind: str, name: str, table: str, sql: str, known: Collection[str]
) -> Iterator[Object]:
    shown, on = sqlite_words.name(name), sqlite_words.name(table)
    if kind == "table" and not _is_virtual(sql):
        yield from sqlite_table.objects(shown, sql, known)
    elif kind == "table":
        properties = {"kind": "virtual", "definition": sqlite_words.tidy(_named(sql, shown), known)}
        yield Object("table", "", shown, properties)
    elif kind == "index":
        text = sqlite_words.tidy(_named(sql, shown), known)
        yield Object("index", on, shown, {"definition": text})
    else:
        text = sqlite_words.laid_out(_named(sql, shown), known)
        yield Object(
            "view" if kind == "view" else "trigger",
            "" if kind == "view" else on,
            shown,
            {"definition": text},
        )


def _named(sql: str, shown: str) -> list[Word]:
    """The words of a statement, in which the object bears its name as SQL wants it."""
    found = words.split(sql)
    place = next(
        (place for place, word in enumerate(found[:4]) if word.upper in _KINDS), len(found)
    )
    if place + 1 < len(found):
        found[place : place + 2] = [
            found[place]._replace(text=found[place].upper),
            Word("string", shown, " "),
        ]
    return found
