"""dash's repositories: what its document does with them, on each database."""

import datetime
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from bootstrap.apps.dash import models
from bootstrap.apps.dash.repositories import BudgetUsage, EventStats
from bootstrap.apps.dash.storage import Storage
from tests.support import dash

NOBODY = str(uuid.uuid4())
DAY = datetime.timedelta(days=1)


@pytest.fixture
def storage(database_url: str) -> Iterator[Storage]:
    """Storage on each kind of database."""
    with dash.open_new(database_url) as storage:
        yield storage


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def run_sql(storage: Storage, statement: str, **values: object) -> None:
    assert storage.client.execute(statement, values) == 1


# -- swarms ----------------------------------------------------------------------------------------


def test_swarms_as_in_the_document(storage: Storage) -> None:
    swarm = storage.swarms.create({"name": "My Swarm", "config": {"maxAgents": 10}})

    found = storage.swarms.find_by_id(swarm.id)
    assert found is not None
    assert (found.name, found.config) == ("My Swarm", {"maxAgents": 10})
    assert [each.id for each in storage.swarms.list(limit=10)] == [swarm.id]

    paused = storage.swarms.update(swarm.id, {"status": "paused"})
    assert paused is not None
    assert (paused.status, paused.name) == ("paused", "My Swarm")

    assert storage.swarms.delete(swarm.id) is True
    assert storage.swarms.find_by_id(swarm.id) is None
    assert storage.swarms.delete(swarm.id) is False
    assert storage.swarms.count() == 0


def test_a_swarm_is_being_created_by_the_repository_and_active_by_the_database(
    storage: Storage,
) -> None:
    assert storage.swarms.create({"name": "a"}).status == "creating"
    assert storage.swarms.create({"name": "b", "status": "active"}).status == "active"
    run_sql(storage, "INSERT INTO swarms (name) VALUES ('c')")
    by_hand = storage.swarms.find_by_name("c")
    assert by_hand is not None
    assert (by_hand.status, by_hand.config, by_hand.completed_at) == ("active", {}, None)
    assert uuid.UUID(by_hand.id).version == 4
    assert by_hand.id == str(uuid.UUID(by_hand.id))


def test_swarms_are_found_by_name_and_known_by_id(storage: Storage) -> None:
    first = storage.swarms.create({"name": "twice"})
    second = storage.swarms.create({"name": "twice"})
    found = storage.swarms.find_by_name("twice")
    assert found is not None
    assert found.id == second.id
    assert storage.swarms.find_by_name("never") is None
    assert storage.swarms.exists(first.id) is True
    assert storage.swarms.exists(NOBODY) is False


def test_a_swarm_that_ends_gets_the_time_of_it(storage: Storage) -> None:
    swarm = storage.swarms.create({"name": "a"})
    scaling = storage.swarms.update_status(swarm.id, "scaling")
    assert scaling is not None
    assert (scaling.status, scaling.completed_at) == ("scaling", None)
    ended = storage.swarms.update_status(swarm.id, "completed")
    assert ended is not None
    assert ended.completed_at is not None
    assert abs(ended.completed_at - now()) < DAY
    assert storage.swarms.update_status(NOBODY, "failed") is None


def test_lists_come_in_the_order_of_arrival_newest_first(storage: Storage) -> None:
    made = [storage.swarms.create({"name": f"swarm {number}"}).id for number in range(8)]
    assert [swarm.id for swarm in storage.swarms.list()] == made[::-1]
    assert [swarm.id for swarm in storage.swarms.list(limit=2, offset=3)] == made[4:2:-1]
    old = storage.swarms.create({"name": "old", "created_at": now() - DAY})
    assert storage.swarms.list()[-1].id == old.id


