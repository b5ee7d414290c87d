"""What godel has beside its document - verbs, triggers, views, policies - on each database.

The schema is made by the models; that it is the one of the revisions is another test's promise.
"""

import datetime
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.dialects import sqlite

from bootstrap import models as shared
from bootstrap import target
from bootstrap.apps.godel import enums, models, triggers, views
from bootstrap.apps.godel.managed import Managed
from bootstrap.apps.godel.storage import Storage, connect
from bootstrap.client import Client
from bootstrap.repository import Repository
from tests.support import apps
from tests.support.postgres import Server

HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def client(database_url: str) -> Iterator[Client]:
    """A client of each kind of database, with the schema."""
    apps.create(models.Base.metadata, database_url)
    with connect(target.parse(database_url)) as client:
        yield client


@pytest.fixture
def godel(client: Client) -> Managed:
    """The repositories."""
    return Managed(client)


def repository(client: Client, of: type[models.Base]) -> Any:
    """The repository of any model."""

    class Rows(Repository[Any]):
        model = of

    return Rows(client)


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def view(client: Client, of: sa.Table) -> list[dict[str, Any]]:
    return client.query(sa.select(of).order_by(of.columns.values()[0]))


def pi_session(client: Client, **values: Any) -> models.PiSession:
    instance = repository(client, models.PiInstance).create(
        {"endpoint": shared.new_id(), "provider_type": "ollama"}
    )
    made: models.PiSession = repository(client, models.PiSession).create(
        {"instance_id": instance.id, "provider": "ollama", "model": "m", **values}
    )
    return made


# -- the document's rows ---------------------------------------------------------------------------


def test_the_documents_rows_have_the_rest_by_default(client: Client) -> None:
    storage = Storage(client)
    agent = storage.create("agents", {"task": "Test"})
    managed = repository(client, models.ManagedAgent).get(agent.id)
    assert (managed.task, managed.status, managed.lifecycle_state) == (
        "Test",
        "pending",
        "initializing",
    )
    assert (managed.config, managed.retry_count, managed.max_retries, managed.version) == (
        {},
        0,
        3,
        0,
    )
    assert abs(managed.spawned_at - now()) < HOUR
    workflow = storage.create("workflows", {"name": "w"})
    defined = repository(client, models.DefinedWorkflow).get(workflow.id)
    assert (defined.definition, defined.version, defined.on_failure) == ({}, "1.0.0", "stop")
    event = storage.create("events", {"type": "x"})
    logged = repository(client, models.LoggedEvent).get(event.id)
    assert (logged.payload, logged.entity_type, logged.severity) == ({}, "system", "info")


def test_a_team_that_goes_leaves_its_agents(client: Client, godel: Managed) -> None:
    team = Storage(client).teams.create({"name": "t", "status": "as the document likes"})
    agents = repository(client, models.ManagedAgent)
    agent = agents.create({"task": "x", "team_id": team.id})
    events = repository(client, models.LoggedEvent)
    first = events.create({"agent_id": agent.id})
    second = events.create({"team_id": team.id, "parent_event_id": first.id})
    godel.budgets.create({"team_id": team.id, "scope_id": shared.new_id()})
    assert Storage(client).teams.delete(team.id)
    assert agents.get(agent.id).team_id is None
    assert (events.get(second.id), godel.budgets.count()) == (None, 0)
    assert agents.delete(agent.id)
    assert events.get(first.id).agent_id is None


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (models.ManagedAgent, {"status": "busy"}),
        (models.ManagedAgent, {"lifecycle_state": "busy"}),
        (models.ManagedAgent, {"team_id": "nobody's"}),
        (models.LoggedEvent, {"severity": "high"}),
        (models.LoggedEvent, {"parent_event_id": "nothing"}),
        (models.User, {"email": "a@b", "password_hash": "x", "role": "guest"}),
        (models.PiInstance, {"endpoint": "e", "provider_type": "ollama", "max_sessions": 0}),
        (models.OpenclawInstance, {"endpoint": "e", "cpu_percent": Decimal("100.01")}),
        (models.AgentRole, {"role_id": "r", "name": "n", "system_prompt": "", "max_iterations": 0}),
        (models.ProviderRoutingRule, {"name": "n", "strategy": "by chance"}),
    ],
)
def test_what_a_column_may_not_hold_is_refused(
    client: Client, model: type[models.Base], values: dict[str, Any]
) -> None:
    with pytest.raises(sa.exc.IntegrityError):
        repository(client, model).create(values)


