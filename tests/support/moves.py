"""SQLite files to be moved, and what is on both sides afterwards, read by the apps' models."""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bootstrap import demo, engine, target
from tests.support import apps

# All rows are read, however long that takes.
_PATIENT = engine.Options(query_timeout_s=86_400)


def filled(name: str, path: Path, rows: int, seed: int = 1) -> str:
    """The URL of a new SQLite file with an app's schema by its revisions, and demo rows in it."""
    url = f"sqlite:///{path}"
    apps.upgrade(name, url)
    made = engine.make(target.parse(url), _PATIENT)
    request = demo.Request(rows=rows, seed=seed, more=False, reference={}, exact={})
    with made.begin() as connection:
        demo.fill(connection, apps.metadata(name), request, lambda *_: None)
    made.dispose()
    return url


def equal(name: str, url: str, other: str) -> dict[str, int]:
    """How many rows each table has, which are to be the same in both, however many they are."""
    counts = {}
    for (table, rows), (same, others) in zip(_tables(name, url), _tables(name, other), strict=True):
        assert table == same
        counts[table] = 0
        for row, their in zip_longest(rows, others):
            assert row == their, table
            counts[table] += 1
    return counts


def _tables(name: str, url: str) -> Iterator[tuple[str, Iterator[tuple[Any, ...]]]]:
    """Every row of every table, as the app's own models give it, by the primary key."""
    made = engine.make(target.parse(url), _PATIENT)
    with made.connect().execution_options(yield_per=1000) as connection:
        for table in apps.metadata(name).tables.values():
            if not table.info.get("bookkeeping"):
                rows = connection.execute(sa.select(table).order_by(*table.primary_key.columns))
                yield table.name, map(tuple, rows)
    made.dispose()
