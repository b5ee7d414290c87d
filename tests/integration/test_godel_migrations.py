"""godel's revisions: up, down, up again, equal to the models, by Alembic itself."""

import itertools
import logging
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from bootstrap import app, revisions, target
from bootstrap.apps.godel.models import Base
from bootstrap.client import Client
from tests.support import godel
from tests.support.cli import ROOT, Command

ALEMBIC = (sys.executable, "-m", "alembic")
INI = app.shipped_migrations("godel")
STEPS = ("base", "0001", "0002", "0003")

_CATALOG = """
select table_name, ordinal_position, column_name, data_type, is_nullable, column_default
from information_schema.columns where table_schema = 'public'
union all
select tablename, 0, indexname, indexdef, '', '' from pg_indexes where schemaname = 'public'
union all
select conrelid::regclass::text, 0, conname, pg_get_constraintdef(oid), '', ''
from pg_constraint where connamespace = 'public'::regnamespace
order by 1, 2, 3
"""


def catalog(url: str) -> list[tuple[Any, ...]]:
    """Everything that is there, the version table's content left out."""
    where = target.parse(url)
    if where.path is not None:
        with closing(sqlite3.connect(where.path)) as file:
            return file.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY 2").fetchall()
    with psycopg.connect(url) as connection:
        return connection.execute(_CATALOG).fetchall()


def differences(url: str) -> list[Any]:
    """Between the models and the database, by Alembic's own comparison."""
    options = {"compare_type": True, "compare_server_default": True}
    with Client(target.parse(url)) as client, client.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        found: list[Any] = compare_metadata(context, Base.metadata)
        return found


def test_each_step_can_be_taken_back_and_made_again(database_url: str) -> None:
    for below, step in itertools.pairwise(STEPS):
        before = catalog(database_url)
        godel.upgrade(database_url, step)
        after = catalog(database_url)
        assert after != before
        godel.downgrade(database_url, below)
        if below != "base":
            assert catalog(database_url) == before
        godel.upgrade(database_url, step)
        assert catalog(database_url) == after
    godel.downgrade(database_url, "base")
    assert {row[0] if "postgres" in database_url else row[1] for row in catalog(database_url)} <= {
        "alembic_version",
        "sqlite_autoindex_alembic_version_1",
    }
    godel.upgrade(database_url)
    assert catalog(database_url) == after


def test_the_models_are_what_the_revisions_make(database_url: str) -> None:
    godel.upgrade(database_url)
    assert differences(database_url) == []


def test_the_comparison_would_see_a_difference(database_url: str) -> None:
    godel.upgrade(database_url, "0002")
    assert [difference[0] for difference in differences(database_url)] == ["add_table", "add_index"]


def test_the_tables_are_those_of_the_document(database_url: str) -> None:
    godel.upgrade(database_url)
    with Client(target.parse(database_url)) as client:
        inspector = sa.inspect(client.engine)
        tables = {
            name: {column["name"]: str(column["type"]) for column in inspector.get_columns(name)}
            for name in inspector.get_table_names()
            if name != "alembic_version"
        }
        keys = [inspector.get_pk_constraint(name)["constrained_columns"] for name in tables]
    times = {"created_at": "BIGINT", "updated_at": "BIGINT"}
    assert tables == {
        "agents": {"id": "TEXT", "task": "TEXT", "model": "TEXT", "state": "TEXT"}
        | times
        | {"metadata": "TEXT"},
        "teams": {"id": "TEXT", "name": "TEXT", "status": "TEXT", "config": "TEXT"} | times,
        "workflows": {"id": "TEXT", "name": "TEXT", "status": "TEXT", "steps": "TEXT"} | times,
        "events": {"id": "TEXT", "type": "TEXT", "data": "TEXT", "created_at": "BIGINT"},
    }
    assert keys == [["id"]] * 4


def test_the_history_is_read_without_alembic() -> None:
    graph = revisions.read(INI)
    assert graph.heads == ("0003",)
    assert [revision.id for revision in graph.pending([])] == list(STEPS[1:])


def test_plain_alembic_migrates_the_database_of_the_settings(
    command: Command, database18: str
) -> None:
    result = command.run(["-c", str(INI), "upgrade", "head"], python=ALEMBIC)
    assert result.exit_code == 0, result
    made = f"sqlite:///{command.cwd / 'godel.db'}"
    godel.upgrade(database18)
    env = {"POSTGRES_URL": database18}
    result = command.run(["-c", str(INI), "current"], python=ALEMBIC, env=env)
    assert result.stdout == "0003 (head)\n", result
    result = command.run(["-c", str(INI), "check"], python=ALEMBIC)
    assert result.stdout == "No new upgrade operations detected.\n", result
    assert [row[1] for row in catalog(made) if row[0] == "table"] == [
        "agents",
        "alembic_version",
        "events",
        "teams",
        "workflows",
    ]


def test_a_checkout_needs_no_installation(command: Command) -> None:
    env = {"PYTHONPATH": "", "DATABASE_URL": f"sqlite:///{command.cwd}/here.db"}
    program = str(Path(sys.executable).with_name("alembic"))
    result = command.run(["-c", str(INI), "upgrade", "head"], python=(program,), env=env, cwd=ROOT)
    assert result.exit_code == 0, result
    assert len(catalog(env["DATABASE_URL"])) == 14


def test_the_sql_of_offline_mode_makes_the_same_schema(database: str, command: Command) -> None:
    env = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere"}
    result = command.run(["-c", str(INI), "upgrade", "head", "--sql"], python=ALEMBIC, env=env)
    assert result.exit_code == 0, result
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(result.stdout.encode())
    by_hand = catalog(database)
    godel.downgrade(database, "base")
    godel.upgrade(database)
    assert catalog(database) == by_hand


@pytest.mark.parametrize(
    ("driver", "query"), [("asyncpg", "?ssl=disable"), ("psycopg2", "?sslmode=disable")]
)
def test_the_url_of_an_app_with_another_driver_works_too(
    database18: str, driver: str, query: str
) -> None:
    godel.upgrade(database18.replace("postgresql://", f"postgresql+{driver}://") + query)
    assert len(catalog(database18)) > 1


def test_loggers_are_left_alone(tmp_path: Path) -> None:
    logger = logging.getLogger("somebody's")
    handlers = list(logging.getLogger().handlers)
    godel.upgrade(f"sqlite:///{tmp_path}/app.db")
    assert not logger.disabled
    assert logging.getLogger().handlers == handlers


def test_a_new_revision_comes_from_the_template(tmp_path: Path, command: Command) -> None:
    # Named like the app: env.py asks for the settings of the app after which its folder is named.
    project = tmp_path / "godel"
    shutil.copytree(INI.parent, project, ignore=shutil.ignore_patterns("__pycache__"))
    ini = ["-c", str(project / "alembic.ini")]
    for arguments in (["upgrade", "head"], ["revision", "--rev-id", "0004", "-m", "more"]):
        result = command.run([*ini, *arguments], python=ALEMBIC)
        assert result.exit_code == 0, result
    made = project / "versions" / "0004_more.py"
    assert made.read_text() == (
        '"""more."""\n\nimport sqlalchemy as sa\nfrom alembic import op\n\n'
        "revision = '0004'\ndown_revision = '0003'\nbranch_labels = None\ndepends_on = None\n\n\n"
        "def upgrade() -> None:\n    pass\n\n\ndef downgrade() -> None:\n    pass\n"
    )
    assert revisions.read(project / "alembic.ini").heads == ("0004",)