def test_placements_keep_lists_and_exact_numbers(client: Client) -> None:
    placements = repository(client, models.Placement)
    values = {
        "agent_id": "not ours",
        "success": True,
        "preempted_agent_ids": ["a", 'b,"{}\\', "", "é"],
        "cpu_requested": Decimal("0.50"),
        "affinity_score": Decimal("-999.99"),
    }
    made = placements.create(values)
    assert isinstance(made.id, int)
    found = placements.get(made.id)
    assert {name: getattr(found, name) for name in values} == values
    assert placements.create({"agent_id": "b", "success": False}).preempted_agent_ids is None


# -- what the database does by itself --------------------------------------------------------------


@pytest.mark.parametrize("table", triggers.COUNTED)
def test_milliseconds_are_the_databases_unless_a_statement_gives_them(
    client: Client, table: str
) -> None:
    client.execute(f"INSERT INTO {table} (id, created_at, updated_at) VALUES ('a', 5, 5)")
    before_ms = time.time_ns() // 1_000_000
    client.execute(f"UPDATE {table} SET version = 1")
    (row,) = client.query(f"SELECT created_at, updated_at FROM {table}")
    assert row["created_at"] == 5
    # The server's clock is this machine's, which a step may set right in between.
    assert abs(row["updated_at"] - before_ms) < 60_000
    client.execute(f"UPDATE {table} SET version = 2, updated_at = 7")
    assert client.query(f"SELECT updated_at, version FROM {table}") == [
        {"updated_at": 7, "version": 2}
    ]
    client.execute(f"UPDATE {table} SET updated_at = NULL, version = 3")
    client.execute(f"UPDATE {table} SET version = 4")
    (row,) = client.query(f"SELECT updated_at FROM {table}")
    assert abs(row["updated_at"] - before_ms) < 60_000


def test_every_updated_at_moves_with_a_change(client: Client, godel: Managed) -> None:
    session = pi_session(client)
    team = Storage(client).teams.create({})
    user = {"email": "a@b", "password_hash": "x"}
    tree = {"worktree_path": "/w", "repository_path": "/r", "base_branch": "m"}
    role = {"role_id": "r", "name": "n", "system_prompt": "p"}
    rows: dict[str, tuple[type[models.Base], dict[str, Any]]] = {
        "sessions": (models.Session, {}),
        "budgets": (models.Budget, {"team_id": team.id, "scope_id": session.id}),
        "users": (models.User, user),
        "api_keys": (models.ApiKey, {"key_hash": "x", "name": "n"}),
        "worktrees": (models.Worktree, {**tree, "current_branch": "b"}),
        "conversation_trees": (models.ConversationTree, {"session_id": session.id}),
        "agent_roles": (models.AgentRole, role),
        "openclaw_instances": (models.OpenclawInstance, {"endpoint": "e"}),
        "provider_routing_rules": (models.ProviderRoutingRule, {"name": "n"}),
        "todos": (models.Todo, {"session_id": session.id, "todo_id": "1", "content": "c"}),
    }
    for model, values in rows.values():
        repository(client, model).create(values)
    assert {"pi_instances", "pi_sessions", *rows} == set(triggers.TIMED)
    long_ago = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    for name in triggers.TIMED:
        table = models.Base.metadata.tables[name]
        # Whatever a statement gives.
        assert client.execute(sa.update(table).values(updated_at=long_ago)) == 1
        (row,) = client.query(sa.select(table.c.updated_at))
        assert abs(row["updated_at"] - now()) < HOUR, name


