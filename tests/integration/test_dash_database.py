"""What dash's database does by itself: triggers, views, its record of revisions, round trips."""

import datetime
import hashlib
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bootstrap import app, target
from bootstrap.apps.dash.storage import Storage, connect
from bootstrap.client import Client
from tests.support import apps, dash, look

UTC = datetime.UTC
NOON = datetime.datetime(2026, 2, 3, 12, tzinfo=UTC)
LONG_AGO = NOON - datetime.timedelta(days=3650)


@pytest.fixture
def storage(database_url: str) -> Iterator[Storage]:
    """Storage on each kind of database."""
    with dash.open_new(database_url) as storage:
        yield storage


# -- triggers --------------------------------------------------------------------------------------


def test_every_change_sets_updated_at(storage: Storage) -> None:
    old = {"updated_at": LONG_AGO}
    swarm = storage.swarms.create({"name": "a", **old})
    agent = storage.agents.create({"model": "m", "task": "t", **old})
    session = storage.sessions.create(old)
    budget = storage.budgets.create({"swarm_id": swarm.id, "scope_id": swarm.id, **old})
    rows: dict[str, Any] = {
        "swarms": swarm,
        "agents": agent,
        "sessions": session,
        "budgets": budget,
    }
    for table, row in rows.items():
        assert row.updated_at == LONG_AGO, table
        # By another program, which says a time of its own.
        changed = f"UPDATE {table} SET id = id, updated_at = :old WHERE id = :id"
        where = sa.text(changed).bindparams(
            sa.bindparam("old", type_=rows[table].__table__.c.updated_at.type),
            sa.bindparam("id", type_=rows[table].__table__.c.id.type),
        )
        assert storage.client.execute(where, {"old": LONG_AGO, "id": row.id}) == 1
        found = getattr(storage, table).get(row.id)
        assert datetime.datetime.now(UTC) - found.updated_at < datetime.timedelta(hours=1), table


def test_a_change_by_the_repository_gives_the_new_time_back(storage: Storage) -> None:
    """The first revision had triggers' work to do on a table without the column."""
    agent = storage.agents.create({"model": "m", "task": "t", "updated_at": LONG_AGO})
    other = storage.agents.create({"model": "m", "task": "t", "updated_at": LONG_AGO})
    paused = storage.agents.pause(agent.id, "user-123")
    assert paused is not None
    assert paused.updated_at == paused.pause_time
    untouched = storage.agents.get(other.id)
    assert untouched is not None
    assert untouched.updated_at == LONG_AGO


# -- views -----------------------------------------------------------------------------------------


def test_a_swarm_is_one_row_with_its_agents_and_its_budget(storage: Storage) -> None:
    swarm = storage.swarms.create({"name": "busy", "config": {"maxAgents": 10}})
    for status in ("running", "running", "paused"):
        values = {"swarm_id": swarm.id, "model": "m", "task": "t", "status": status}
        storage.agents.create(values)
    # Two more of the same amount, which are not its own: an agent's, and one of another scope.
    for scope, scope_id in (("agent", swarm.id), ("swarm", str(uuid.uuid4()))):
        values = {"swarm_id": swarm.id, "scope_type": scope, "scope_id": scope_id}
        storage.budgets.create({**values, "allocated": 30})
    storage.budgets.create({"swarm_id": swarm.id, "scope_id": swarm.id, "allocated": 30})
    own = storage.budgets.find_by_scope("swarm", swarm.id)
    assert own is not None
    assert storage.budgets.consume_budget(own.id, 5, 10) is True

    assert storage.swarms.get_summary(swarm.id) == {
        "id": swarm.id,
        "name": "busy",
        "status": "creating",
        "created_at": swarm.created_at,
        "config": {"maxAgents": 10},
        "running_agents": 2,
        "total_agents": 3,
        "budget_allocated": Decimal(30),
        "budget_consumed": Decimal(10),
        "budget_percentage": Decimal("33.33"),
    }
    assert len(storage.swarms.list_summaries()) == 1


def test_a_swarm_without_agents_or_budget_has_a_summary_too(storage: Storage) -> None:
    idle = storage.swarms.create({"name": "idle"})
    empty = storage.swarms.create({"name": "empty", "created_at": LONG_AGO})
    storage.budgets.create({"swarm_id": empty.id, "scope_id": empty.id})
    money = ("running_agents", "total_agents", "budget_allocated", "budget_percentage")
    found = [tuple(row[name] for name in money) for row in storage.swarms.list_summaries()]
    assert found == [(0, 0, None, 0), (0, 0, 0, 0)]
    assert [row["id"] for row in storage.swarms.list_summaries(limit=1)] == [idle.id]
    assert storage.swarms.get_summary(str(uuid.uuid4())) is None


