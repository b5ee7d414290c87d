"""godel's revisions by plain Alembic: the document's form, the settings' database, SQL."""

import logging
import shutil
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from bootstrap import app, revisions, target
from bootstrap.client import Client
from tests.support import apps, godel
from tests.support.cli import ROOT, Command

ALEMBIC = (sys.executable, "-m", "alembic")
INI = app.shipped_migrations("godel")
GRAPH = revisions.read(INI)
(HEAD,) = GRAPH.heads
# The document's form of the database.
DOCUMENT = "0003"


def columns(url: str) -> dict[str, dict[str, str]]:
    """The types of the columns of each table."""
    with Client(target.parse(url)) as client:
        inspector = sa.inspect(client.engine)
        return {
            name: {column["name"]: str(column["type"]) for column in inspector.get_columns(name)}
            for name in inspector.get_table_names()
            if name != "alembic_version"
        }


def test_the_tables_are_those_of_the_document(database_url: str) -> None:
    godel.upgrade(database_url, DOCUMENT)
    tables = columns(database_url)
    times = {"created_at": "BIGINT", "updated_at": "BIGINT"}
    assert tables == {
        "agents": {"id": "TEXT", "task": "TEXT", "model": "TEXT", "state": "TEXT"}
        | times
        | {"metadata": "TEXT"},
        "teams": {"id": "TEXT", "name": "TEXT", "status": "TEXT", "config": "TEXT"} | times,
        "workflows": {"id": "TEXT", "name": "TEXT", "status": "TEXT", "steps": "TEXT"} | times,
        "events": {"id": "TEXT", "type": "TEXT", "data": "TEXT", "created_at": "BIGINT"},
    }
    godel.upgrade(database_url)
    with Client(target.parse(database_url)) as client:
        inspector = sa.inspect(client.engine)
        keys = [inspector.get_pk_constraint(name)["constrained_columns"] for name in tables]
    assert keys == [["id"]] * 4
    now = columns(database_url)
    for name, of_document in tables.items():
        assert list(now[name].items())[: len(of_document)] == list(of_document.items())


def test_rows_of_the_document_outlive_the_way_up_and_down(database_url: str) -> None:
    rows: dict[str, dict[str, Any]] = {
        "teams": {"id": "t", "name": "é", "status": "anything", "config": "{}", "created_at": 1},
        "agents": {"id": "a", "task": "x", "state": "s", "updated_at": 2**40, "metadata": "[]"},
        "workflows": {"id": "w", "name": "n", "steps": "[]"},
        "events": {"id": "e", "type": "x", "data": None, "created_at": 3},
    }
    godel.upgrade(database_url, DOCUMENT)
    with Client(target.parse(database_url)) as client:
        for table, row in rows.items():
            names, values = ", ".join(row), ", ".join(f":{name}" for name in row)
            client.execute(f"INSERT INTO {table} ({names}) VALUES ({values})", row)
        before = {table: client.query(f"SELECT * FROM {table}") for table in rows}
    godel.upgrade(database_url)
    with Client(target.parse(database_url)) as client:
        (agent,) = client.query("SELECT status, lifecycle_state, retry_count, version FROM agents")
        (workflow,) = client.query("SELECT version, definition, on_failure FROM workflows")
    assert tuple(agent.values()) == ("pending", "initializing", 0, 0)
    assert tuple(workflow.values()) == ("1.0.0", "{}", "stop")
    godel.downgrade(database_url, DOCUMENT)
    with Client(target.parse(database_url)) as client:
        assert {table: client.query(f"SELECT * FROM {table}") for table in rows} == before


