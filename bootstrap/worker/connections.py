"""Every connection made in this process gets the timeouts, whoever makes it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from . import sqlite, step

if TYPE_CHECKING:
    from .project import Project

_SHOWN = 120
_POSTGRES_DRIVER = re.compile(r"psycopg|asyncpg|pg8000|postgresql")


def prepare(project: Project) -> None:
    """Listen to all engines, those that an env.py builds itself too."""

    @sa.event.listens_for(sa.engine.Engine, "before_cursor_execute")
    def executing(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        project.step.statement(statement)
        if project.early is None and not project.began and step.defines(statement):
            project.early = " ".join(statement.split())[:_SHOWN]

    if not project.postgres:
        sqlite.prepare(project, speaks_postgres)
        return
    session = dict(project.request["session"])
    if project.request["reads"]:
        session["default_transaction_read_only"] = "on"
        # For what connects without SQLAlchemy.
        given = os.environ.get("PGOPTIONS", "")
        os.environ["PGOPTIONS"] = f"{given} -c default_transaction_read_only=on".strip()
    values = ", ".join(f"('{name}', '{value}')" for name, value in sorted(session.items()))
    # The join leaves out what this server's version does not have.
    statement = (
        "select pg_catalog.set_config(name, value, false) from (values "
        f"{values}) as wanted (name, value) join pg_catalog.pg_settings using (name)"
    )

    @sa.event.listens_for(sa.engine.Engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        if not speaks_postgres(connection):
            return
        cursor = connection.cursor()
        cursor.execute(statement)
        cursor.close()
        # Without a commit the settings would go with the first rollback.
        connection.commit()


def speaks_postgres(connection: Any) -> bool:
    """Whether this is a PostgreSQL driver's connection."""
    return bool(_POSTGRES_DRIVER.search(type(connection).__module__))
