"""SQLite files to be moved, and what is on both sides afterwards, read by the apps' models."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bootstrap import demo, engine, target
from tests.support import apps

Rows = dict[str, list[tuple[Any, ...]]]


def filled(name: str, path: Path, rows: int, seed: int = 1) -> str:
    """The URL of a new SQLite file with an app's schema by its revisions, and demo rows in it."""
    url = f"sqlite:///{path}"
    apps.upgrade(name, url)
    made = engine.make(target.parse(url), engine.Options())
    request = demo.Request(rows=rows, seed=seed, more=False, reference={}, exact={})
    with made.begin() as connection:
        demo.fill(connection, apps.metadata(name), request, lambda *_: None)
    made.dispose()
    return url


def read(name: str, url: str) -> Rows:
    """Every row of every table, as the app's own models give it, by the primary key."""
    made = engine.make(target.parse(url), engine.Options())
    found: Rows = {}
    with made.connect() as connection:
        for table in apps.metadata(name).tables.values():
            if not table.info.get("bookkeeping"):
                rows = connection.execute(sa.select(table).order_by(*table.primary_key.columns))
                found[table.name] = [tuple(row) for row in rows]
    made.dispose()
    return found