def test_the_activity_of_agents_has_their_duration_with_its_fraction(storage: Storage) -> None:
    swarm = storage.swarms.create({"name": "busy"})
    seconds = 90_061.000_25
    done = storage.agents.create(
        {
            "swarm_id": swarm.id,
            "label": "first",
            "model": "m",
            "task": "t",
            "spawned_at": NOON + datetime.timedelta(microseconds=999_900),
            "completed_at": NOON + datetime.timedelta(seconds=seconds, microseconds=999_900),
        }
    )
    (row,) = storage.agents.list_activity(swarm_id=swarm.id)
    assert row == {
        "id": done.id,
        "label": "first",
        "status": "pending",
        "lifecycle_state": "initializing",
        "model": "m",
        "task": "t",
        "swarm_id": swarm.id,
        "swarm_name": "busy",
        "spawned_at": done.spawned_at,
        "completed_at": done.completed_at,
        "duration_seconds": pytest.approx(seconds, abs=1e-6),
        "retry_count": 0,
        "runtime": 0,
    }
    # One that is still at work, in no swarm.
    began = datetime.datetime.now(UTC) - datetime.timedelta(hours=2)
    open_one = storage.agents.create({"model": "m", "task": "t", "spawned_at": began})
    newest, _ = storage.agents.list_activity()
    assert (newest["id"], newest["swarm_name"], newest["completed_at"]) == (open_one.id, None, None)
    assert 7200 <= newest["duration_seconds"] < 10_800


def test_statistics_of_a_day_by_type(storage: Storage) -> None:
    now = datetime.datetime.now(UTC)
    swarm = storage.swarms.create({"name": "a"})
    agents = [storage.agents.create({"model": "m", "task": "t"}).id for _ in range(2)]
    times = [now - datetime.timedelta(hours=hours) for hours in (23.9, 3, 1, 24.1)]
    for moment, agent in zip(times, (*agents, agents[0], agents[0]), strict=True):
        storage.events.create(
            {"type": "x", "timestamp": moment, "agent_id": agent, "swarm_id": swarm.id}
        )
    storage.events.create({"type": "y", "timestamp": times[1]})
    names = ("type", "event_count", "unique_agents", "unique_swarms")
    rows = storage.events.list_stats_24h()
    assert [tuple(row[name] for name in names) for row in rows] == [("x", 3, 2, 1), ("y", 1, 0, 0)]
    assert (rows[0]["first_occurrence"], rows[0]["last_occurrence"]) == (times[0], times[2])


# -- revisions -------------------------------------------------------------------------------------


def revisions(url: str) -> list[tuple[str, str]]:
    with Client(target.parse(url)) as client:
        rows = client.query("SELECT name, checksum FROM _migrations ORDER BY name")
    return [(row["name"], row["checksum"]) for row in rows]