def test_what_belongs_to_a_swarm_goes_with_it_but_its_agents(storage: Storage) -> None:
    swarm = storage.swarms.create({"name": "a"})
    agent = storage.agents.create({"swarm_id": swarm.id, "model": "m", "task": "t"})
    first = storage.events.create({"type": "x", "swarm_id": swarm.id})
    child = storage.events.create({"type": "y", "parent_event_id": first.id, "agent_id": agent.id})
    budget = storage.budgets.create({"swarm_id": swarm.id, "scope_id": swarm.id})

    assert storage.swarms.delete(swarm.id) is True
    assert storage.budgets.get(budget.id) is None
    assert storage.events.get(first.id) is None
    orphan, kept = storage.agents.get(agent.id), storage.events.get(child.id)
    assert orphan is not None
    assert kept is not None
    assert (orphan.swarm_id, kept.parent_event_id, kept.agent_id) == (None, None, agent.id)
    assert storage.agents.delete(agent.id) is True
    kept = storage.events.get(child.id)
    assert kept is not None
    assert kept.agent_id is None


# -- agents ----------------------------------------------------------------------------------------


@pytest.fixture
def agent_id(storage: Storage) -> str:
    """An agent of a swarm, as the document makes it."""
    swarm = storage.swarms.create({"name": "My Swarm"})
    values = {"swarm_id": swarm.id, "model": "kimi-k2.5", "task": "Build feature"}
    return storage.agents.create(values).id


def test_an_agent_begins_pending(storage: Storage, agent_id: str) -> None:
    agent = storage.agents.find_by_id(agent_id)
    assert agent is not None
    assert (agent.status, agent.lifecycle_state) == ("pending", "initializing")
    assert (agent.model, agent.task, agent.label) == ("kimi-k2.5", "Build feature", None)
    assert (agent.runtime, agent.retry_count, agent.max_retries) == (0, 0, 3)
    assert (agent.config, agent.metadata_, agent.context) == ({}, {}, None)
    assert (agent.budget_limit, agent.completed_at) == (None, None)
    assert agent.spawned_at == agent.updated_at


def test_update_status(storage: Storage, agent_id: str) -> None:
    going: tuple[models.AgentStatus, ...] = ("running", "paused", "blocked", "killed")
    for status in going:
        agent = storage.agents.update_status(agent_id, status)
        assert agent is not None
        assert (agent.status, agent.completed_at) == (status, None)
    ended: tuple[models.AgentStatus, ...] = ("completed", "failed")
    for status in ended:
        storage.agents.update(agent_id, {"completed_at": None})
        agent = storage.agents.update_status(agent_id, status)
        assert agent is not None
        assert agent.status == status
        assert agent.completed_at is not None
        assert abs(agent.completed_at - now()) < DAY
        assert agent.lifecycle_state == "initializing"


def test_pause_and_resume(storage: Storage, agent_id: str) -> None:
    agent = storage.agents.pause(agent_id, "user-123")
    assert agent is not None
    assert (agent.status, agent.lifecycle_state, agent.paused_by) == (
        "paused",
        "paused",
        "user-123",
    )
    assert agent.pause_time is not None
    assert abs(agent.pause_time - now()) < DAY
    agent = storage.agents.resume(agent_id)
    assert agent is not None
    assert (agent.status, agent.lifecycle_state) == ("running", "running")
    assert (agent.pause_time, agent.paused_by) == (None, None)
    assert storage.agents.pause(NOBODY, "user-123") is None
    assert storage.agents.resume(NOBODY) is None


def test_lifecycle(storage: Storage, agent_id: str) -> None:
    agent = storage.agents.update_lifecycle_state(agent_id, "cleaning_up")
    assert agent is not None
    assert (agent.lifecycle_state, agent.status) == ("cleaning_up", "pending")


def test_agents_are_listed_newest_first(storage: Storage, agent_id: str) -> None:
    later = storage.agents.create({"model": "m", "task": "t", "swarm_id": None})
    assert [agent.id for agent in storage.agents.list()] == [later.id, agent_id]


# -- events ----------------------------------------------------------------------------------------


