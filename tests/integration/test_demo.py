"""Demo rows: every table of every shipped app, on every database, believable and repeatable."""

import gc
import itertools
import re
import signal
import sqlite3
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bootstrap import app, demo, engine, target
from bootstrap.apps.dash.storage import Storage, connect
from tests.support import apps, cli, projects
from tests.support.cli import Result
from tests.support.postgres import Server

ROWS = 200
Rows = dict[str, list[tuple[Any, ...]]]
Fill = Callable[..., dict[str, int]]


def fill(
    connection: sa.Connection, tables: sa.MetaData, rows: int = ROWS, **changes: Any
) -> dict[str, int]:
    asked: dict[str, Any] = {"rows": rows, "seed": 1, "more": False, "reference": {}} | changes
    return demo.fill(connection, tables, demo.Request(**asked), lambda *_: None)


def tables_of(tables: sa.MetaData) -> list[sa.Table]:
    return [table for table in tables.tables.values() if not table.info.get("bookkeeping")]


def read(connection: sa.Connection, tables: sa.MetaData) -> Rows:
    found = {}
    for table in tables_of(tables):
        key = list(table.primary_key.columns)
        rows = connection.execute(sa.select(table).order_by(*key)).fetchall()
        found[table.name] = [tuple(row) for row in rows]
    return found


@pytest.fixture
def made(database_url: str) -> Iterator[sa.Engine]:
    """An engine on an empty database of each kind."""
    where = target.parse(database_url)
    if where.path is not None:
        where.path.touch()
    made = engine.make(where, engine.Options())
    yield made
    made.dispose()


@pytest.fixture(scope="module")
def expected() -> Callable[[str], Rows]:
    """The demo rows of an app, from a database of its own."""
    known: dict[str, Rows] = {}

    def rows(name: str) -> Rows:
        if name not in known:
            memory = engine.make(target.sqlite(":memory:"), engine.Options())
            apps.metadata(name).create_all(memory)
            with memory.begin() as connection:
                fill(connection, apps.metadata(name))
                known[name] = read(connection, apps.metadata(name))
            memory.dispose()
        return known[name]

    return rows


# -- the shipped apps ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", app.SHIPPED)
def test_every_table_is_filled_with_the_same_rows_on_every_database(
    name: str, made: sa.Engine, expected: Callable[[str], Rows]
) -> None:
    tables = apps.metadata(name)
    tables.create_all(made)
    with made.begin() as connection:
        counts = fill(connection, tables)
        rows = read(connection, tables)
        if made.dialect.name == "sqlite":
            assert connection.exec_driver_sql("pragma foreign_key_check").fetchall() == []
    assert counts == {table.fullname: len(rows[table.name]) for table in tables_of(tables)}
    assert max(counts.values()) == ROWS
    assert min(counts.values()) >= 1
    assert rows == expected(name)


@pytest.mark.parametrize("name", app.SHIPPED)
def test_every_column_has_values(name: str) -> None:
    memory = engine.make(target.sqlite(":memory:"), engine.Options())
    tables = apps.metadata(name)
    tables.create_all(memory)
    with memory.begin() as connection:
        fill(connection, tables, 1000)
        rows = read(connection, tables)
    memory.dispose()
    for table in tables_of(tables):
        for place, column in enumerate(table.columns):
            found = {repr(row[place]) for row in rows[table.name]} - {"None"}
            assert found, f"{table.name}.{column.name}"
            if column.nullable or len(rows[table.name]) < 30:
                continue
            assert len(found) > 1, f"{table.name}.{column.name} is always {found}"


def test_another_seed_gives_other_rows(expected: Callable[[str], Rows]) -> None:
    memory = engine.make(target.sqlite(":memory:"), engine.Options())
    apps.metadata("dash").create_all(memory)
    with memory.begin() as connection:
        fill(connection, apps.metadata("dash"), seed=2)
        other = read(connection, apps.metadata("dash"))
    memory.dispose()
    for name, rows in expected("dash").items():
        assert len(rows) == len(other[name])
        assert not set(map(repr, rows)) & set(map(repr, other[name]))


