"""What an app's revisions make on SQLite and on PostgreSQL is the same but for a short list."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from bootstrap import app, journal, parity, settings, target
from bootstrap import plan as planning
from bootstrap.parity import allowed, shape
from tests.support import apps, projects
from tests.support.cli import Result
from tests.support.postgres import Server

Run = Callable[..., Result]
# What each app needs of the list of allowed differences.
NEEDED = {
    "godel": "json list uuid time now new-uuid counter trigger function policy",
    "agentpane": "json time float now",
    "tarsy": "json time float now counter unnamed-key index-method",
    "business_os": "json uuid time now new-uuid trigger function",
    "dash": "json uuid time now new-uuid counter trigger function",
}


@pytest.mark.parametrize("name", app.SHIPPED)
def test_every_app_is_the_same_on_both(name: str, run: Run, server: Server) -> None:
    env = {"BOOTSTRAPD_APP": name, "BOOTSTRAPD_SCRATCH_URL": server.url("postgres")}
    found = run("parity --json", env=env).expect(0).json()
    assert found["differences"] == []
    assert set(found["allowed"]) == {each.replace("-", " ") for each in NEEDED[name].split()}
    assert found["servers"][1].startswith(f"PostgreSQL {server.major}.")
    assert found["heads"] == [found["heads"][0]]
    assert found["same"]["column"] == sum(
        found["same"].get("type", 0) + len(found["allowed"].get(each, ()))
        if each == "json"
        else len(found["allowed"].get(each, ()))
        for each, rule in allowed.RULES.items()
        if rule.kind == "type"
    )


def test_the_report_is_to_be_read(run: Run, server18: Server) -> None:
    env = {"BOOTSTRAPD_APP": "business_os", "BOOTSTRAPD_SCRATCH_URL": server18.url("postgres")}
    said = run("parity -q", env=env).expect(0)
    version = sqlite3.sqlite_version
    (postgres,) = server18.admin("SHOW server_version")
    assert said.stdout == (
        f"business_os at 0004: SQLite {version} and PostgreSQL {postgres[0].split()[0]}\n"
        "the same: 4 tables, 26 columns, 10 types, 4 defaults, 4 primary keys, 3 foreign keys,"
        " 1 unique, 4 indexes\n"
        "allowed:\n"
        "  json                  2  JSON is jsonb; SQLite keeps its text\n"
        "  uuid                  7  a UUID has a type; SQLite keeps its text\n"
        "  time                  7  a moment has a type; SQLite keeps text that sorts by time\n"
        "  now                   7  the present moment, in the words of each\n"
        "  new uuid              4  a random UUID, in the words of each\n"
        "  trigger               3  SQLite's triggers set a value after the row was written, not"
        " before\n"
        "  function              1  what triggers call; in SQLite they hold it themselves\n"
        "different: nothing\n"
    )
    assert said.stderr == ""
    assert server18.admin("SELECT datname FROM pg_database WHERE datname LIKE '%scratch%'") == []


@pytest.fixture
def both(database: str, tmp_path: Path) -> Callable[[], parity.Report]:
    """`both()`: the report of dash's two databases as they are now."""
    lite = f"sqlite:///{tmp_path / 'dash.db'}"
    for url in (lite, database):
        apps.upgrade("dash", url)
    loaded = settings.load({"BOOTSTRAPD_APP": "dash"}, {})
    known = planning.graph(loaded, journal.Journal(), threading.Event())

    def report() -> parity.Report:
        lite_shape, shape_ = (shape.read(target.parse(url)) for url in (lite, database))
        return parity.compare(loaded, known, lite_shape, shape_)

    return report