def test_events_as_in_the_document(storage: Storage, agent_id: str) -> None:
    agent = storage.agents.get(agent_id)
    assert agent is not None
    spawned = storage.events.create(
        {
            "type": "agent.spawned",
            "agent_id": agent_id,
            "swarm_id": agent.swarm_id,
            "payload": {"model": "kimi-k2.5"},
        }
    )
    assert (spawned.entity_type, spawned.severity) == ("system", "info")
    storage.events.create({"type": "agent.paused", "swarm_id": agent.swarm_id})
    storage.events.create({"type": "agent.completed", "agent_id": agent_id})
    events = storage.events.find_by_filter(
        swarm_id=agent.swarm_id,
        types=["agent.spawned", "agent.completed"],
        since=now() - DAY,
        limit=100,
    )
    assert [(event.id, event.payload) for event in events] == [(spawned.id, {"model": "kimi-k2.5"})]
    assert storage.events.get_stats(24) == EventStats(
        total=3,
        by_type={"agent.spawned": 1, "agent.paused": 1, "agent.completed": 1},
        by_severity={"debug": 0, "info": 3, "warning": 0, "error": 0, "critical": 0},
    )


@pytest.fixture
def day(storage: Storage) -> datetime.datetime:
    """Noon of a day, with an event each hour from then on, named by its number: 0 to 5."""
    noon = datetime.datetime(2026, 2, 3, 12, tzinfo=datetime.UTC)
    for hour, (severity, entity) in enumerate(
        [
            ("debug", "agent"),
            ("info", "task"),
            ("warning", "system"),
            ("error", "agent"),
            ("critical", "task"),
            ("info", "system"),
        ]
    ):
        storage.events.create(
            {
                "type": f"{hour}",
                "severity": severity,
                "entity_type": entity,
                "timestamp": noon + datetime.timedelta(hours=hour),
                "correlation_id": NOBODY,
            }
        )
    return noon


FILTERS: list[tuple[dict[str, Any], str]] = [
    ({}, "543210"),
    ({"limit": 2}, "54"),
    ({"limit": 2, "offset": 3}, "21"),
    ({"types": ["1", "4", "9"]}, "41"),
    ({"types": []}, ""),
    ({"severity": "error"}, "3"),
    ({"entity_type": "task"}, "41"),
    ({"entity_type": "task", "severity": "info"}, "1"),
    ({"severity": "info"}, "51"),
    ({"since": 4}, "54"),
    ({"until": 1}, "10"),
    ({"since": 2, "until": 3}, "32"),
    ({"agent_id": NOBODY}, ""),
]


def test_find_by_filter(storage: Storage, day: datetime.datetime) -> None:
    for wanted, found in FILTERS:
        for bound in {"since", "until"} & wanted.keys():
            # Hours after noon, said in another zone.
            zone = datetime.timezone(datetime.timedelta(hours=-8))
            moment = (day + datetime.timedelta(hours=wanted[bound])).astimezone(zone)
            wanted = {**wanted, bound: moment}
        events = storage.events.find_by_filter(**wanted)
        assert "".join(event.type for event in events) == found, wanted


def test_statistics_count_the_hours_that_are_asked_for(storage: Storage) -> None:
    for hours, severity in ((0, "error"), (1.4, "error"), (1.6, "debug"), (30, "critical")):
        moment = now() - datetime.timedelta(hours=hours)
        storage.events.create({"type": "x", "severity": severity, "timestamp": moment})
    run_sql(storage, "UPDATE events SET severity = NULL WHERE severity = 'critical'")
    none = {"debug": 0, "info": 0, "warning": 0, "error": 0, "critical": 0}
    assert storage.events.get_stats(1.5) == EventStats(2, {"x": 2}, {**none, "error": 2})
    two = {**none, "error": 2, "debug": 1}
    assert storage.events.get_stats() == EventStats(3, {"x": 3}, two)
    assert storage.events.get_stats(31) == EventStats(4, {"x": 4}, two)
    assert storage.events.get_stats(0) == EventStats(0, {}, none)
    with pytest.raises(ValueError, match="wanted 0 hours or more, found -1"):
        storage.events.get_stats(-1)