@pytest.fixture
def dash(made: sa.Engine, database_url: str) -> Iterator[Storage]:
    """dash, with 2,000 rows in its largest tables."""
    apps.metadata("dash").create_all(made)
    with made.begin() as connection:
        fill(connection, apps.metadata("dash"), 2000)
    with Storage(connect(target.parse(database_url))) as storage:
        yield storage


def test_rows_that_refer_to_each_other_fit_together(dash: Storage) -> None:
    def count(statement: str) -> object:
        row = dash.client.query_one(f"SELECT count(*) AS n FROM {statement}")
        assert row is not None
        return row["n"]

    # An event of an agent is an event of that agent's swarm.
    of_agents = "events e JOIN agents a ON a.id = e.agent_id"
    assert count(f"{of_agents} WHERE a.swarm_id IS NOT NULL") > 1000  # type: ignore[operator]
    assert count(f"{of_agents} WHERE e.swarm_id <> a.swarm_id") == 0
    assert count(f"{of_agents} WHERE e.swarm_id IS NULL AND a.swarm_id IS NOT NULL") == 0
    # Nothing is older than what it belongs to, or ends before it begins.
    assert count(f'{of_agents} WHERE e."timestamp" < a.spawned_at') == 0
    assert count('events e JOIN events p ON p.id = e.parent_event_id WHERE e."timestamp" < '
                 'p."timestamp"') == 0  # fmt: skip
    assert (
        count("agents a JOIN swarms s ON s.id = a.swarm_id WHERE a.spawned_at < s.created_at") == 0
    )
    assert count("agents WHERE completed_at < updated_at OR updated_at < spawned_at") == 0
    assert count("agents WHERE completed_at IS NOT NULL AND status IN ('pending', 'running')") == 0
    assert (
        count("agents WHERE status = 'paused' AND (pause_time IS NULL OR paused_by IS NULL)") == 0
    )
    assert count("agents WHERE retry_count > max_retries") == 0
    # No budget is overspent.
    assert count("budgets WHERE consumed > allocated OR used_tokens > max_tokens") == 0
    assert count("budgets WHERE consumed > 0 AND used_tokens > 0") > 1000  # type: ignore[operator]
    # Many have children, not one alone.
    assert count("(SELECT DISTINCT agent_id FROM events) AS x") > 200  # type: ignore[operator]


BELONGING: dict[str, set[str]] = {
    "godel": {"conversation_nodes.tree_id", "events.agent_id", "events.team_id"},
    "agentpane": set(),
    "tarsy": {"stage_executions.session_id"},
    "business_os": set(),
    "dash": {"events.agent_id", "events.swarm_id"},
}


@pytest.mark.parametrize("name", app.SHIPPED)
def test_a_row_belongs_where_the_row_of_its_own_table_does(name: str) -> None:
    """A stage within a stage is of the same session, an event is of the agent of its cause."""
    tables = apps.metadata(name)
    memory = engine.make(target.sqlite(":memory:"), engine.Options())
    tables.create_all(memory)
    seen = set()
    with memory.begin() as connection:
        fill(connection, tables)
        for table in tables_of(tables):
            links = [each for each in table.foreign_key_constraints if len(each.elements) == 1]
            ups = [each for each in links if each.referred_table is table]
            for up, link in itertools.product(ups, links):
                if link in ups:
                    continue
                below, above = table.alias(), table.alias()
                (key,), (column,) = up.elements, link.column_keys
                joined = below.join(above, below.c[up.column_keys[0]] == above.c[key.column.name])
                pairs = connection.execute(
                    sa.select(below.c[column], above.c[column]).select_from(joined)
                ).fetchall()
                assert len(pairs) > 10
                assert all(one == other for one, other in pairs), f"{table}.{column}"
                seen.add(f"{table.name}.{column}")
    memory.dispose()
    assert seen == BELONGING[name]


