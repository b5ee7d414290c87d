"""agentpane's rows: what is stored comes back as it was, the same on both databases."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from bootstrap import target
from bootstrap.apps.agentpane import models
from bootstrap.apps.agentpane.storage import Storage, connect
from bootstrap.models import Time
from tests.support import agentpane, look

NOW_MS = 1_795_254_639_468


@pytest.fixture
def storage(database_url: str) -> Iterator[Storage]:
    """Storage on each kind of database."""
    with agentpane.storage(database_url) as storage:
        yield storage


def test_a_project_is_there_when_the_program_starts_again(
    storage: Storage, database_url: str
) -> None:
    made = storage.projects.create(
        {"name": "demo", "path": "/srv/demo", "config": {"model": "x", "tools": ["a", None, 1.5]}}
    )
    storage.close()
    with Storage(connect(target.parse(database_url))) as again:
        found = again.projects.find_first({"path": "/srv/demo"})
        assert found is not None
        assert (found.id, found.config) == (made.id, {"model": "x", "tools": ["a", None, 1.5]})
        assert (found.max_concurrent_agents, found.config_path) == (3, ".claude")
        assert (found.created_at, found.updated_at) == (made.created_at, made.updated_at)
        with pytest.raises(sa.exc.IntegrityError):
            again.projects.create({"name": "twice", "path": "/srv/demo"})


# -- settings --------------------------------------------------------------------------------------


def test_settings_are_kept(storage: Storage) -> None:
    values: dict[str, Any] = {
        "editor.theme": "dark",
        "editor.tabs": {"size": 4, "soft": True},
        "Editor.theme": "another",
        "editor_theme": "yet another",
        "limits.tasks": 10**30,
        "nothing": None,
    }
    for key, value in values.items():
        storage.settings.put(key, value)
    assert {key: storage.settings.value(key) for key in values} == values
    assert list(storage.settings.values()) == sorted(values)
    assert storage.settings.values("editor.") == {
        "editor.tabs": {"size": 4, "soft": True},
        "editor.theme": "dark",
    }
    assert storage.settings.value("none", "default") == "default"

    before = storage.settings.get("editor.theme")
    storage.settings.put("editor.theme", "light")
    after = storage.settings.get("editor.theme")
    assert before is not None
    assert after is not None
    assert (before.value, after.value) == ('"dark"', '"light"')
    assert after.updated_at >= before.updated_at
    assert storage.settings.count() == len(values)
    assert storage.settings.delete("editor.theme")
    assert storage.settings.value("editor.theme") is None


def test_a_setting_that_another_program_wrote_as_plain_text(storage: Storage) -> None:
    storage.client.execute("INSERT INTO settings (key, value) VALUES ('a', 'no JSON')")
    assert storage.settings.value("a") == "no JSON"


# -- session events --------------------------------------------------------------------------------


def test_session_events_stream(storage: Storage) -> None:
    session = agentpane.session(storage)
    other = agentpane.session(storage, project_id=session.project_id)
    first = storage.session_events.append(
        session.id, "chunk", {"text": "a"}, channel="chunks", timestamp_ms=NOW_MS, user_id="u"
    )
    # In PostgreSQL a time in milliseconds does not fit into an integer.
    assert (first.offset, first.timestamp, first.user_id) == (0, NOW_MS, "u")
    storage.session_events.append(session.id, "tool:start", ["ls"], channel="toolCalls")
    storage.session_events.append(other.id, "chunk", "elsewhere", channel="chunks")

    events = storage.session_events.read(session.id)
    assert [(event.offset, event.type, event.channel, event.data) for event in events] == [
        (0, "chunk", "chunks", {"text": "a"}),
        (1, "tool:start", "toolCalls", ["ls"]),
    ]
    storage.session_events.append(session.id, "chunk", {"text": "b"}, channel="chunks")
    (news,) = storage.session_events.read(session.id, after=events[-1].offset)
    assert (news.offset, news.data) == (2, {"text": "b"})
    assert storage.session_events.read(session.id, after=2) == []
    assert len(storage.session_events.read(session.id, limit=2)) == 2
    with pytest.raises(sa.exc.IntegrityError):
        storage.session_events.append("unknown", "chunk", {}, channel="chunks")


def test_many_writers_of_one_stream_leave_no_gap(storage: Storage) -> None:
    session = agentpane.session(storage)
    start = threading.Barrier(8)

    def write(writer: int) -> None:
        start.wait()
        for number in range(10):
            storage.session_events.append(session.id, "n", [writer, number], channel="test")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    events = storage.session_events.read(session.id)
    assert [event.offset for event in events] == list(range(80))
    for writer in range(8):
        own = [event.data[1] for event in events if event.data[0] == writer]
        assert own == list(range(10))


def test_an_offset_is_there_once(storage: Storage) -> None:
    session = agentpane.session(storage)
    event = {"session_id": session.id, "offset": 7, "type": "t", "channel": "c", "data": {}}
    storage.session_events.create({**event, "timestamp": 0})
    with pytest.raises(sa.exc.IntegrityError):
        storage.session_events.create({**event, "timestamp": 0})
    assert storage.session_events.append(session.id, "t", {}, channel="c").offset == 8


def test_a_session_is_closed(storage: Storage) -> None:
    session = agentpane.session(storage, status="active")
    closed = storage.sessions.close(session.id)
    assert closed is not None
    assert closed.status == "closed"
    assert closed.closed_at is not None
    assert closed.closed_at >= closed.created_at
    assert storage.sessions.close("unknown") is None
    summary = storage.session_summaries.create({"session_id": session.id, "turns_count": 3})
    assert (summary.turns_count, summary.lines_added, summary.final_status) == (3, 0, None)


# -- command-line sessions, templates --------------------------------------------------------------


def test_a_command_line_session_is_recorded_again_and_again(storage: Storage) -> None:
    session = {
        "session_id": "s1",
        "file_path": "/home/u/s1.jsonl",
        "cwd": "/srv",
        "project_name": "demo",
        "project_hash": "h",
        "started_at": NOW_MS,
        "last_activity_at": NOW_MS,
        "token_usage": {"input": 2**40},
    }
    first = storage.cli_sessions.record(session)
    assert (first.status, first.message_count, first.is_subagent) == ("idle", 0, False)
    again = storage.cli_sessions.record(
        {**session, "status": "working", "last_activity_at": NOW_MS + 1, "message_count": 2}
    )
    assert again.id == first.id
    assert (again.status, again.message_count) == ("working", 2)
    assert (again.started_at, again.last_activity_at) == (NOW_MS, NOW_MS + 1)
    assert again.token_usage == {"input": 2**40}
    assert again.created_at == first.created_at
    assert again.updated_at >= first.updated_at
    assert storage.cli_sessions.count() == 1


def test_a_template_is_used_by_projects(storage: Storage) -> None:
    one, two = agentpane.project(storage, "one"), agentpane.project(storage, "two")
    template = storage.templates.create(
        {"name": "t", "scope": "org", "github_owner": "o", "github_repo": "r"}
    )
    storage.templates.assign(template.id, [two.id, one.id])
    storage.templates.assign(template.id, [one.id])
    assert [project.name for project in storage.templates.projects(template.id)] == ["one", "two"]
    assert storage.templates.unassign(template.id, one.id) is True
    assert storage.templates.unassign(template.id, one.id) is False
    storage.projects.delete(two.id)
    assert storage.templates.projects(template.id) == []


# -- values ----------------------------------------------------------------------------------------

NUMBERS = [0, -1, 2**31, 2**53 + 1, 2**63, 10**30, 0.1, -1.5e-300, 1e23, 1e308]
JSON_VALUES = [
    *NUMBERS,
    "",
    "5",
    "null",
    'it\'s "quoted" \\ 🙂 \u2028 日本',
    "x" * 1_000_000,
    [],
    {},
    [None, True, [False, {"": {"a.b": [1, "2"]}}]],
    {str(number): number for number in NUMBERS},
]


def test_json_comes_back_as_it_was(storage: Storage) -> None:
    for value in JSON_VALUES:
        made = storage.audit_logs.create({"tool": "t", "status": "complete", "input": value})
        assert (made.input, type(made.input)) == (value, type(value))
        assert made.output is None
    kind = "jsonb_typeof(input)" if storage.client.target.is_postgres else "json_type(input)"
    absent = storage.client.query(f"SELECT count(*) AS n FROM audit_logs WHERE {kind} IS NULL")
    assert absent == [{"n": 0}]


def test_what_is_no_json(storage: Storage) -> None:
    for value in (float("nan"), float("inf"), [float("-inf")]):
        with pytest.raises((ValueError, sa.exc.StatementError), match="not JSON compliant"):
            storage.audit_logs.create({"tool": "t", "status": "complete", "input": value})


def test_both_forms_of_time_that_one_column_has(storage: Storage) -> None:
    """The database of the program's first version wrote the first, the program the second."""
    forms = {
        "b": "2026-01-31 23:00:00",
        "a": "2026-01-31T22:59:59.999Z",
        "c": "2026-01-31T23:00:00.001Z",
    }
    for key, text in forms.items():
        look.query(
            storage.client.target.url(),
            f"INSERT INTO settings (key, value, updated_at) VALUES ('{key}', '1', '{text}')",
        )
    midnight = datetime(2026, 1, 31, 23, tzinfo=UTC)
    step = timedelta(milliseconds=1)
    found = {row.key: row.updated_at for row in storage.settings.list()}
    assert found == {"a": midnight - step, "b": midnight, "c": midnight + step}


