"""The SQL that an upgrade would run, and nothing written to the database."""

from __future__ import annotations

import io
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from .transcript import Transcript

if TYPE_CHECKING:
    from .project import Project


def sql(project: Project, current: list[str], revision: str, version_table: bool) -> dict[str, Any]:
    """The SQL from `current` up to `revision`; `version_table` tells whether there is one."""
    if not project.postgres:
        return {"sql": _on_copy(project, revision)}
    buffer = io.StringIO()

    def steps(_: Any, context: Any) -> Any:
        if version_table:
            # Alembic would print its creation for every start from base.
            context._version.create = lambda *_, **__: None
        start: Any = tuple(current)
        return project.script._upgrade_revs(revision, start)

    project.run_env(steps, as_sql=True, starting_rev=tuple(current) or None, output_buffer=buffer)
    return {"sql": buffer.getvalue()}


def _on_copy(project: Project, revision: str) -> str:
    """SQLite revisions look at the live tables: run them on an empty copy of the schema."""
    transcript = Transcript(quoting())

    def steps(rev: Any, _: Any) -> Iterator[Any]:
        for step in project.script._upgrade_revs(revision, rev):
            transcript.remark(f"Running {step.short_log}")
            yield step

    on_copy(project, steps)
    return transcript.text


def on_copy(project: Project, steps: Callable[[Any, Any], Any], *, live: bool = True) -> None:
    """Run these steps on a file of their own, made like the live one unless `live` is false.

    After this the project is of no use: its database has gone.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "plan.db")
        if live:
            _copy_schema(project.request["path"], copy)
        project.move_to(copy)
        project.run_env(steps)


def quoting() -> sqlite3.Connection:
    """A connection that knows how to write values as SQL."""
    return sqlite3.connect(":memory:")


def _copy_schema(source: str, copy: str) -> None:
    made = sqlite3.connect(copy, isolation_level=None)
    if os.path.exists(source):
        live = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
        for name, statement in live.execute(
            "select name, sql from sqlite_schema where sql is not null and name not like 'sqlite_%'"
            " order by type = 'table' desc, rowid"
        ):
            # A virtual table brings the tables that it stands on.
            if not made.execute("select 1 from sqlite_schema where name = ?", (name,)).fetchone():
                made.execute(statement)
        # The version table is the one thing whose rows matter for what comes next.
        for (table,) in live.execute(
            "select m.name from sqlite_schema m join pragma_table_info(m.name) c"
            " where m.type = 'table' and c.name = 'version_num'"
        ).fetchall():
            for row in live.execute(f'select version_num from "{table}"'):
                made.execute(f'insert into "{table}" (version_num) values (?)', row)
        live.close()
    made.close()