def test_old_events_are_deleted(storage: Storage, day: datetime.datetime) -> None:
    assert storage.events.delete_old(day + datetime.timedelta(hours=4)) == 4
    assert "".join(event.type for event in storage.events.list()) == "54"


# -- sessions --------------------------------------------------------------------------------------


def test_sessions_as_in_the_document(storage: Storage) -> None:
    session = storage.sessions.create({"tree_data": {"root": "main"}, "current_branch": "main"})
    tree = {"root": "main", "children": [{"name": "x", "children": []}]}
    moved = storage.sessions.update_tree_data(session.id, tree, "branch-name")
    assert moved is not None
    assert (moved.tree_data, moved.current_branch) == (tree, "branch-name")
    stayed = storage.sessions.update_tree_data(session.id, {})
    assert stayed is not None
    assert (stayed.tree_data, stayed.current_branch) == ({}, "branch-name")

    merged = storage.sessions.merge_metadata(session.id, {"key": "value"})
    assert merged is not None
    assert merged.metadata_ == {"key": "value"}
    assert storage.sessions.update_tree_data(NOBODY, {}) is None
    assert storage.sessions.merge_metadata(NOBODY, {}) is None


def test_metadata_is_merged_one_level_deep_and_null_is_a_value(storage: Storage) -> None:
    first = {"kept": 1, "object": {"a": 1, "b": 2}, "gone": "x"}
    session = storage.sessions.create({"metadata": first})
    merged = storage.sessions.merge_metadata(
        session.id, {"object": {"a": 9}, "gone": None, "new": [1]}
    )
    assert merged is not None
    assert merged.metadata_ == {"kept": 1, "object": {"a": 9}, "gone": None, "new": [1]}


def test_expired_sessions_are_hidden_until_they_are_asked_for(storage: Storage) -> None:
    past, future = now() - DAY, now() + DAY
    expired = storage.sessions.create({"expires_at": past})
    alive = [storage.sessions.create({"expires_at": each}).id for each in (future, None)]

    assert [session.id for session in storage.sessions.list()] == alive[::-1]
    assert len(storage.sessions.list(include_expired=True)) == 3
    assert storage.sessions.count() == 2
    assert storage.sessions.count(include_expired=True) == 3
    assert storage.sessions.exists(expired.id) is False
    assert storage.sessions.exists(expired.id, include_expired=True) is True
    assert storage.sessions.exists(alive[0]) is True
    assert storage.sessions.find_by_id(expired.id) is not None

    assert storage.sessions.cleanup_expired() == 1
    assert storage.sessions.count(include_expired=True) == 2


# -- budgets ---------------------------------------------------------------------------------------


@pytest.fixture
def swarm_id(storage: Storage) -> str:
    """A swarm."""
    return storage.swarms.create({"name": "My Swarm"}).id


def test_budgets_as_in_the_document(storage: Storage, swarm_id: str) -> None:
    budget = storage.budgets.create(
        {
            "swarm_id": swarm_id,
            "scope_type": "swarm",
            "scope_id": swarm_id,
            "allocated": 100.00,
            "currency": "USD",
            "max_tokens": 100000,
        }
    )
    assert (budget.allocated, budget.consumed) == (Decimal(100), Decimal(0))
    assert budget.used_tokens == 0
    assert storage.budgets.consume_budget(budget.id, 25_000, 12.5) is True
    usage = storage.budgets.get_usage(budget.id)
    assert usage == BudgetUsage(
        tokens=25_000,
        cost=Decimal("12.5"),
        percentage_tokens=25.0,
        percentage_cost=12.5,
        is_exceeded=False,
        remaining_tokens=75_000,
        remaining_cost=Decimal("87.5"),
    )
    assert storage.budgets.consume_budget(budget.id, 1, 87.5001) is False
    assert storage.budgets.consume_budget(budget.id, 75_001, 1) is False
    assert storage.budgets.get_usage(budget.id) == usage

    assert storage.budgets.consume_budget(budget.id, 75_000, Decimal("87.5")) is True
    usage = storage.budgets.get_usage(budget.id)
    assert usage is not None
    assert (usage.percentage_tokens, usage.percentage_cost) == (100.0, 100.0)
    assert (usage.is_exceeded, usage.remaining_tokens) == (True, 0)
    assert usage.remaining_cost == Decimal(0)
    assert storage.budgets.consume_budget(budget.id, 0, 0) is True
    assert storage.budgets.consume_budget(NOBODY, 1, 1) is False
    assert storage.budgets.get_usage(NOBODY) is None


