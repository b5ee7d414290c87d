"""A look into a database of either kind, past all that is under test."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg
from psycopg import conninfo

from bootstrap import target
from tests.support.cli import Running

_MINUTE = 'YYYY-MM-DD HH24:MI "UTC"'
_TABLES = {
    "postgresql": "select tablename from pg_tables where schemaname = 'public'",
    "sqlite": "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'",
}


def query(url: str, sql: str) -> list[tuple[Any, ...]]:
    """Run one statement, commit, and return its rows if it has any."""
    where = target.parse(url)
    if where.path is not None:
        with closing(sqlite3.connect(where.path)) as file, file:
            return file.execute(sql).fetchall()
    # The URL may name a driver, which libpq does not know.
    with psycopg.connect(conninfo.make_conninfo(**where.conninfo())) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


def tables(url: str) -> set[str]:
    """The tables of the app and the version table."""
    return {name for (name,) in query(url, _TABLES[target.parse(url).dialect])}


def revisions(url: str) -> list[str]:
    """The rows of the version table."""
    return [row for (row,) in query(url, "select version_num from alembic_version order by 1")]


def applied(url: str, revision: str) -> str:
    """The minute at which the ledger says that a revision was applied, as messages print it."""
    where = target.parse(url)
    if where.path is None:
        at = f"to_char(at at time zone 'utc', '{_MINUTE}') from bootstrapd.revision"
        return str(query(url, f"select {at} where revision = '{revision}'")[0][0])
    with closing(sqlite3.connect(f"{where.path}-bootstrapd")) as ledger:
        (at,) = ledger.execute("select at from revision where revision = ?", (revision,)).fetchone()
    return f"{at[:10]} {at[11:16]} UTC"


def forget(url: str) -> None:
    """Take away what bootstrapd remembers of revisions, as if others had applied them."""
    where = target.parse(url)
    if where.path is None:
        query(url, "delete from bootstrapd.revision")
        return
    with closing(sqlite3.connect(f"{where.path}-bootstrapd")) as ledger, ledger:
        ledger.execute("delete from revision")


def identity(url: str) -> str:
    """The database as messages name it."""
    return target.parse(url).identity


def until(happened: Callable[[], object], running: Running | None = None) -> None:
    """Return when it has happened; fail when it has not in 30 s, or `running` ends before."""
    deadline_s = time.monotonic() + 30
    while not happened():
        assert running is None or running.poll() is None, running.wait()
        assert time.monotonic() < deadline_s, "it did not happen in time"
        time.sleep(0.01)
