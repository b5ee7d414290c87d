"""agentpane's 25 tables are the same on SQLite and PostgreSQL, but for the types' translation."""

from collections.abc import Iterator
from typing import Any, get_args

import psycopg
import pytest
import sqlalchemy as sa

from bootstrap import target
from bootstrap.apps.agentpane import enums, models
from bootstrap.apps.agentpane.storage import Storage, in_memory
from bootstrap.client import Client
from tests.support import agentpane, apps, look

TABLES = {
    "agent_runs",
    "agents",
    "api_keys",
    "audit_logs",
    "cli_sessions",
    "github_installations",
    "github_tokens",
    "marketplaces",
    "plan_sessions",
    "projects",
    "repository_configs",
    "sandbox_configs",
    "sandbox_instances",
    "sandbox_tmux_sessions",
    "session_events",
    "session_summaries",
    "sessions",
    "settings",
    "tasks",
    "template_projects",
    "templates",
    "terraform_modules",
    "terraform_registries",
    "workflows",
    "worktrees",
}
# What PostgreSQL has, and what SQLite has in its place.
TRANSLATION = {
    "TEXT": "TEXT",
    "TIMESTAMP": "TEXT",
    "JSONB": "TEXT",
    "INTEGER": "INTEGER",
    "BIGINT": "BIGINT",
    "BOOLEAN": "BOOLEAN",
    "DOUBLE PRECISION": "DOUBLE",
}


@pytest.fixture
def storage(database_url: str) -> Iterator[Storage]:
    """Storage on each kind of database."""
    with agentpane.storage(database_url) as storage:
        yield storage


def shape(url: str) -> dict[str, Any]:
    """Columns, keys and indexes of every table, as SQLAlchemy reads them from the database."""
    found = {}
    with Client(target.parse(url)) as client:
        inspector = sa.inspect(client.engine)
        for table in set(inspector.get_table_names()) - {"alembic_version"}:
            columns = inspector.get_columns(table)
            found[table] = {
                "columns": [(column["name"], column["nullable"]) for column in columns],
                "types": [str(column["type"]) for column in columns],
                "defaults": [column["name"] for column in columns if column["default"]],
                "primary key": inspector.get_pk_constraint(table)["constrained_columns"],
                "foreign keys": sorted(
                    (
                        str(key["name"]),
                        key["constrained_columns"],
                        key["referred_table"],
                        key["options"],
                    )
                    for key in inspector.get_foreign_keys(table)
                ),
                "unique": sorted(
                    (str(key["name"]), key["column_names"])
                    for key in inspector.get_unique_constraints(table)
                ),
                "indexes": sorted(
                    (str(index["name"]), index["column_names"], bool(index["unique"]))
                    for index in inspector.get_indexes(table)
                    if "duplicates_constraint" not in index
                ),
            }
    return found


