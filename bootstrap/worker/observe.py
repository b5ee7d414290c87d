"""What a revision holds and has changed, told to the parent before each of its commits.

Only a rehearsal asks for this. A transaction keeps its locks to its end: looking right before the
commit misses none, however short they are held. Outside of one, a statement that may is given a
transaction of its own; what must run without, the parent can only sample.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from .project import Project

_POSTGRES = """
select json_build_object(
  'locks', (
    select json_agg(json_build_array(l.relation::int8, l.mode)) from pg_catalog.pg_locks l
     where l.locktype = 'relation' and l.granted and l.pid = pg_catalog.pg_backend_pid()
       and l.database = (
         select d.oid from pg_catalog.pg_database d where d.datname = current_database())),
  'rows', (
    select json_agg(json_build_array(s.relid::int8, s.n_tup_ins + s.n_tup_upd + s.n_tup_del))
      from pg_catalog.pg_stat_xact_all_tables s
     where s.n_tup_ins + s.n_tup_upd + s.n_tup_del > 0),
  'relations', (
    select json_agg(json_build_array(c.oid::int8, c.oid::regclass::text, c.relfilenode::int8))
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'm', 'v', 'f') and n.nspname !~ '^pg_'
       and n.nspname not in ('information_schema', 'bootstrapd')))::text
"""
# A table that is made anew gets another first page.
_SQLITE = """
select name, name, rootpage from sqlite_schema where type = 'table' and name not like 'sqlite~_%'
escape '~'
"""
_MAY_BE_WRAPPED = re.compile(
    r"\s*(alter\s+(table|index|view|materialized|sequence)|(create|drop)\s+(unique\s+)?"
    r"(index|table|view|trigger)|truncate|insert|update|delete|comment)\b",
    re.IGNORECASE,
)
_MUST_NOT = re.compile(r"\bconcurrently\b|;\s*\S", re.IGNORECASE)
_WRAPPED = "bootstrapd wrapped"


def prepare(project: Project) -> None:
    """Wrap what is run outside of transactions, where that can be."""
    if not project.postgres:
        return

    @sa.event.listens_for(sa.engine.Engine, "before_cursor_execute")
    def begun(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        outside = connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"
        if not outside or not project.step.revision or not _MAY_BE_WRAPPED.match(statement):
            return
        if not _MUST_NOT.search(statement):
            cursor.execute("begin")
            connection.info[_WRAPPED] = True

    @sa.event.listens_for(sa.engine.Engine, "after_cursor_execute")
    def ended(connection: Any, *_: Any) -> None:
        if connection.info.pop(_WRAPPED, False):
            tell(project, connection, outside=True)
            cursor = connection.connection.cursor()
            cursor.execute("commit")
            cursor.close()


def tell(project: Project, connection: Any, *, outside: bool) -> None:
    """Tell the parent and wait for its answer; `outside` says what comes is in no transaction."""
    # By the driver: SQLAlchemy would begin a transaction of its own.
    cursor = connection.connection.cursor()
    if project.postgres:
        cursor.execute(_POSTGRES)
        seen = json.loads(cursor.fetchone()[0])
        if connection.dialect.server_version_info >= (15,):
            # Else the server may keep the counts of rows to itself for a while, and we would meet
            # those of this transaction in the next one again.
            cursor.execute("select pg_catalog.pg_stat_force_next_flush()")
    else:
        cursor.execute(_SQLITE)
        seen = {"relations": [list(row) for row in cursor.fetchall()]}
    cursor.close()
    found = {name: seen.get(name) or [] for name in ("locks", "rows", "relations")}
    project.channel.send(event="observed", revision=project.step.revision, outside=outside, **found)
    project.channel.receive()


def callbacks(project: Project, given: Any) -> list[Any]:
    """The callbacks that Alembic calls at the end of each revision's transaction, ours the last."""
    before = list(given) if isinstance(given, (list, tuple, set)) else [given] if given else []

    def applied(ctx: Any, **_: Any) -> None:
        tell(project, ctx.connection, outside=False)

    return [*before, applied]
