"""The shipped apps' databases: brought up by plain Alembic, and what is in them as plain rows."""

import importlib
import re
import sqlite3
from contextlib import closing
from typing import Any

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from bootstrap import app, target
from bootstrap.client import Client

_CATALOG = """
select table_name, 'column', column_name,
    concat_ws(' ', row_number() over (partition by table_name order by ordinal_position),
        data_type, character_maximum_length, is_nullable, column_default, is_identity)
from information_schema.columns where table_schema = 'public'
union all
select tablename, 'index', indexname, indexdef from pg_indexes where schemaname = 'public'
union all
select conrelid::regclass::text, 'constraint', conname, pg_get_constraintdef(oid)
from pg_constraint where connamespace = 'public'::regnamespace
union all
select viewname, 'view', viewname, definition from pg_views where schemaname = 'public'
union all
select tgrelid::regclass::text, 'trigger', tgname, pg_get_triggerdef(oid)
from pg_trigger where not tgisinternal
union all
select proname, 'function', proname, pg_get_functiondef(oid)
from pg_proc where pronamespace = 'public'::regnamespace
union all
select polrelid::regclass::text, 'policy', polname,
    concat_ws(' ', polcmd, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
from pg_policy
union all
select oid::regclass::text, 'secured', relname, ''
from pg_class where relrowsecurity and relnamespace = 'public'::regnamespace
order by 1, 2, 3
"""
Catalog = list[tuple[Any, ...]]


def config(name: str, url: str) -> Config:
    """Alembic's configuration of an app's project for this database."""
    made = Config(app.shipped_migrations(name))
    made.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return made


def upgrade(name: str, url: str, revision: str = "head") -> None:
    """Apply an app's revisions up to this one."""
    command.upgrade(config(name, url), revision)


def downgrade(name: str, url: str, revision: str) -> None:
    """Take an app's revisions back down to this one."""
    command.downgrade(config(name, url), revision)


def catalog(url: str) -> Catalog:
    """All that is there but Alembic's own table: (table, kind, name, definition), sorted.

    SQLite's definitions are those of its catalog without quotes and line breaks, a table's
    constraints in the order of their names: a table that was made anew has others than one that was
    altered.
    """
    where = target.parse(url)
    if where.path is None:
        with psycopg.connect(url) as connection:
            rows = connection.execute(_CATALOG).fetchall()
    else:
        with closing(sqlite3.connect(where.path)) as file:
            rows = file.execute(
                "SELECT tbl_name, type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
                " AND name NOT LIKE 'sqlite_%' ORDER BY 1, 2, 3"
            ).fetchall()
    return [(*row[:3], _plain(row[3])) for row in rows if row[0] != "alembic_version"]


def differences(url: str, metadata: sa.MetaData) -> list[Any]:
    """Between the models and the database, by Alembic's own comparison."""
    options = {"compare_type": True, "compare_server_default": True}
    with Client(target.parse(url)) as client, client.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        found: list[Any] = compare_metadata(context, metadata)
        return found


def _plain(definition: str) -> str:
    plain = re.sub(r"\s+", " ", definition.replace('"', "")).replace("( ", "(").strip()
    if not plain.startswith("CREATE TABLE"):
        return plain
    columns, *constraints = plain.removesuffix(")").rstrip().split(", CONSTRAINT ")
    return ", CONSTRAINT ".join([columns, *sorted(constraints)]) + ")"


def create(metadata: sa.MetaData, url: str) -> None:
    """Make the models' schema without revisions, which is faster and held to be the same."""
    where = target.parse(url)
    if where.path is not None:
        with closing(sqlite3.connect(where.path)) as file:
            file.execute("vacuum")
    with Client(where) as client:
        metadata.create_all(client.engine)


def metadata(name: str) -> sa.MetaData:
    """The models of a shipped app."""
    module, _, attribute = str(app.shipped(name).metadata).partition(":")
    found: object = importlib.import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    assert isinstance(found, sa.MetaData)
    return found
