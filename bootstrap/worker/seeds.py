"""Rows: the app's reference rows, and demo rows."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .project import attribute, metadata_sets
from .step import StoppedError

if TYPE_CHECKING:
    from .project import Project


# All else works from Python 3.8 on; to make many rows fast takes what came later.
DEMO_PYTHON = (3, 10)


class TooOldError(Exception):
    """The app's interpreter is older than what was asked for needs."""


class WrongRowError(Exception):
    """A seed row does not fit its table; the message says which and why."""


class UnknownTableError(Exception):
    """Demo rows are asked for in a table that the models do not have."""


def seed(project: Project, seeds: str, metadata: str | None, folder: str) -> dict[str, Any]:
    """Insert the app's reference rows that are not there; counts a table.

    Seeds that are a function are called in `folder`.
    """
    declared = attribute(seeds)
    with project.engine().begin() as connection:
        if callable(declared):
            os.chdir(folder)
            try:
                return {"seeded": declared(connection) or {}}
            finally:
                os.chdir(project.request["project"])
        known = attribute(metadata) if metadata else None
        return {
            "seeded": {
                name: _insert_missing(connection, _table(name, known, connection), entry)
                for name, entry in declared.items()
            }
        }


def demo(
    project: Project,
    metadata: str,
    rows: int,
    exact: dict[str, int],
    seed: int,
    more: bool,
    reference: dict[str, int],
) -> dict[str, Any]:
    """Fill every table with demo rows in one transaction; counts a table."""
    if sys.version_info < DEMO_PYTHON:
        wanted = ".".join(map(str, DEMO_PYTHON))
        raise TooOldError(
            f"demo rows need Python {wanted} or newer, and {sys.executable} is "
            f"{sys.version.partition(' ')[0]}"
        )
    from .. import demo as filling

    def report(done: int, total: int, table: str) -> None:
        if project.stopping.is_set():
            raise StoppedError
        project.channel.send(event="demo_progress", done=done, total=total, table=table)

    made: dict[str, int] = {}
    sets = metadata_sets(attribute(metadata))
    known = sorted(name for each in sets for name in each.tables)
    for name in exact:
        if name not in known:
            raise UnknownTableError(
                f"there is no table {name!r} to fill; there are {', '.join(known)}"
            )
    with project.engine().begin() as connection:
        for each in sets:
            request = filling.Request(rows, seed, more, reference, exact)
            made.update(filling.fill(connection, each, request, report))
    return {"demo": made}


def _table(name: str, metadata: Any, connection: Any) -> Any:
    if metadata is not None and name in metadata.tables:
        return metadata.tables[name]
    schema, _, plain = name.rpartition(".")
    return sa.Table(plain, sa.MetaData(), schema=schema or None, autoload_with=connection)


def _insert_missing(connection: Any, table: Any, entry: Mapping[str, Any]) -> dict[str, int]:
    """Insert the rows whose key is not there; what is there stays as it is."""
    for number, row in enumerate(entry["rows"], start=1):
        _check_columns(table, number, row, entry["key"])
    key = [table.c[name] for name in entry["key"]]
    present = {tuple(row) for row in connection.execute(sa.select(*key))}
    missing = [
        row for row in entry["rows"] if tuple(row[name] for name in entry["key"]) not in present
    ]
    if missing:
        connection.execute(table.insert(), missing)
        _advance_sequence(connection, table, missing)
    return {"inserted": len(missing), "present": len(entry["rows"]) - len(missing)}


def _advance_sequence(connection: Any, table: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Numbers that were given by hand are behind the next one that PostgreSQL gives by itself."""
    column = table._autoincrement_column
    if connection.dialect.name != "postgresql" or column is None:
        return
    if not any(column.key in row for row in rows):
        return
    quoting = connection.dialect.identifier_preparer
    name, last = quoting.format_table(table), quoting.quote(column.name)
    connection.execute(
        sa.text(
            "select pg_catalog.setval(sequence, highest) from (select"
            " pg_catalog.pg_get_serial_sequence(:name, :column)::regclass as sequence,"
            f" (select pg_catalog.max({last}) from {name}) as highest) as found where sequence"
            " is not null and highest > coalesce(pg_catalog.pg_sequence_last_value(sequence), 0)"
        ),
        {"name": name, "column": column.name},
    )


def _check_columns(table: Any, number: int, row: Mapping[str, Any], key: Sequence[str]) -> None:
    """SQLAlchemy would leave out, without a word, what is no column."""
    for name in (*row, *key):
        if name not in table.c:
            known = ", ".join(table.c.keys())
            raise WrongRowError(
                f"row {number} of {table.fullname} ({_shown(row)}) names the column {name!r}, "
                f"which is not there; there are {known}"
            )
    for name in key:
        if name not in row:
            raise WrongRowError(
                f"row {number} of {table.fullname} ({_shown(row)}) has no {name!r}, which is in "
                "its key"
            )


def _shown(row: Mapping[str, Any]) -> str:
    """As much of a row as it takes to find it."""
    return ", ".join(f"{name}={value!r}" for name, value in list(row.items())[:3])
