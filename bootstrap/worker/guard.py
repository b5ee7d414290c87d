"""The guard at the door: env.py works on the database and the version table of the parent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .project import Project


class OtherDatabaseError(Exception):
    """env.py connects to another database than the one it was given."""


class OtherVersionTableError(Exception):
    """env.py keeps its version in another table than the one declared; the message is its name."""


def check_version_table(project: Project, connection: Any, options: Mapping[str, Any]) -> None:
    """Refuse a version table that the parent does not look at."""
    schema = options.get("version_table_schema")
    name = options.get("version_table") or "alembic_version"
    wanted_schema, wanted = project.request["version_table"]
    same = name == wanted
    if connection is not None:
        default = connection.dialect.default_schema_name
        same &= (schema or default) == (wanted_schema or default)
    if not same:
        raise OtherVersionTableError(f"{schema}.{name}" if schema else name)


def check_database(project: Project, connection: Any) -> None:
    """Refuse to touch any database but the one that the parent has locked."""
    began_here = not connection.in_transaction()
    if _is_ours(project, connection):
        # Left open, this look would pass for a transaction of env.py's own, and Alembic would
        # leave the commit to it.
        if began_here and connection.in_transaction():
            connection.rollback()
        return
    other = connection.engine.url.render_as_string(hide_password=True).partition("?")[0]
    raise OtherDatabaseError(f"env.py connects to {other}")


def _is_ours(project: Project, connection: Any) -> bool:
    request = project.request
    if connection.dialect.name != request["dialect"]:
        return False
    if not project.postgres:
        rows = connection.exec_driver_sql("pragma database_list").fetchall()
        path = next((row[2] for row in rows if row[1] == "main"), "")
        return bool(path) and os.path.realpath(path) == os.path.realpath(request["path"])
    name = connection.exec_driver_sql("select current_database()").scalar()
    witness = request["witness"]
    if witness is None or name != request["params"]["dbname"]:
        return bool(name == request["params"]["dbname"])
    # The parent's advisory lock is seen only on the same server and in the same database.
    held = connection.exec_driver_sql(
        "select count(*) from pg_catalog.pg_locks where locktype = 'advisory' and granted"
        f" and pid = {int(witness['pid'])} and classid = {int(witness['classid'])}"
        f" and objid = {int(witness['objid'])} and database ="
        " (select oid from pg_catalog.pg_database where datname = current_database())"
    ).scalar()
    return bool(held)