def test_one_budget_a_scope(storage: Storage, swarm_id: str) -> None:
    budget = storage.budgets.create({"swarm_id": swarm_id, "scope_id": swarm_id})
    assert (budget.scope_type, budget.currency) == ("swarm", "USD")
    assert budget.allocated == Decimal(0)
    found = storage.budgets.find_by_scope("swarm", swarm_id)
    assert found is not None
    assert found.id == budget.id
    assert storage.budgets.find_by_scope("project", swarm_id) is None
    with pytest.raises(sa.exc.IntegrityError):
        storage.budgets.create({"swarm_id": swarm_id, "scope_id": swarm_id})


def test_without_a_limit_to_tokens_a_budget_gives_what_its_column_holds(
    storage: Storage, swarm_id: str
) -> None:
    budget = storage.budgets.create({"swarm_id": swarm_id, "scope_id": swarm_id})
    usage = storage.budgets.get_usage(budget.id)
    assert usage is not None
    assert (usage.remaining_tokens, usage.percentage_tokens, usage.is_exceeded) == (None, 0, False)
    assert storage.budgets.consume_budget(budget.id, 2**31 - 2, 0) is True
    assert storage.budgets.consume_budget(budget.id, 2, 0) is False
    assert storage.budgets.consume_budget(budget.id, 2**80, 0) is False
    assert storage.budgets.consume_budget(budget.id, 1, 0) is True
    # Where nothing is allocated, nothing is given, and no percentage divides by it.
    assert storage.budgets.consume_budget(budget.id, 0, "0.0001") is False  # type: ignore[arg-type]
    usage = storage.budgets.get_usage(budget.id)
    assert usage is not None
    assert (usage.tokens, usage.percentage_cost) == (2**31 - 1, 0.0)


def test_a_limit_of_no_tokens_is_a_limit(storage: Storage, swarm_id: str) -> None:
    values = {"swarm_id": swarm_id, "scope_id": swarm_id, "allocated": 1, "max_tokens": 0}
    budget = storage.budgets.create(values)
    assert storage.budgets.consume_budget(budget.id, 1, 0) is False
    assert storage.budgets.consume_budget(budget.id, 0, 1) is True
    usage = storage.budgets.get_usage(budget.id)
    assert usage is not None
    assert (usage.remaining_tokens, usage.percentage_tokens, usage.is_exceeded) == (0, 0.0, True)


def test_used_tokens_may_be_unknown(storage: Storage, swarm_id: str) -> None:
    budget = storage.budgets.create({"swarm_id": swarm_id, "scope_id": swarm_id, "max_tokens": 10})
    run_sql(storage, "UPDATE budgets SET used_tokens = NULL")
    assert storage.budgets.consume_budget(budget.id, 11, 0) is False
    assert storage.budgets.consume_budget(budget.id, 10, 0) is True


def test_less_than_nothing_cannot_be_consumed(storage: Storage, swarm_id: str) -> None:
    budget = storage.budgets.create({"swarm_id": swarm_id, "scope_id": swarm_id})
    bad = [
        (-1, Decimal(0)),
        (0, Decimal("-0.0001")),
        (0, Decimal("NaN")),
        (0, Decimal("-Infinity")),
    ]
    for tokens, cost in bad:
        with pytest.raises(ValueError, match="wanted 0 or more"):
            storage.budgets.consume_budget(budget.id, tokens, cost)