def test_the_app_works_with_them(dash: Storage) -> None:
    (swarm,) = dash.swarms.list(limit=1)
    assert re.fullmatch("[A-Z][a-z]+ [a-z]+", swarm.name)
    summary = dash.swarms.get_summary(swarm.id)
    assert summary is not None
    (agent,) = dash.agents.list(limit=1)
    assert dash.agents.pause(agent.id, "user-123") is not None
    assert dash.events.create({"type": "x", "agent_id": agent.id}).id
    assert len(dash.agents.list_activity(limit=1000)) == 400


def test_the_next_row_gets_a_number_of_its_own(made: sa.Engine) -> None:
    """tarsy's events are counted by the database."""
    tables = apps.metadata("tarsy")
    tables.create_all(made)
    events = tables.tables["events"]
    with made.begin() as connection:
        counts = fill(connection, tables)
        inserted = connection.execute(sa.insert(events).values(channel="x", payload={}))
        assert inserted.inserted_primary_key == (counts["events"] + 1,)


# -- what is there already -------------------------------------------------------------------------


def test_tables_with_rows_are_refused_and_with_more_are_added_to(made: sa.Engine) -> None:
    tables = apps.metadata("tarsy")
    tables.create_all(made)
    with made.begin() as connection:
        counts = fill(connection, tables)
        with pytest.raises(demo.NotEmptyError) as caught:
            fill(connection, tables)
        assert f"events ({ROWS})" in str(caught.value)
        assert fill(connection, tables, more=True) == counts
        assert fill(connection, tables, more=True, seed=7) == counts
        rows = read(connection, tables)
    assert {name: len(found) for name, found in rows.items()} == {
        name: 3 * count for name, count in counts.items()
    }


def test_the_apps_own_reference_rows_are_not_in_the_way(made: sa.Engine) -> None:
    tables = apps.metadata("business_os")
    tables.create_all(made)
    with made.begin() as connection:
        users = tables.tables["users"]
        connection.execute(users.insert(), {"email": "a@b.c", "password_hash": "x", "name": "A"})
        with pytest.raises(demo.NotEmptyError, match=r"^users \(1\)$"):
            fill(connection, tables)
        fill(connection, tables, reference={"users": 1})


# -- any tables ------------------------------------------------------------------------------------