@pytest.mark.parametrize("revision", ["0010", "0022"])
def test_indexes_that_were_broken_off_are_built_anew(database: str, revision: str) -> None:
    """A revision outside a transaction starts again from whatever is there."""
    below = f"{int(revision) - 1:04d}"
    godel.upgrade(database, revision)
    whole = apps.catalog(database)
    indexes = "select indexrelid::regclass::text from pg_index where not indisvalid"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("update alembic_version set version_num = %s", [below])
        name, table = {
            "0010": ("idx_events_severity", "events"),
            "0022": ("idx_agents_version", "agents"),
        }[revision]
        connection.execute(f"drop index {name}")
        # What a unique index concurrently leaves behind that cannot be built.
        for number in range(2):
            connection.execute(f"insert into {table} (id, created_at) values ('{number}', 7)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(f"create unique index concurrently {name} on {table} (created_at)")
        assert connection.execute(indexes).fetchall() == [(name,)]
    godel.upgrade(database, revision)
    assert apps.catalog(database) == whole
    with psycopg.connect(database) as connection:
        assert connection.execute(indexes).fetchall() == []


def test_the_history_is_read_without_alembic() -> None:
    found = [revision.id for revision in GRAPH.pending([])]
    assert found == [f"{number + 1:04d}" for number in range(len(found))]
    assert found[-1] == HEAD
    assert len(found) > 20


def test_plain_alembic_migrates_the_database_of_the_settings(
    command: Command, database18: str
) -> None:
    result = command.run(["-c", str(INI), "upgrade", "head"], python=ALEMBIC)
    assert result.exit_code == 0, result
    made = f"sqlite:///{command.cwd / 'godel.db'}"
    godel.upgrade(database18)
    env = {"POSTGRES_URL": database18}
    result = command.run(["-c", str(INI), "current"], python=ALEMBIC, env=env)
    assert result.stdout == f"{HEAD} (head)\n", result
    result = command.run(["-c", str(INI), "check"], python=ALEMBIC)
    assert result.stdout == "No new upgrade operations detected.\n", result
    assert set(columns(made)) > {"agents", "events", "teams", "workflows", "users", "todos"}


def test_a_checkout_needs_no_installation(command: Command) -> None:
    env = {"PYTHONPATH": "", "DATABASE_URL": f"sqlite:///{command.cwd}/here.db"}
    program = str(Path(sys.executable).with_name("alembic"))
    result = command.run(["-c", str(INI), "upgrade", "head"], python=(program,), env=env, cwd=ROOT)
    assert result.exit_code == 0, result
    assert "agents" in columns(env["DATABASE_URL"])


def test_the_sql_of_offline_mode_makes_the_same_schema(database: str, command: Command) -> None:
    env = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere"}
    result = command.run(["-c", str(INI), "upgrade", "head", "--sql"], python=ALEMBIC, env=env)
    assert result.exit_code == 0, result
    with psycopg.connect(database, autocommit=True) as connection:
        # One by one, as psql sends them: some must be outside any transaction.
        for statement in result.stdout.strip().split(";\n\n"):
            connection.execute(statement.encode())
    found = apps.catalog(database)
    godel.downgrade(database, "base")
    godel.upgrade(database)
    assert apps.catalog(database) == found


@pytest.mark.parametrize(
    ("driver", "query"), [("asyncpg", "?ssl=disable"), ("psycopg2", "?sslmode=disable")]
)
def test_the_url_of_an_app_with_another_driver_works_too(
    database18: str, driver: str, query: str
) -> None:
    godel.upgrade(database18.replace("postgresql://", f"postgresql+{driver}://") + query)
    assert "agents" in columns(database18)


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
    for arguments in (["upgrade", "head"], ["revision", "--rev-id", "next", "-m", "more"]):
        result = command.run([*ini, *arguments], python=ALEMBIC)
        assert result.exit_code == 0, result
    made = project / "versions" / "next_more.py"
    assert made.read_text() == (
        '"""more."""\n\nimport sqlalchemy as sa\nfrom alembic import op\n\n'
        f"revision = 'next'\ndown_revision = '{HEAD}'\n"
        "branch_labels = None\ndepends_on = None\n\n\n"
        "def upgrade() -> None:\n    pass\n\n\ndef downgrade() -> None:\n    pass\n"
    )
    assert revisions.read(project / "alembic.ini").heads == ("next",)