def test_policies_let_everybody_do_everything(server: Server, database: str) -> None:
    apps.create(models.Base.metadata, database)
    secured = (
        "select relname from pg_class where relrowsecurity"
        " and relnamespace = 'public'::regnamespace order by 1"
    )
    name = target.parse(database).params["dbname"]
    server.admin("create role guest login password 'guest'")
    try:
        with psycopg.connect(database) as owner:
            assert [row[0] for row in owner.execute(secured)] == sorted(triggers.SECURED)
            for table in triggers.SECURED:
                owner.execute(
                    sql.SQL("grant select, insert, update, delete on {} to guest").format(
                        sql.Identifier(table)
                    )
                )
        url = server.url(str(name), user="guest", password="guest")
        with psycopg.connect(url) as guest:
            guest.execute("insert into provider_routing_rules (name) values ('mine')")
            assert guest.execute("update provider_routing_rules set name = 'ours'").rowcount == 1
            assert guest.execute("select name from provider_routing_rules").fetchall() == [
                ("ours",)
            ]
            assert guest.execute("delete from provider_routing_rules").rowcount == 1
        with psycopg.connect(database) as owner:
            owner.execute("drop policy provider_routing_rules_everyone on provider_routing_rules")
        with (
            psycopg.connect(url) as guest,
            pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"),
        ):
            guest.execute("insert into provider_routing_rules (name) values ('mine')")
    finally:
        with psycopg.connect(server.url(str(name))) as connection:
            connection.execute("drop owned by guest")
        server.admin("drop role guest")


# -- views -----------------------------------------------------------------------------------------


def test_the_summary_of_teams(client: Client, godel: Managed) -> None:
    teams = Storage(client).teams
    own = teams.create({"id": shared.new_id(), "name": "own", "config": {"size": 2}})
    other = teams.create({"name": "other"})
    agents = repository(client, models.ManagedAgent)
    for status in ("running", "running", "failed"):
        agents.create({"team_id": own.id, "status": status})
    spent = {"team_id": own.id, "allocated": Decimal(3), "consumed": Decimal(1)}
    godel.budgets.create({**spent, "scope_id": shared.new_id(), "consumed": Decimal(2)})
    godel.budgets.create({**spent, "scope_id": own.id})
    godel.budgets.create({**spent, "scope_id": own.id, "scope_type": "agent"})
    rows = {row["name"]: row for row in view(client, views.SWARM_SUMMARY)}
    assert rows == {
        "own": {
            "id": own.id,
            "name": "own",
            "status": None,
            "created_at": own.created_at,
            "config": {"size": 2},
            "running_agents": 2,
            "total_agents": 3,
            "budget_allocated": Decimal("3.0000"),
            "budget_consumed": Decimal("1.0000"),
            "budget_percentage": Decimal("33.33"),
        },
        "other": {
            "id": other.id,
            "name": "other",
            "status": None,
            "created_at": other.created_at,
            "config": None,
            "running_agents": 0,
            "total_agents": 0,
            "budget_allocated": None,
            "budget_consumed": None,
            "budget_percentage": Decimal("0.00"),
        },
    }


def test_the_activity_of_agents(client: Client) -> None:
    team = Storage(client).teams.create({"name": "t"})
    spawned = now() - datetime.timedelta(days=40)
    ended = spawned + datetime.timedelta(seconds=90, microseconds=250_001)
    agents = repository(client, models.ManagedAgent)
    agents.create(
        {"id": "a", "team_id": team.id, "task": "x", "spawned_at": spawned, "completed_at": ended}
    )
    agents.create({"id": "b", "spawned_at": now() - HOUR})
    first, second = view(client, views.AGENT_ACTIVITY)
    assert first["duration_seconds"] == pytest.approx(90.250001, abs=1e-6)
    assert (first["swarm_name"], first["spawned_at"], first["completed_at"]) == (
        "t",
        spawned,
        ended,
    )
    assert second["duration_seconds"] == pytest.approx(3600, abs=600)
    assert (second["swarm_name"], second["completed_at"]) == (None, None)