def test_each_applied_revision_is_recorded_with_the_checksum_of_its_file(
    database_url: str,
) -> None:
    files = sorted((app.shipped_migrations("dash").parent / "versions").glob("*.py"))
    wanted = [(file.stem, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files]
    assert len(wanted) == 5
    apps.upgrade("dash", database_url)
    assert revisions(database_url) == wanted
    apps.downgrade("dash", database_url, "0002")
    assert revisions(database_url) == wanted[:2]
    apps.upgrade("dash", database_url, "0003")
    assert revisions(database_url) == wanted[:3]


def test_a_stamp_is_recorded_where_there_is_a_table_for_it(database_url: str) -> None:
    config = apps.config("dash", database_url)
    command.stamp(config, "0002")
    command.stamp(config, "base")
    with dash.open_new(database_url):
        command.stamp(config, "0003")
    assert [name for name, _ in revisions(database_url)] == [
        "0001_swarms_and_agents",
        "0002_updated_at",
        "0003_indexes",
    ]


def test_a_new_revision_is_named_by_the_time(tmp_path: Path) -> None:
    # Named like the app: env.py asks for the settings of the app after which its folder is named.
    project = tmp_path / "dash"
    shutil.copytree(
        app.shipped_migrations("dash").parent,
        project,
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    config = Config(str(project / "alembic.ini"))
    config.set_main_option("sqlalchemy.url", f"sqlite:///{tmp_path / 'dash.db'}")
    before = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    command.revision(config, message="add new feature")
    (path,) = (project / "versions").glob("*_add_new_feature.py")
    match = re.fullmatch(r"(\d{14})_add_new_feature", path.stem)
    assert match is not None
    made = datetime.datetime.strptime(match[1] + "+0000", "%Y%m%d%H%M%S%z")
    assert before <= made <= datetime.datetime.now(datetime.UTC)
    assert path.read_text().startswith(f'"""add new feature.\n\nCreated: {made.isoformat()}\n"""\n')
    command.upgrade(config, "head")
    recorded = look.query(f"sqlite:///{tmp_path / 'dash.db'}", "SELECT name FROM _migrations")
    assert (path.stem,) in recorded


def test_agents_keep_their_rows_when_they_get_a_column(database_url: str) -> None:
    """On SQLite the table is made anew, and its rows are referred to."""
    apps.upgrade("dash", database_url, "0001")
    where = target.parse(database_url)
    agent, event = str(uuid.uuid4()), str(uuid.uuid4())
    with connect(where) as client:
        client.execute(f"INSERT INTO agents (id, model, task) VALUES ('{agent}', 'm', 'ünï')")
        client.execute(
            f"INSERT INTO events (id, type, agent_id) VALUES ('{event}', 'x', '{agent}')"
        )
    apps.upgrade("dash", database_url, "0002")
    with connect(where) as client:
        (row,) = client.query("SELECT task, status, updated_at FROM agents")
        assert (row["task"], row["status"]) == ("ünï", "pending")
        assert row["updated_at"] is not None
        (row,) = client.query("SELECT CAST(agent_id AS VARCHAR(36)) AS agent_id FROM events")
        assert row["agent_id"] == agent
        client.execute("DELETE FROM agents")
        assert client.query("SELECT agent_id FROM events") == [{"agent_id": None}]
    apps.downgrade("dash", database_url, "0001")
    with connect(where) as client:
        assert client.query("SELECT type FROM events") == [{"type": "x"}]


def test_to_delete_a_swarm_with_many_events_takes_a_moment(storage: Storage) -> None:
    """Without an index on their parent, each event that goes would read all the others."""
    swarm = storage.swarms.create({"name": "a"})
    table = storage.events.table
    rows = [{"type": "x", "swarm_id": swarm.id} for _ in range(20_000)]
    storage.client.transaction(lambda session: session.execute(table.insert(), rows))
    began_s = time.monotonic()
    assert storage.swarms.delete(swarm.id) is True
    assert storage.events.count() == 0
    assert time.monotonic() - began_s < 60


# -- round trips -----------------------------------------------------------------------------------

# PostgreSQL has no NUL in a text, and half a surrogate pair is no character.
TEXT = st.text(st.characters(exclude_characters="\0", codec="utf-8"))
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
ZONES = st.timezones() | st.integers(-1439, 1439).map(
    lambda minutes: datetime.timezone(datetime.timedelta(minutes=minutes))
)
TIMES = st.datetimes(
    datetime.datetime(2, 1, 1),  # noqa: DTZ001 - their zones are drawn apart
    datetime.datetime(9998, 12, 31),  # noqa: DTZ001
    timezones=ZONES,
)
MONEY = st.decimals("0", "99999999.9999", places=4)
IN_FULL = settings(
    max_examples=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@IN_FULL
@given(
    task=TEXT,
    config=st.dictionaries(TEXT, VALUES, max_size=5),
    spawned_at=TIMES,
    limit=MONEY,
    runtime=st.integers(-(2**31), 2**31 - 1),
)
def test_what_was_written_is_read(
    storage: Storage,
    task: str,
    config: dict[str, Any],
    spawned_at: datetime.datetime,
    limit: Decimal,
    runtime: int,
) -> None:
    made = storage.agents.create(
        {
            "model": "m",
            "task": task,
            "config": config,
            "spawned_at": spawned_at,
            "budget_limit": limit,
            "runtime": runtime,
        }
    )
    found = storage.agents.get(made.id)
    assert found is not None
    assert (found.task, found.config, found.runtime) == (task, config, runtime)
    # A time that comes twice in its zone is equal to none in another, as Python has it.
    assert (found.spawned_at, found.spawned_at.tzinfo) == (spawned_at.astimezone(UTC), UTC)
    assert (found.budget_limit, str(found.budget_limit)) == (limit, f"{limit:.4f}")


def test_a_megabyte_and_every_awkward_letter(storage: Storage) -> None:
    text = "'\"`\\;--%s:name{}\r\n\t\u2028\U0001d518🤖é" * 30_000
    made = storage.agents.create({"model": "m", "task": text, "context": {text[:50]: text}})
    found = storage.agents.get(made.id)
    assert found is not None
    assert found.task == text
    assert found.context == {text[:50]: text}


def test_a_time_without_a_zone_and_an_id_that_is_none_are_refused(storage: Storage) -> None:
    with pytest.raises(sa.exc.StatementError, match="wanted a time with a zone"):
        storage.sessions.create({"expires_at": NOON.replace(tzinfo=None)})
    with pytest.raises(sa.exc.StatementError, match="badly formed hexadecimal UUID"):
        storage.sessions.get("session-1")
    made = storage.sessions.create({"id": "AAAAAAAA-BBBB-4CCC-8DDD-EEEEEEEEEEEE"})
    assert made.id == "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
    assert storage.sessions.get(made.id.upper()) is not None