class Odd(sa.types.UserDefinedType[Any]):
    """A type that says nothing of its values."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "TEXT"


def awkward() -> sa.MetaData:
    """Tables with all that makes it hard to fill them."""
    tables = sa.MetaData()
    name = sa.String(40)
    sa.Table(
        "tree",
        tables,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("parent_id", sa.ForeignKey("tree.id"), nullable=False),
        sa.Column("up_id", sa.ForeignKey("tree.id")),
    )
    # Two that refer to each other, of which one may be NULL; and one of those only once.
    sa.Table(
        "country",
        tables,
        sa.Column("code", sa.String(3), primary_key=True),
        sa.Column("capital_id", sa.ForeignKey("city.id"), unique=True),
        sa.Column("largest_id", sa.ForeignKey("city.id"), onupdate=None),
    )
    sa.Table(
        "city",
        tables,
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("country_code", sa.ForeignKey("country.code"), nullable=False),
        sa.Column("name", name, nullable=False, unique=True),
    )
    # A key of two, referred to by a key of two, and a choice of each only once.
    sa.Table(
        "seat",
        tables,
        sa.Column("room", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("city_id", sa.ForeignKey("city.id"), nullable=False),
    )
    sa.Table(
        "booking",
        tables,
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("room", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.ForeignKeyConstraint(["room", "number"], ["seat.room", "seat.number"]),
    )
    sa.Table(
        "twin",
        tables,
        sa.Column("tree_id", sa.ForeignKey("tree.id"), primary_key=True),
        sa.Column("city_id", sa.ForeignKey("city.id"), primary_key=True),
        sa.Column("level", sa.Enum("low", "high", name="level"), primary_key=True),
    )
    sa.Table(
        "setting",
        tables,
        sa.Column("owner_id", sa.ForeignKey("tree.id"), nullable=False),
        sa.Column("key", sa.String(4), nullable=False),
        sa.Column("flag", sa.Boolean, nullable=False),
        sa.Column("kind", sa.String(9), sa.CheckConstraint("kind IN ('a', 'b''c')")),
        sa.PrimaryKeyConstraint("owner_id", "key"),
        sa.UniqueConstraint("flag", "kind"),
    )
    sa.Table(
        "everything",
        tables,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("small", sa.SmallInteger, sa.CheckConstraint("small > 5 AND small <= 9")),
        sa.Column("share", sa.Numeric(5, 3), sa.CheckConstraint("share BETWEEN 0 AND 1")),
        sa.Column("price", sa.Numeric(8, 2), nullable=False),
        sa.Column("ratio", sa.Float, nullable=False),
        sa.Column("naive", sa.DateTime, nullable=False),
        sa.Column("aware_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.Integer, nullable=False),
        sa.Column("opens", sa.Time, nullable=False),
        sa.Column("lasts", sa.Interval, nullable=False),
        sa.Column("bytes", sa.LargeBinary, nullable=False),
        sa.Column("tab", sa.Text, sa.CheckConstraint("tab IN ('a\tb', 'c\\d', 'e\nf')")),
        sa.Column("document", sa.JSON, nullable=False),
        sa.Column("double", sa.Integer, sa.Computed("id * 2", persisted=True)),
        sa.Column("unknown", Odd),
    )  # fmt: skip
    sa.Index("lower_name", sa.func.lower(tables.tables["city"].c.name), unique=True)
    return tables


def test_tables_that_are_hard_to_fill(made: sa.Engine) -> None:
    tables = awkward()
    tables.create_all(made)
    with made.begin() as connection:
        counts = fill(connection, tables, 300)
        rows = read(connection, tables)
        if made.dialect.name == "sqlite":
            assert connection.exec_driver_sql("pragma foreign_key_check").fetchall() == []
    assert counts == {
        "tree": 60,
        "country": 2,
        "city": 12,
        "seat": 60,
        "booking": 300,
        "twin": 300,
        # Two flags by two kinds.
        "setting": 4,
        "everything": 300,
    }
    assert all(capital and largest for _, capital, largest in rows["country"])
    assert len({row[:2] for row in rows["twin"]}) > 100
    first = rows["everything"][0]
    assert type(first[12]) is dict
    assert {row[11] for row in rows["everything"]} == {"a\tb", "c\\d", "e\nf"}
    assert {row[1] for row in rows["everything"]} <= {6, 7, 8, 9, None}


def test_a_cycle_that_nothing_can_close(made: sa.Engine) -> None:
    tables = sa.MetaData()
    for one, other in (("hen", "egg"), ("egg", "hen")):
        sa.Table(
            one,
            tables,
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("of", sa.ForeignKey(f"{other}.id", use_alter=True, name=one), nullable=False),
        )
    wanted = r"^a cycle of foreign keys that may not be NULL: egg to hen$"
    tables.create_all(made)
    with made.begin() as connection, pytest.raises(ValueError, match=wanted):
        fill(connection, tables)


def test_memory_does_not_grow_with_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "BATCH_ROWS", 50)
    tables = apps.metadata("dash")

    def peak(rows: int) -> int:
        path = tmp_path / f"{rows}.db"
        path.touch()
        made = engine.make(target.sqlite(str(path)), engine.Options())
        tables.create_all(made)
        gc.collect()
        tracemalloc.start()
        try:
            with made.begin() as connection:
                fill(connection, tables, rows)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            made.dispose()

    peak(10)
    assert peak(2_000) < 1.1 * peak(400)


# -- the command -----------------------------------------------------------------------------------


def test_the_command_fills_says_so_and_refuses_to_do_it_twice(
    run: Callable[..., Result], database18: str
) -> None:
    env = {"DATABASE_URL": database18, "BOOTSTRAPD_APP": "agentpane"}
    run("run", env=env).expect(0)
    answer = run("seed --demo --rows 40 --json", env=env).expect(0).json()
    assert answer["changed"] is True
    # The reference rows of the first start are there, and count as none.
    assert answer["seeded"]["marketplaces"] == {"inserted": 0, "present": 1}
    assert (answer["demo"]["marketplaces"], len(answer["demo"])) == (40, 25)
    again = run("seed --demo --rows 40 --json", env=env).expect(6).json()
    assert re.fullmatch(
        rf"{re.escape(target.parse(database18).identity)} has rows already: .*"
        r"marketplaces \(41\).*; demo rows go into empty tables, or with --more beside what is"
        r" there",
        again["error"]["message"],
    )
    more = run("seed --demo --more --rows 10", env=env).expect(0)
    assert " demo rows in 25 tables of " in more.stderr
    assert run("validate", env=env).expect(0)


def test_the_command_takes_a_number_a_table_and_lists_what_came(run: Callable[..., Result]) -> None:
    env = {"BOOTSTRAPD_APP": "business_os"}
    run("run", env=env).expect(0)
    filled = run("seed -q --demo --rows 50 --rows users=7 --rows messages=120", env=env).expect(0)
    assert filled.stdout == (
        "           7 users\n           2 businesses\n          10 conversations\n"
        "         120 messages\n"
    )
    unknown = run("seed --demo --more --rows user=7", env=env).expect(2)
    assert (
        "--rows: there is no table 'user' to fill; there are businesses, conversations, messages, "
        "users (runbook: settings)"
    ) in unknown.stderr
    for wrong in ("0", "users=", "users=many", "-5", "1e6"):
        refused = run(["seed", "--demo", f"--rows={wrong}"], env=env).expect(2)
        assert "Invalid value for '--rows': wanted a number of 1 or more, found " in refused.stderr


def test_demo_rows_do_not_go_into_production(run: Callable[..., Result]) -> None:
    run("run --app dash").expect(0)
    refused = run("seed --demo --app dash", env={"BOOTSTRAPD_ENVIRONMENT": "production"}).expect(6)
    assert "is in production: demo rows do not belong there; nothing was inserted" in refused.stderr


def test_any_project_with_models_can_be_filled(
    run: Callable[..., Result], project: Callable[..., projects.Project]
) -> None:
    shop = project(revisions=2)
    run("migrate", cwd=shop.path).expect(0)
    answer = run("seed --demo --rows 30 --json", cwd=shop.path).expect(0).json()
    assert answer["demo"] == {"item_0001": 30, "item_0002": 30}


def test_a_project_without_models_cannot(
    run: Callable[..., Result], project: Callable[..., projects.Project]
) -> None:
    shop = project(models=False)
    run("migrate", cwd=shop.path).expect(0)
    refused = run("seed --demo", cwd=shop.path).expect(6)
    assert "demo rows are made from the models, and app shop declares none; set metadata in " in (
        refused.stderr
    )


def test_asked_to_end_it_leaves_nothing(
    start: Callable[..., cli.Running], run: Callable[..., Result], database18: str, server18: Server
) -> None:
    env = {"DATABASE_URL": database18, "BOOTSTRAPD_APP": "godel"}
    run("run", env=env).expect(0)
    filling = start("seed --demo --rows 5000000 -v", env=env)
    filling.wait_for("demo rows, now")
    filling.signal(signal.SIGTERM)
    assert filling.wait().exit_code == 128 + signal.SIGTERM
    name = target.parse(database18).params["dbname"]
    assert server18.admin("SELECT count(*) FROM agents", name=name) == [(0,)]
    run("seed --demo --rows 10", env=env).expect(0)


def test_a_value_that_the_database_refuses_is_named_and_nothing_is_kept(
    run: Callable[..., Result], command: cli.Command
) -> None:
    env = {"BOOTSTRAPD_APP": "business_os"}
    run("run", env=env).expect(0)
    (path,) = command.cwd.glob("*.db")
    with closing(sqlite3.connect(path)) as file:
        file.execute(
            "CREATE TRIGGER no BEFORE INSERT ON messages"
            " BEGIN SELECT RAISE(ABORT, 'not today'); END"
        )
    failed = run("seed --demo", env=env).expect(6)
    assert f"filling {path} with demo rows failed and was rolled back: not today" in failed.stderr
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT count(*) FROM users").fetchone() == (0,)