def test_the_events_of_a_day(client: Client) -> None:
    team = Storage(client).teams.create({})
    events = repository(client, models.LoggedEvent)
    first, last = now() - 23 * HOUR, now()
    for moment, team_id in ((first, team.id), (last, None), (now() - 25 * HOUR, None)):
        events.create({"type": "x", "timestamp": moment, "team_id": team_id})
    assert view(client, views.EVENT_STATS_24H) == [
        {
            "type": "x",
            "event_count": 2,
            "unique_agents": 0,
            "unique_swarms": 1,
            "first_occurrence": first,
            "last_occurrence": last,
        }
    ]


def test_the_statistics_of_scheduling(client: Client) -> None:
    placements = repository(client, models.Placement)
    hour = datetime.datetime(2026, 2, 3, 10, tzinfo=datetime.UTC)
    for minutes, success, latency_ms, score in (
        (0, True, 10, "0.25"),
        (59, False, 25, None),
        (60, True, None, None),
    ):
        placements.create(
            {
                "agent_id": "a",
                "success": success,
                "scheduled_at": hour + datetime.timedelta(minutes=minutes),
                "scheduling_latency_ms": latency_ms,
                "affinity_score": score and Decimal(score),
            }
        )
    found = client.query(sa.select(views.SCHEDULING_STATS))
    assert [tuple(row.values()) for row in found] == [
        (hour + HOUR, 1, 1, 0, None, None),
        (hour, 2, 1, 1, 17.5, 0.25),
    ]


def test_the_views_of_pi(client: Client, godel: Managed) -> None:
    instances = repository(client, models.PiInstance)
    instance = instances.create(
        {"endpoint": "e", "provider_type": "kimi", "current_load": 1, "max_sessions": 3}
    )
    sessions = repository(client, models.PiSession)
    began = now() - HOUR
    of = {"instance_id": instance.id, "provider": "kimi", "model": "m", "created_at": began}
    session, *_ = (
        sessions.create({**of, "status": status, "ended_at": ended})
        for status, ended in (
            ("active", None),
            ("initializing", None),
            ("completed", began + datetime.timedelta(seconds=5)),
        )
    )
    statuses: list[enums.TodoStatus] = ["pending", "in_progress", "completed", "blocked"]
    for number, todo_status in enumerate(statuses):
        todo = godel.todos.create(
            {"session_id": session.id, "todo_id": str(number), "content": "c"}
        )
        godel.todos.set_status(todo.id, todo_status)
    (load,) = view(client, views.PI_INSTANCE_SUMMARY)
    assert (load["load_percentage"], load["active_sessions"]) == (Decimal("33.33"), 2)
    assert (load["cost_per_1k_input"], load["created_at"]) == (Decimal(0), instance.created_at)
    activity = {row["status"]: row for row in view(client, views.PI_SESSION_ACTIVITY)}
    assert activity["completed"]["duration_seconds"] == pytest.approx(5, abs=1e-6)
    assert activity["active"]["duration_seconds"] == pytest.approx(3600, abs=600)
    assert (activity["active"]["pending_todos"], activity["completed"]["pending_todos"]) == (2, 0)
    assert activity["active"]["instance_endpoint"] == "e"
    summary = godel.todos.summary(session.id)
    assert summary is not None
    assert [value for name, value in summary.items() if name.endswith("_count")] == [1, 1, 1, 1, 4]
    assert summary["last_completed"] >= summary["oldest_pending"] - HOUR


# -- the verbs -------------------------------------------------------------------------------------