def test_times_of_the_database_and_of_the_program_are_the_same(storage: Storage) -> None:
    storage.client.execute("INSERT INTO projects (id, name, path) VALUES ('a', 'a', '/a')")
    theirs, ours = storage.projects.get("a"), agentpane.project(storage)
    assert theirs is not None
    assert timedelta() <= ours.created_at - theirs.created_at < timedelta(minutes=1)
    assert theirs.created_at == theirs.updated_at
    assert [row.name for row in storage.projects.list()] == ["demo", "a"]
    if not storage.client.target.is_postgres:
        rows = storage.client.query("SELECT created_at FROM projects")
        assert {len(row["created_at"]) for row in rows} == {len("2026-01-31T12:00:00.000000Z")}


def _value(column: sa.Column[Any]) -> Any:
    kind = column.type
    if values := getattr(kind, "values", None):
        return values[-1]
    if isinstance(kind, sa.BigInteger):
        return 2**63 - 1
    if isinstance(kind, sa.Integer):
        return -(2**31)
    if isinstance(kind, sa.Boolean):
        return column.name != "is_valid"
    if isinstance(kind, sa.Double):
        return 0.1
    if isinstance(kind, sa.Text):
        return f"{column.name} 🙂"
    if isinstance(kind, Time):
        return datetime(2026, 1, 31, 12, 0, 0, 999000, tzinfo=UTC)
    return {column.name: ["ü", None, 1e23]}


