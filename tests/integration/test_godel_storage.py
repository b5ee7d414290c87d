"""godel's storage: the document's choice of the database, and its verbs on each of them."""

import itertools
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bootstrap import settings, target
from bootstrap.apps.godel.models import Agent
from bootstrap.apps.godel.storage import Storage, StorageConfig, create_storage
from bootstrap.client import Client
from bootstrap.errors import SettingsError
from tests.support import godel
from tests.support.cli import ROOT


@pytest.fixture
def storage(database_url: str) -> Iterator[Storage]:
    """Storage on each kind of database, migrated."""
    godel.upgrade(database_url)
    with Storage(Client(target.parse(database_url))) as storage:
        yield storage


# -- the choice ------------------------------------------------------------------------------------


def test_the_documents_example_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASH_STORAGE", "sqlite")
    with create_storage({"type": "sqlite", "path": ":memory:"}) as storage:
        agent = storage.create("agents", {"task": "Test"})
        assert agent.id
        assert storage.agents.get(agent.id) is not None


@pytest.mark.parametrize(
    ("config", "file"),
    [
        ({"type": "sqlite", "path": "other.db"}, "other.db"),
        ({"type": "sqlite"}, "godel.db"),
        ({"type": "sqlite", "path": ""}, "godel.db"),
        ({"type": "mysql", "path": "other.db", "url": "mysql://db/godel"}, "godel.db"),
        ({"type": "postgresql", "url": "postgresql://db/godel"}, "godel.db"),
        ({}, "godel.db"),
    ],
)
def test_what_is_no_postgres_is_sqlite(
    config: StorageConfig, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    godel.upgrade(f"sqlite:///{tmp_path / file}")
    with create_storage(config) as storage:
        assert storage.client.target.path == tmp_path / file
        storage.create("teams", {"name": "first"})
    assert [path.name for path in tmp_path.iterdir()] == [file]


def test_postgres_is_its_url(database: str) -> None:
    godel.upgrade(database)
    with create_storage({"type": "postgres", "url": database, "path": "x.db"}) as storage:
        assert storage.client.target.is_postgres
        assert storage.create("agents", {"task": "Test"}).id


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "storage postgres needs a url: postgresql://user@host/name"),
        ("sqlite:///x.db", "storage postgres: url: wanted postgresql://, found sqlite"),
        (
            "postgresql://user:secret@db:5432",
            "storage postgres: url: wanted a database name after the host (/name), found none",
        ),
    ],
)
def test_a_postgres_url_that_is_none(url: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        create_storage({"type": "postgres", "url": url})
    assert caught.value.message == message


def test_a_file_without_tables_is_the_migrations_part(tmp_path: Path) -> None:
    path = tmp_path / "godel.db"
    with (
        create_storage({"type": "sqlite", "path": str(path)}) as storage,
        pytest.raises(sa.exc.OperationalError, match="unable to open database file"),
    ):
        storage.create("agents", {"task": "Test"})
    assert not path.exists()


DOCUMENT = """
storage:
  type: ${DASH_STORAGE:-sqlite}
  sqlite:
    path: ${DASH_SQLITE_PATH:-./godel.db}
  postgres:
    url: ${POSTGRES_URL:-postgresql://localhost:5432/godel}
"""


@pytest.mark.parametrize("file", [DOCUMENT, None], ids=["with-file", "without-file"])
@pytest.mark.parametrize(
    ("environ", "identity"),
    [
        ({}, "{cwd}/godel.db"),
        ({"DASH_STORAGE": "sqlite"}, "{cwd}/godel.db"),
        ({"DASH_SQLITE_PATH": "here.db"}, "{cwd}/here.db"),
        ({"DASH_STORAGE": "postgres"}, "localhost:5432/godel"),
        ({"DASH_STORAGE_TYPE": "postgres"}, "localhost:5432/godel"),
        ({"DASH_STORAGE": "postgres", "POSTGRES_URL": "postgres://db:1/x"}, "db:1/x"),
    ],
)
def test_the_choice_of_the_settings(
    file: str | None,
    environ: dict[str, str],
    identity: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    if file is not None:
        (tmp_path / "config").mkdir()
        (tmp_path / "config" / "godel.yaml").write_text(file)
    loaded = settings.load({"BOOTSTRAPD_APP": "godel"}, environ)
    assert loaded.target.identity == identity.format(cwd=tmp_path)


# -- the verbs -------------------------------------------------------------------------------------


def test_create_get_update_delete_count(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    clock_ms = itertools.count(1_795_254_639_468)
    monkeypatch.setattr(time, "time_ns", lambda: next(clock_ms) * 1_000_000)
    made: Agent = storage.agents.create({"task": "Test", "metadata": {"tags": ["ä", 1, None]}})
    assert len(made.id) == 36
    assert made.metadata_ == {"tags": ["ä", 1, None]}
    assert (made.created_at, made.updated_at) == (1_795_254_639_468, 1_795_254_639_468)
    assert storage.agents.count() == 1

    found = storage.agents.get(made.id)
    assert found is not None
    assert (found.task, found.metadata_, found.model) == ("Test", {"tags": ["ä", 1, None]}, None)

    changed = storage.agents.update(made.id, {"state": "running", "metadata": None})
    assert changed is not None
    assert (changed.state, changed.metadata_, changed.task) == ("running", None, "Test")
    assert (changed.created_at, changed.updated_at) == (1_795_254_639_468, 1_795_254_639_469)

    assert storage.agents.delete(made.id) is True
    assert storage.agents.delete(made.id) is False
    assert storage.agents.get(made.id) is None
    assert storage.agents.update(made.id, {"state": "running"}) is None
    assert storage.agents.count() == 0


def test_lists_come_newest_first_in_pages(storage: Storage) -> None:
    for number in range(5):
        storage.client.execute(
            "INSERT INTO events (id, created_at) VALUES (:id, :ms)",
            # Two of them in the same millisecond.
            {"id": f"e{number}", "ms": 1_795_254_639_468 + number // 2},
        )
    assert [event.id for event in storage.events.list()] == ["e4", "e3", "e2", "e1", "e0"]
    assert [event.id for event in storage.events.list(limit=2, offset=1)] == ["e3", "e2"]
    assert storage.events.list(offset=5) == []


def test_lists_are_read_from_the_index(storage: Storage) -> None:
    page = "SELECT * FROM events ORDER BY created_at DESC, id DESC LIMIT 10"
    if storage.client.target.is_postgres:
        rows = storage.client.query(f"EXPLAIN {page}")
    else:
        rows = storage.client.query(f"EXPLAIN QUERY PLAN {page}")
    assert "ix_events_created_at_id" in str(rows)


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("agents", {"task": "t", "model": "m", "state": "s", "metadata": {"a": {"b": [1.5]}}}),
        ("teams", {"name": "n", "status": "s", "config": {"size": 3, "on": True}}),
        ("workflows", {"name": "n", "status": "s", "steps": [{"run": "x"}, "y", None]}),
        ("events", {"type": "agent.spawned", "data": {"ü": 2**63 - 1}}),
    ],
)
def test_every_table_gives_back_what_it_was_given(
    storage: Storage, table: str, values: dict[str, Any]
) -> None:
    made = storage.create(table, values)
    repository = getattr(storage, table)
    row = repository.get(made.id)
    kept = {name: getattr(row, repository.attributes[name]) for name in values}
    assert kept == values
    (stored,) = storage.client.query(f"SELECT * FROM {table}")
    for name, value in values.items():
        assert (stored[name] if isinstance(value, str) else json.loads(stored[name])) == value


def test_text_that_another_program_stored_comes_back_as_it_is(storage: Storage) -> None:
    deep = "[" * 50_000 + "]" * 50_000
    for id_, text in {"a": "no JSON", "b": '{"a": NaN}', "c": "[1e999]", "d": deep}.items():
        storage.client.execute(
            "INSERT INTO teams (id, config) VALUES (:id, :text)", {"id": id_, "text": text}
        )
        team = storage.teams.get(id_)
        assert team is not None
        config: object = team.config
        assert config == text


def test_unknown_tables_and_columns(storage: Storage) -> None:
    with pytest.raises(ValueError, match=r"^no table 'users'; there are agents, teams,"):
        storage.create("users", {})
    with pytest.raises(ValueError, match=r"^events: no column payload; known are id, type, data,"):
        storage.create("events", {"type": "x", "payload": {}})


def test_an_old_database_is_used_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "godel.db"
    with closing(sqlite3.connect(path)) as file:
        file.execute(
            "CREATE TABLE agents (id TEXT PRIMARY KEY, task TEXT, model TEXT, state TEXT,"
            " created_at INTEGER, updated_at INTEGER, metadata TEXT)"
        )
        file.execute("INSERT INTO agents VALUES ('a', 'x', NULL, NULL, 5, 6, '{\"k\": 1}')")
        file.commit()
    with create_storage({"type": "sqlite", "path": str(path)}) as storage:
        (agent,) = storage.agents.list()
        assert (agent.id, agent.created_at, agent.metadata_) == ("a", 5, {"k": 1})


def test_the_declaration_costs_a_start_next_to_nothing() -> None:
    heavy = "{'sqlalchemy', 'alembic', 'starlette', 'uvicorn', 'yaml', 'psycopg'}"
    code = f"import sys; import bootstrap.apps.godel; print({heavy} & sys.modules.keys())"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout == "set()\n"