# What is done to PostgreSQL, and what the report says of it.
CHANGES = [
    ("CREATE TABLE extra (id integer)", "table extra: PostgreSQL has a table, SQLite has none"),
    (
        "ALTER TABLE agents ALTER label SET NOT NULL",
        "column agents.label: PostgreSQL has number 3, not null, SQLite has number 3, null",
    ),
    (
        "ALTER TABLE agents ADD COLUMN mood text",
        "column agents.mood: PostgreSQL has number 24, null, SQLite has none",
    ),
    (
        "ALTER TABLE agents ALTER paused_by TYPE varchar(40)",
        "type agents.paused_by: PostgreSQL has varchar(40), SQLite has varchar(255)",
    ),
    (
        "ALTER TABLE agents ALTER status SET DEFAULT 'running'",
        "default agents.status: PostgreSQL has 'running', SQLite has 'pending'",
    ),
    (
        "ALTER TABLE agents ALTER max_retries SET DEFAULT 5",
        "default agents.max_retries: PostgreSQL has 5, SQLite has 3",
    ),
    (
        "ALTER TABLE agents ALTER spawned_at DROP DEFAULT",
        "default agents.spawned_at: PostgreSQL has none, SQLite has strftime("
        "'%Y-%m-%dT%H:%M:%f000Z', 'now')",
    ),
    (
        "ALTER TABLE agents DROP CONSTRAINT agents_swarm_id_fkey, ADD CONSTRAINT"
        " agents_swarm_id_fkey FOREIGN KEY (swarm_id) REFERENCES swarms ON DELETE CASCADE",
        "foreign key agents.agents_swarm_id_fkey: PostgreSQL has swarm_id to swarms (id) ondelete"
        " cascade, SQLite has swarm_id to swarms (id) ondelete set null",
    ),
    (
        "ALTER TABLE budgets DROP CONSTRAINT budgets_unique_scope",
        "unique budgets.budgets_unique_scope: PostgreSQL has none, SQLite has of scope_type,"
        " scope_id",
    ),
    (
        "ALTER TABLE budgets DROP CONSTRAINT budgets_scope_check, ADD CONSTRAINT"
        " budgets_scope_check CHECK (scope_type IN ('swarm', 'agent'))",
        "check budgets.budgets_scope_check: PostgreSQL has scope_type in 'swarm', 'agent', SQLite"
        " has scope_type in 'swarm', 'agent', 'project'",
    ),
    (
        "ALTER TABLE budgets DROP CONSTRAINT budgets_positive, ADD CONSTRAINT budgets_positive"
        " CHECK (allocated >= 0 AND consumed > 0)",
        "check budgets.budgets_positive: PostgreSQL has allocated >= 0 and consumed > 0, SQLite"
        " has allocated >= 0 and consumed >= 0",
    ),
    (
        "DROP INDEX idx_agents_spawned_at; CREATE INDEX idx_agents_spawned_at ON agents"
        " (spawned_at)",
        "index agents.idx_agents_spawned_at: PostgreSQL has of spawned_at, SQLite has of"
        " spawned_at desc",
    ),
    (
        "DROP INDEX idx_agents_model; CREATE UNIQUE INDEX idx_agents_model ON agents (model)"
        " WHERE status = 'running'",
        "index agents.idx_agents_model: PostgreSQL has unique of model where status = 'running',"
        " SQLite has of model",
    ),
    (
        "DROP VIEW event_stats_24h",
        "view event_stats_24h: PostgreSQL has none, SQLite has of type, event_count,"
        " unique_agents, unique_swarms, first_occurrence, last_occurrence",
    ),
    (
        "DROP TRIGGER update_agents_updated_at ON agents",
        "trigger agents.update_agents_updated_at: PostgreSQL has none, SQLite has after update",
    ),
    (
        "CREATE OR REPLACE TRIGGER update_agents_updated_at BEFORE INSERT ON agents FOR EACH ROW"
        " EXECUTE FUNCTION update_updated_at_column()",
        "trigger agents.update_agents_updated_at: PostgreSQL has before insert, SQLite has after"
        " update",
    ),
    (
        "ALTER TABLE _migrations ALTER id DROP DEFAULT",
        "default _migrations.id: PostgreSQL has none, SQLite has row number",
    ),
]


def test_whatever_is_otherwise_is_told(both: Callable[[], parity.Report], database: str) -> None:
    assert both().differences == ()
    with psycopg.connect(database) as connection:
        for change, wanted in CHANGES:
            connection.execute(change)
            connection.commit()
            told = [str(each) for each in both().differences]
            assert wanted in told, (change, told)
    assert len(both().differences) == len(CHANGES) - 1  # the trigger was changed twice


def test_an_index_that_sqlite_alone_has(both: Callable[[], parity.Report], tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "dash.db")) as file:
        file.execute("CREATE INDEX mine ON agents (lower(model), task DESC) WHERE runtime > 5")
    (found,) = both().differences
    assert str(found) == (
        "index agents.mine: PostgreSQL has none, SQLite has of lower model, task desc where"
        " runtime > 5"
    )


def test_a_difference_of_the_revisions_is_exit_5(
    run: Run, project: Callable[..., projects.Project], server18: Server
) -> None:
    only_there = "if op.get_bind().dialect.name == 'sqlite': op.execute('CREATE TABLE lite (id)')"
    shop = project(revisions=[only_there])
    env = {"BOOTSTRAPD_SCRATCH_URL": server18.url("postgres")}
    found = run("parity", env=env, cwd=shop.path).expect(5)
    assert "different:\n  table lite: PostgreSQL has none, SQLite has a table\n" in found.stdout
    assert (
        "the revisions of app shop make one thing otherwise on SQLite than on PostgreSQL:\n"
        "  table lite: PostgreSQL has none, SQLite has a table (runbook: drift)"
    ) in found.stderr
    error = run("parity --json", env=env, cwd=shop.path).expect(5).json()["error"]
    assert error["differences"] == [
        {"kind": "table", "object": "lite", "sqlite": "a table", "postgresql": ""}
    ]


def test_a_revision_that_one_of_them_does_not_take_is_exit_4(
    run: Run, project: Callable[..., projects.Project], server18: Server
) -> None:
    shop = project(revisions=["op.execute('SELECT gen_random_uuid()')"])
    env = {"BOOTSTRAPD_SCRATCH_URL": server18.url("postgres")}
    found = run("parity", env=env, cwd=shop.path).expect(4)
    assert (
        "revision 0001 (step 0001) cannot be replayed on a scratch file (sqlite): "
        "no such function: gen_random_uuid; "
    ) in found.stderr


@pytest.mark.parametrize(
    ("kind", "sqlite", "postgresql"),
    [
        ("type", "integer", "bigint"),
        ("type", "text", "uuid"),
        ("type", "varchar(36)", "jsonb"),
        ("type", "text", "text[]"),
        ("default", "", "now()"),
        ("default", "'2026'", "now()"),
        ("default", "", "nextval('a_id_seq')"),
        ("index", "of a", "of b using gin"),
        ("index", "of a", "of a where b using gin"),
        ("trigger", "after insert", "before update"),
        ("trigger", "before update", "after update"),
        ("table", "", "a table"),
        ("check", "a > 0", "a >= 0"),
    ],
)
def test_what_is_not_on_the_list(kind: shape.Kind, sqlite: str, postgresql: str) -> None:
    assert allowed.find(kind, sqlite, postgresql) is None