def test_users_and_their_keys(godel: Managed) -> None:
    user = godel.users.create({"email": "a@b", "password_hash": "x"})
    assert (user.role, user.is_active, user.last_login_at) == ("user", True, None)
    seen = godel.users.logged_in(user.id)
    assert seen is not None
    assert seen.last_login_at is not None
    found = godel.users.find_by_email("a@b")
    assert found is not None
    assert found.id == user.id
    with pytest.raises(sa.exc.IntegrityError):
        godel.users.create({"email": "a@b", "password_hash": "y"})

    key, row = godel.api_keys.issue("ci", user_id=user.id)
    assert key not in str(vars(row))
    assert (row.scopes, row.rate_limit, row.last_used_at) == (["read"], 100, None)
    used = godel.api_keys.valid(key)
    assert used is not None
    assert (used.id, used.last_used_at is not None) == (row.id, True)
    assert godel.api_keys.valid(key + "x") is None
    assert godel.api_keys.revoke(row.id) is True
    assert godel.api_keys.valid(key) is None
    revoked = godel.api_keys.get(row.id)
    assert revoked is not None
    assert (revoked.is_revoked, revoked.revoked_at is not None) == (True, True)
    # The time of it stays the first.
    assert godel.api_keys.revoke(row.id) is False

    assert godel.users.deactivate(user.id) is not None
    assert godel.users.find_by_email("a@b") is None
    assert godel.users.delete(user.id)
    orphan = godel.api_keys.get(row.id)
    assert orphan is not None
    assert orphan.user_id is None


@pytest.mark.parametrize(("hours", "lets_in"), [(1, True), (-1, False)])
def test_a_key_lets_in_until_it_expires(godel: Managed, hours: int, lets_in: bool) -> None:
    key, row = godel.api_keys.issue("n", scopes=["read", "write"], expires_at=now() + hours * HOUR)
    found = godel.api_keys.valid(key)
    assert (found is not None) == lets_in
    if found is not None:
        assert (found.id, found.scopes) == (row.id, ["read", "write"])
    godel.api_keys.update(row.id, {"is_active": False})
    assert godel.api_keys.valid(key) is None


def test_sessions_expire(godel: Managed) -> None:
    ends = {"never": None, "later": now() + HOUR, "over": now() - HOUR}
    made = {name: godel.sessions.create({"expires_at": end}).id for name, end in ends.items()}
    live = {name for name, id_ in made.items() if godel.sessions.find_live(id_) is not None}
    assert live == {"never", "later"}
    assert (godel.sessions.delete_expired(), godel.sessions.count()) == (1, 2)


def test_budgets_are_never_overspent(client: Client, godel: Managed) -> None:
    team = Storage(client).teams.create({})
    scope = shared.new_id()
    values = {"team_id": team.id, "scope_id": scope, "allocated": Decimal(1), "max_tokens": 100}
    budget = godel.budgets.create(values)
    with ThreadPoolExecutor(8) as threads:
        taken = list(
            threads.map(lambda _: godel.budgets.consume(budget.id, 7, Decimal("0.1")), range(20))
        )
    assert taken.count(True) == 10
    found = godel.budgets.find_by_scope("team", scope)
    assert found is not None
    assert (found.consumed, found.used_tokens) == (Decimal("1.0000"), 70)
    assert godel.budgets.consume(budget.id, 30, 0) is True
    assert godel.budgets.consume(budget.id, 1, 0) is False
    assert godel.budgets.find_by_scope("agent", scope) is None
    with pytest.raises(sa.exc.IntegrityError):
        godel.budgets.create(values)