def test_thousands_of_small_costs_add_up_exactly(storage: Storage, swarm_id: str) -> None:
    values = {"swarm_id": swarm_id, "scope_id": swarm_id, "allocated": "99999999.9999"}
    budget = storage.budgets.create({**values, "consumed": "99999999.9"})
    for _ in range(999):
        assert storage.budgets.consume_budget(budget.id, 1, 0.0001) is True
    assert storage.budgets.consume_budget(budget.id, 1, 0.0001) is False
    row = storage.budgets.get(budget.id)
    assert row is not None
    assert (row.consumed, row.used_tokens) == (Decimal("99999999.9999"), 999)


def test_what_is_too_small_for_the_column_is_not_free(storage: Storage, swarm_id: str) -> None:
    values = {"swarm_id": swarm_id, "scope_id": swarm_id, "allocated": "0.0002"}
    budget = storage.budgets.create(values)
    assert storage.budgets.consume_budget(budget.id, 0, 1e-9) is True
    assert storage.budgets.consume_budget(budget.id, 0, 0.00011) is False
    usage = storage.budgets.get_usage(budget.id)
    assert usage is not None
    assert usage.cost == Decimal("0.0001")
    assert storage.budgets.consume_budget(budget.id, 0, 1e300) is False


def test_an_amount_that_does_not_fit_is_refused(storage: Storage, swarm_id: str) -> None:
    for amount in ("100000000", "99999999.99995", "nan", "inf", "-100000000"):
        values = {"swarm_id": swarm_id, "scope_id": swarm_id, "allocated": amount}
        with pytest.raises(sa.exc.StatementError, match="does not fit into numeric"):
            storage.budgets.create(values)


def test_amounts_come_back_as_decimals_of_four_places(storage: Storage, swarm_id: str) -> None:
    for text, kept in (("0.00005", "0.0001"), ("12.3", "12.3000"), ("1e7", "10000000.0000")):
        project = str(uuid.uuid4())
        values = {"swarm_id": swarm_id, "scope_id": project, "scope_type": "project"}
        budget = storage.budgets.create({**values, "allocated": text})
        assert str(budget.allocated) == kept
        (stored,) = storage.client.query(
            "SELECT CAST(allocated AS REAL) AS allocated FROM budgets WHERE id = :id",
            {"id": budget.id},
        )
        assert stored["allocated"] == pytest.approx(float(kept))


# -- what the database refuses ---------------------------------------------------------------------


IMPOSSIBLE: list[tuple[str, dict[str, Any]]] = [
    ("swarms", {"name": "a", "status": "sleeping"}),
    ("agents", {"model": "m", "task": "t", "status": "creating"}),
    ("agents", {"model": "m", "task": "t", "lifecycle_state": "killed"}),
    ("events", {"type": "x", "entity_type": "swarm"}),
    ("events", {"type": "x", "severity": "fatal"}),
    ("events", {"type": "x", "swarm_id": NOBODY}),
    ("events", {"type": None}),
    ("budgets", {}),
    ("budgets", {"swarm_id": NOBODY}),
    ("budgets", {"swarm_id": "", "currency": "CHF"}),
    ("budgets", {"swarm_id": "", "scope_type": "team"}),
    ("budgets", {"swarm_id": "", "allocated": -1}),
    ("budgets", {"swarm_id": "", "consumed": "-0.0001"}),
]


def test_values_that_no_row_may_have(storage: Storage, swarm_id: str) -> None:
    for table, values in IMPOSSIBLE:
        if values.get("swarm_id") == "":
            values = {**values, "swarm_id": swarm_id}
        if table == "budgets":
            values = {**values, "scope_id": NOBODY}
        repository = getattr(storage, table)
        with pytest.raises(sa.exc.IntegrityError):
            repository.create(values)
        assert repository.count() == (1 if table == "swarms" else 0)
