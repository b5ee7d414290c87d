"""agentpane's start-up: the database by DB_MODE, tracked revisions, schema check, seeding."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bootstrap import target
from bootstrap.apps.agentpane import models, seeds
from bootstrap.apps.agentpane.storage import Storage, connect
from tests.support import agentpane, look
from tests.support.cli import Command

ONE_NEW = {"inserted": 1, "present": 0}
ONE_THERE = {"inserted": 0, "present": 1}


def environment(url: str) -> dict[str, str]:
    """What somebody sets for agentpane to use this database."""
    where = target.parse(url)
    if where.is_postgres:
        return {"BOOTSTRAPD_APP": "agentpane", "DB_MODE": "postgres", "DATABASE_URL": url}
    assert where.path is not None
    return {"BOOTSTRAPD_APP": "agentpane", "DB_MODE": "sqlite", "DB_PATH": str(where.path)}


def test_the_phases_of_a_first_start_and_of_the_next(database_url: str, command: Command) -> None:
    env = environment(database_url)
    first = command.run("run -- echo the app starts", env=env).expect(0)
    stages = re.findall(r"^\S+ \w+ +(\w+): ", first.stderr, flags=re.MULTILINE)
    assert list(dict.fromkeys(stages)) == ["wait", "pin", "migrate", "seed", "ready"]
    assert first.stderr.count(" applied in ") == 11
    assert (
        "seed: marketplaces: 1 inserted, 0 there already; sandbox_configs: 1 inserted, 0 there "
        "already; projects: 1 inserted, 0 there already; agents: 1 inserted, 0 there already\n"
    ) in first.stderr
    assert first.stdout == "the app starts\n"
    with Storage(connect(target.parse(database_url))) as storage:
        (market,), (sandbox,) = storage.marketplaces.list(), storage.sandbox_configs.list()
        (project,), (agent,) = storage.projects.list(), storage.agents.list()
    _has(market, seeds.MARKETPLACE)
    _has(sandbox, seeds.SANDBOX_CONFIG)
    # The folder in which the command was given, not that of the revisions.
    _has(project, {**seeds.PROJECT, "path": str(command.cwd)})
    _has(agent, {**seeds.AGENT, "project_id": project.id})
    assert agent.config == {
        "allowedTools": ["Read", "Edit", "Bash", "Glob", "Grep"],
        "maxTurns": 50,
    }

    again = command.run("run -- echo the app starts", env=env).expect(0)
    assert " applied in " not in again.stderr
    assert again.stdout == "the app starts\n"
    counts = look.query(
        database_url,
        "SELECT (SELECT count(*) FROM marketplaces), (SELECT count(*) FROM sandbox_configs),"
        " (SELECT count(*) FROM projects), (SELECT count(*) FROM agents)",
    )
    assert counts == [(1, 1, 1, 1)]


def test_revisions_are_tracked_taken_back_and_differences_shown(
    either_url: str, command: Command
) -> None:
    env = environment(either_url)
    command.run("migrate", env=env).expect(0)
    command.run("rollback 0009", env=env).expect(0)
    assert look.revisions(either_url) == ["0009"]
    assert "terraform_modules" not in look.tables(either_url)
    status = command.run("status --json", env=env).json()
    assert [revision["revision"] for revision in status["pending"]] == ["0010", "0011"]
    command.run("migrate", env=env).expect(0)
    assert look.revisions(either_url) == ["0011"]

    look.query(either_url, "DROP INDEX idx_tasks_kanban")
    look.query(either_url, "ALTER TABLE tasks DROP COLUMN plan")
    shown = command.run("validate", env=env).expect(5).stderr
    if "postgresql" in either_url:
        plan = "plan: wanted text"
        index = (
            'CREATE INDEX idx_tasks_kanban ON tasks USING btree (project_id, "column", "position")'
        )
    else:
        plan = '"plan": wanted TEXT'
        index = 'CREATE INDEX idx_tasks_kanban ON tasks(project_id, "column", position)'
    assert (
        f"2 differences between the snapshot of app agentpane and {look.identity(either_url)}:\n"
        f"  column tasks.{plan}, found nothing\n"
        f"  index idx_tasks_kanban on tasks: wanted {index}, found nothing\n"
        "undo what was changed by hand; the statements for it: bootstrapd validate --fix-sql "
        "(runbook: drift)\n"
    ) in shown


def test_a_database_without_the_table_projects_stops_the_start(
    either_url: str, command: Command
) -> None:
    env = environment(either_url)
    command.run("migrate", env=env).expect(0)
    if "postgresql" in either_url:
        look.query(either_url, "DROP TABLE projects CASCADE")
    else:
        look.query(either_url, "DROP TABLE projects")
    result = command.run("run -- echo the app starts", env=env).expect(5)
    assert "  table projects: wanted a table" in result.stderr
    assert result.stdout == ""


def test_the_folder_of_the_default_file_is_made(command: Command) -> None:
    command.run("run --app agentpane", env={}).expect(0)
    assert (command.cwd / "data" / "agentpane.db").is_file()
    folder = command.cwd / "elsewhere"
    folder.mkdir()
    env = {"SQLITE_DATA_DIR": str(folder)}
    command.run("migrate --app agentpane", env=env).expect(0)
    assert (folder / "agentpane.db").is_file()


def test_a_mode_that_agentpane_does_not_know(command: Command) -> None:
    result = command.run("run --app agentpane -- echo no", env={"DB_MODE": "mysql"}).expect(2)
    assert "  DB_MODE: wanted sqlite or postgres, found 'mysql' (runbook: settings)\n" in (
        result.stderr
    )
    assert result.stdout == ""


# -- seeding, and when it refrains -----------------------------------------------------------------


@pytest.fixture
def storage(
    database_url: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Storage]:
    """Storage on each kind of database, in a folder of its own."""
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))
    with agentpane.storage(database_url) as storage:
        yield storage


def seed(storage: Storage) -> seeds.Counts:
    with storage.client.engine.begin() as connection:
        return seeds.seed(connection)


def test_a_second_seeding_finds_all_of_it(storage: Storage) -> None:
    tables = ("marketplaces", "sandbox_configs", "projects", "agents")
    assert seed(storage) == dict.fromkeys(tables, ONE_NEW)
    assert seed(storage) == dict.fromkeys(tables, ONE_THERE)
    (project,) = storage.projects.list()
    assert project.path == str(Path.cwd())
    assert re.fullmatch("[a-z][a-z0-9]{23}", project.id)


def test_what_a_user_has_made_is_left_alone(storage: Storage) -> None:
    market = storage.marketplaces.create(
        {"name": "Ours", "github_owner": "o", "github_repo": "r", "is_default": True}
    )
    storage.sandbox_configs.create({"name": "Ours", "type": "kubernetes"})
    project = agentpane.project(storage)
    counted = seed(storage)
    assert counted == dict.fromkeys(
        ("marketplaces", "sandbox_configs", "projects", "agents"), ONE_THERE
    )
    assert [row.id for row in storage.marketplaces.list()] == [market.id]
    assert [row.id for row in storage.projects.list()] == [project.id]
    assert storage.agents.count() == 0


def test_what_a_user_has_renamed_is_not_made_again(storage: Storage) -> None:
    seed(storage)
    storage.marketplaces.update(
        "anthropic-official-marketplace", {"name": "Mine", "is_default": False}
    )
    storage.sandbox_configs.create({"name": "Docker", "type": "docker"})
    assert seed(storage)["marketplaces"] == ONE_THERE
    assert [row.name for row in storage.marketplaces.list()] == ["Mine"]


def test_another_kind_of_sandbox_does_not_count(storage: Storage) -> None:
    storage.sandbox_configs.create({"name": "Docker", "type": "docker"})
    assert seed(storage)["sandbox_configs"] == ONE_NEW


def test_a_failed_seeding_leaves_nothing(storage: Storage) -> None:
    storage.client.execute("ALTER TABLE agents DROP COLUMN config")
    with pytest.raises(sa.exc.DBAPIError):
        seed(storage)
    assert storage.marketplaces.count() == storage.projects.count() == 0


def _has(row: models.Base, values: dict[str, Any]) -> None:
    assert {name: getattr(row, name) for name in values} == values