def test_every_column_of_every_table_gives_back_what_it_was_given(storage: Storage) -> None:
    tables = models.Base.metadata.sorted_tables
    classes = {mapper.local_table: mapper.class_ for mapper in models.Base.registry.mappers}
    given = {table.name: _row(table) for table in tables}
    # What names each other cannot be inserted at once.
    later = [("sessions", "task_id"), ("worktrees", "task_id")]

    def write(session: orm.Session) -> None:
        for table in tables:
            row = given[table.name]
            now = {name: row[name] for name in row if (table.name, name) not in later}
            session.execute(table.insert(), now)
        for name, column in later:
            row = given[name]
            change = {column: row[column], "updated_at": row["updated_at"]}
            session.execute(models.Base.metadata.tables[name].update(), change)

    storage.client.transaction(write)
    with orm.Session(storage.client.engine) as session:
        for table in tables:
            found = session.scalars(sa.select(classes[table])).one()
            read = {column.key: getattr(found, column.key) for column in table.columns}
            assert read == given[table.name]
    assert len(given) == 25


def _row(table: sa.Table) -> dict[str, Any]:
    """A value for each column; a row refers to those of the other tables."""
    row = {}
    for column in table.columns:
        if column.foreign_keys:
            (key,) = column.foreign_keys
            row[column.key] = f"{key.column.table.name}-1"
        elif column.name == "id":
            row[column.key] = f"{table.name}-1"
        else:
            row[column.key] = _value(column)
    return row