def test_worktrees_are_stale_after_an_hour(client: Client, godel: Managed) -> None:
    session = pi_session(client)
    values = {"session_id": session.id, "repository_path": "/r", "worktree_path": "/w"}
    branches = {"base_branch": "main", "current_branch": "b"}
    old = godel.worktrees.create(
        {**values, **branches, "last_activity": now() - HOUR - datetime.timedelta(minutes=1)}
    )
    godel.worktrees.create({**values, **branches})
    (stale,) = godel.worktrees.list_stale()
    assert (stale["id"], stale["is_stale"]) == (old.id, True)
    assert stale["seconds_since_activity"] == pytest.approx(3660, abs=600)
    assert godel.worktrees.touch(old.id) is not None
    assert godel.worktrees.list_stale() == []
    godel.worktrees.update(old.id, {"last_activity": now() - 2 * HOUR})
    cleaned = godel.worktrees.cleaned(old.id)
    assert cleaned is not None
    assert (cleaned.status, cleaned.cleaned_up_at is not None) == ("cleaned", True)
    assert godel.worktrees.list_stale() == []
    # It outlives its session.
    assert repository(client, models.PiSession).delete(session.id)
    orphan = godel.worktrees.get(old.id)
    assert orphan is not None
    assert orphan.session_id is None


def test_todos_come_the_most_urgent_first(client: Client, godel: Managed) -> None:
    session = pi_session(client)
    made = {}
    for name, priority in (("low", 1), ("high", 5), ("done", 5), ("middle", 3)):
        values = {"session_id": session.id, "todo_id": name, "content": "c", "priority": priority}
        made[name] = godel.todos.create(values).id
    done = godel.todos.set_status(made["done"], "completed")
    assert done is not None
    assert done.completed_at is not None
    godel.todos.set_status(made["middle"], "in_progress")
    assert [todo.todo_id for todo in godel.todos.list_open(session.id)] == ["high", "middle", "low"]
    again = godel.todos.set_status(made["done"], "pending")
    assert again is not None
    assert again.completed_at is None
    with pytest.raises(sa.exc.IntegrityError):
        godel.todos.create({**values, "todo_id": "high"})
    with pytest.raises(sa.exc.IntegrityError):
        godel.todos.create({**values, "todo_id": "new", "priority": 6})
    assert repository(client, models.PiSession).delete(session.id)
    assert godel.todos.count() == 0


def test_conversations_fork(client: Client) -> None:
    session = pi_session(client)
    tree = repository(client, models.ConversationTree).create({"session_id": session.id})
    nodes = repository(client, models.ConversationNode)
    root = nodes.create({"tree_id": tree.id, "role": "user", "content": "é 🙂"})
    calls = [{"name": "read", "arguments": {"path": "x"}}]
    forks = [
        nodes.create(
            {
                "tree_id": tree.id,
                "role": "assistant",
                "content": "",
                "parent_id": root.id,
                "tool_calls": calls,
            }
        ).id
        for _ in range(2)
    ]
    assert nodes.get(forks[0]).tool_calls == calls
    assert nodes.get(forks[0]).children_ids == []
    assert nodes.delete(root.id)
    assert [nodes.get(id_).parent_id for id_ in forks] == [None, None]
    assert repository(client, models.ConversationTree).delete(tree.id)
    assert nodes.count() == 0


def test_sqlite_finds_the_rows_of_a_partial_index(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/app.db"
    apps.create(models.Base.metadata, url)
    keys, nodes = models.ApiKey.__table__, models.ConversationNode.__table__
    asked = {
        "idx_api_keys_active_valid": (keys, keys.c.is_active & ~keys.c.is_revoked),
        "idx_conversation_nodes_compacted": (nodes, nodes.c.is_compacted),
    }
    with connect(target.parse(url)) as client:
        for index, (table, condition) in asked.items():
            query: sa.Select[Any] = (
                sa.select(sa.literal_column("1")).select_from(table).where(condition)
            )
            text = str(query.compile(dialect=sqlite.dialect()))
            name = f"FROM {table.description}"
            assert name in text
            # SQLite refuses such a query where the index is of no use.
            assert client.query(text.replace(name, f"{name} INDEXED BY {index}")) == []