def test_the_same_on_both_but_for_the_types(
    database: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lite_url = f"sqlite:///{tmp_path_factory.mktemp('lite') / 'lite.db'}"
    for url in (lite_url, database):
        apps.upgrade("agentpane", url)
    lite, postgres = shape(lite_url), shape(database)
    assert set(postgres) == TABLES
    for table in TABLES:
        types = postgres[table].pop("types")
        assert [TRANSLATION[name] for name in types] == lite[table].pop("types"), table
    assert postgres == lite


def test_json_is_jsonb_but_for_the_four_that_stay_text(database18: str) -> None:
    with agentpane.storage(database18) as storage:
        inspector = sa.inspect(storage.client.engine)
        types = {
            f"{table}.{column['name']}": str(column["type"])
            for table in TABLES
            for column in inspector.get_columns(table)
        }
    assert sum(kind == "JSONB" for kind in types.values()) == 24
    for name in ("pending_tool_use", "token_usage", "performance_metrics"):
        assert types[f"cli_sessions.{name}"] == "TEXT"
    assert types["settings.value"] == "TEXT"
    # One is a part of a machine, the other counts processors.
    assert types["sandbox_configs.cpu_cores"] == "DOUBLE PRECISION"
    assert types["sandbox_instances.cpu_cores"] == "INTEGER"


def test_the_performance_indexes_are_not_for_sqlite_alone(database_url: str) -> None:
    apps.upgrade("agentpane", database_url)
    indexes = {name for _, kind, name, _ in apps.catalog(database_url) if kind == "index"}
    assert indexes >= {
        "idx_agents_project_id",
        "idx_worktrees_project_id",
        "idx_tasks_agent_id",
        "idx_tasks_kanban",
    }


def test_sqlite_has_wal_foreign_keys_and_patience(storage: Storage) -> None:
    if storage.client.target.is_postgres:
        (zone,) = storage.client.query("SHOW TimeZone")
        (limit,) = storage.client.query("SHOW statement_timeout")
        (name,) = storage.client.query("SHOW application_name")
        assert (zone, limit, name) == (
            {"TimeZone": "UTC"},
            {"statement_timeout": "30s"},
            {"application_name": "agentpane"},
        )
        return
    assert storage.client.query("PRAGMA journal_mode") == [{"journal_mode": "wal"}]
    assert storage.client.query("PRAGMA foreign_keys") == [{"foreign_keys": 1}]
    assert storage.client.query("PRAGMA busy_timeout") == [{"timeout": 5000}]


# -- enums -----------------------------------------------------------------------------------------


def test_enums_are_in_one_place() -> None:
    names = [name for name in dir(enums) if name.isupper()]
    assert len(names) == 19
    kinds = [get_args(value) for name, value in vars(enums).items() if not name.isupper()]
    assert all(getattr(enums, name) in kinds for name in names)
    used = {
        column.type.values
        for table in models.Base.metadata.tables.values()
        for column in table.columns
        if hasattr(column.type, "values")
    }
    assert used == {getattr(enums, name) for name in names}


def test_a_value_that_is_none_of_the_enums(storage: Storage) -> None:
    project = agentpane.project(storage)
    message = (
        "^tasks.column: wanted one of backlog, queued, in_progress, waiting_approval, verified, "
        "found 'done'$"
    )
    with pytest.raises(ValueError, match=message):
        storage.tasks.create({"project_id": project.id, "title": "t", "column": "done"})
    assert storage.tasks.count() == 0
    task = storage.tasks.create({"project_id": project.id, "title": "t"})
    with pytest.raises(ValueError, match=message):
        storage.tasks.move(task.id, "done")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        storage.tasks.update(task.id, {"column": "done"})
    # A statement of its own does not pass by the models' attributes.
    with pytest.raises(sa.exc.StatementError, match=r"wanted one of backlog, .*, found 'done'"):
        storage.client.execute(sa.update(models.Task).values(column="done"))
    assert storage.tasks.find_first({"column": "backlog"}) is not None


def test_a_value_of_a_later_version_is_read_as_it_is(storage: Storage) -> None:
    # No check constraint stands in its way, and this release knows no nomad.
    storage.client.execute(
        "INSERT INTO sandbox_configs (id, name, type) VALUES ('a', 'Nomad', 'nomad')"
    )
    (found,) = storage.sandbox_configs.find_many({"type": "nomad"})
    assert storage.sandbox_configs.find_first({"type": "docker"}) is None
    kind: str = found.type
    assert (kind, found.memory_mb, found.cpu_cores) == ("nomad", 4096, 2.0)


# -- revisions and what is in the tables -----------------------------------------------------------

EARLY = """
INSERT INTO projects (id, name, path) VALUES ('p', 'demo', '/srv/demo');
INSERT INTO agents (id, project_id, name) VALUES ('a', 'p', 'Ada');
INSERT INTO sessions (id, project_id, agent_id, url) VALUES ('s', 'p', 'a', '/sessions/s');
INSERT INTO worktrees (id, project_id, branch, path) VALUES ('w', 'p', 'main', '/srv/w');
INSERT INTO tasks (id, project_id, session_id, worktree_id, title) VALUES ('t', 'p', 's', 'w', 'x');
UPDATE sessions SET task_id = 't' WHERE id = 's';
UPDATE worktrees SET task_id = 't' WHERE id = 'w';
"""


def test_rows_outlive_the_revisions_that_make_their_table_anew(database_url: str) -> None:
    """On SQLite `projects` is rebuilt twice, and everything hangs on it by ON DELETE CASCADE."""

    def kept() -> list[tuple[Any, ...]]:
        tables = ("projects", "agents", "sessions", "worktrees", "tasks")
        counts = ", ".join(f"(SELECT count(*) FROM {table})" for table in tables)
        return look.query(
            database_url, f"SELECT {counts}, path, config_path, max_concurrent_agents FROM projects"
        )

    apps.upgrade("agentpane", database_url, "0004")
    for statement in EARLY.strip().splitlines():
        look.query(database_url, statement)
    assert kept() == [(1, 1, 1, 1, 1, "/srv/demo", ".claude", 3)]
    apps.upgrade("agentpane", database_url)
    assert kept() == [(1, 1, 1, 1, 1, "/srv/demo", ".claude", 3)]
    apps.downgrade("agentpane", database_url, "0004")
    assert kept() == [(1, 1, 1, 1, 1, "/srv/demo", ".claude", 3)]


def test_each_id_refers_to_a_row_that_is_there(storage: Storage) -> None:
    with pytest.raises(sa.exc.IntegrityError):
        storage.tasks.create({"project_id": "nobody's", "title": "t"})
    with pytest.raises(sa.exc.IntegrityError):
        storage.projects.create({"name": "x", "path": "/x", "sandbox_config_id": "none"})
    # These two are no foreign keys.
    project = agentpane.project(storage)
    storage.agents.create({"project_id": project.id, "name": "Ada", "current_task_id": "gone"})
    storage.terraform_modules.create(
        dict.fromkeys(["registry_id", "name", "namespace", "provider", "version", "source"], "x")
    )


def test_a_project_takes_what_is_its_own_along(storage: Storage) -> None:
    project = agentpane.project(storage)
    other = agentpane.project(storage, "other")
    agent = storage.agents.create({"project_id": project.id, "name": "Ada"})
    task = storage.tasks.create(
        {"project_id": project.id, "title": "t", "agent_id": agent.id, "column": "in_progress"}
    )
    session = agentpane.session(storage, project_id=project.id, task_id=task.id)
    storage.tasks.update(task.id, {"session_id": session.id})
    storage.session_events.append(session.id, "chunk", {}, channel="chunks")
    elsewhere = storage.worktrees.create(
        {"project_id": other.id, "branch": "b", "path": "/w", "agent_id": agent.id}
    )

    assert storage.projects.delete(project.id)
    for table in (storage.agents, storage.tasks, storage.sessions, storage.session_events):
        assert table.count() == 0
    kept = storage.worktrees.get(elsewhere.id)
    assert kept is not None
    assert kept.agent_id is None


def test_a_project_keeps_the_sandbox_configuration_that_it_uses(storage: Storage) -> None:
    config = storage.sandbox_configs.create({"name": "small"})
    agentpane.project(storage)
    storage.projects.create({"name": "x", "path": "/x", "sandbox_config_id": config.id})
    with pytest.raises(sa.exc.IntegrityError):
        storage.sandbox_configs.delete(config.id)


def test_the_status_of_a_registry_is_never_null(storage: Storage) -> None:
    values = {"name": "n", "org_name": "o", "token_setting_key": "terraform.token"}
    assert storage.terraform_registries.create(values).status == "active"
    with pytest.raises(sa.exc.IntegrityError):
        storage.client.execute(
            "INSERT INTO terraform_registries (id, name, org_name, token_setting_key, status)"
            " VALUES ('x', 'n', 'o', 'k', NULL)"
        )


def test_the_databases_own_times_are_utc_whatever_the_session_says(database18: str) -> None:
    with agentpane.storage(database18) as storage:
        with psycopg.connect(database18, options="-c TimeZone=Pacific/Kiritimati") as connection:
            connection.execute("INSERT INTO settings (key, value) VALUES ('a', '1')")
        found = storage.settings.get("a")
        assert found is not None
        assert abs((models.utc_now() - found.updated_at).total_seconds()) < 3600


def test_a_database_in_memory_has_all_of_it() -> None:
    with in_memory() as storage:
        assert set(sa.inspect(storage.client.engine).get_table_names()) == TABLES
        project = agentpane.project(storage)
        assert storage.projects.get(project.id) is not None
    with in_memory() as another:
        assert another.projects.count() == 0


def test_a_process_that_has_made_the_tables_on_postgresql_makes_them_on_sqlite_too(
    database18: str,
) -> None:
    def keys(storage: Storage) -> set[str]:
        found = sa.inspect(storage.client.engine).get_foreign_keys("sessions")
        return {str(key["name"]) for key in found}

    with agentpane.storage(database18) as storage:
        wanted = keys(storage)
    assert "sessions_task_id_tasks_id_fk" in wanted
    with in_memory() as storage:
        assert keys(storage) == wanted
