"""agentpane's kanban board: tasks are made, read, changed, deleted and dragged."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa

from bootstrap.apps.agentpane import enums, models
from bootstrap.apps.agentpane.recovery import Recovered
from bootstrap.apps.agentpane.storage import Storage
from tests.support import agentpane


@pytest.fixture
def storage(database_url: str) -> Iterator[Storage]:
    """Storage on each kind of database."""
    with agentpane.storage(database_url) as storage:
        yield storage


@pytest.fixture
def project_id(storage: Storage) -> str:
    """A project without tasks."""
    return agentpane.project(storage).id


def titles(storage: Storage, project_id: str) -> dict[enums.TaskColumn, list[str]]:
    """What the board shows; the positions in a column are checked on the way."""
    board = storage.tasks.board(project_id)
    for tasks in board.values():
        assert [task.position for task in tasks] == list(range(len(tasks)))
    return {column: [task.title for task in tasks] for column, tasks in board.items() if tasks}


def make(storage: Storage, project_id: str, names: str, column: str = "backlog") -> dict[str, str]:
    """A task a letter; their ids by title."""
    return {
        name: storage.tasks.create({"project_id": project_id, "title": name, "column": column}).id
        for name in names
    }


def test_create_read_update_delete(storage: Storage, project_id: str) -> None:
    task = storage.tasks.create({"project_id": project_id, "title": "Write it"})
    assert len(task.id) == 24
    assert task.id.isalnum()
    assert task.id[0].islower()
    assert (task.column, task.position, task.labels) == ("backlog", 0, [])
    assert (task.priority, task.rejection_count, task.plan_options) == ("medium", 0, None)
    assert task.created_at == task.updated_at
    assert task.created_at.microsecond % 1000 == 0

    assert storage.tasks.find_first({"title": "Write it", "agent_id": None}) is not None
    assert storage.tasks.find_first({"title": "Write it", "priority": "high"}) is None
    with pytest.raises(ValueError, match=r"^tasks: no column colour; known are id, project_id, "):
        storage.tasks.find_many({"colour": "red"})

    at = datetime(2026, 1, 31, 12, 30, 0, 123000, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    changes = {"labels": ["ä", "b"], "diff_summary": {"files": 3}, "approved_at": at}
    changed = storage.tasks.update(task.id, changes)
    assert changed is not None
    assert (changed.labels, changed.diff_summary) == (["ä", "b"], {"files": 3})
    assert changed.approved_at == datetime(2026, 1, 31, 7, 0, 0, 123000, tzinfo=UTC)
    assert changed.updated_at >= changed.created_at == task.created_at

    assert storage.tasks.delete(task.id) is True
    assert storage.tasks.delete(task.id) is False
    assert storage.tasks.update(task.id, changes) is None
    assert storage.tasks.move(task.id, "queued") is None


def test_a_board_has_all_columns_in_order(storage: Storage, project_id: str) -> None:
    make(storage, project_id, "ab")
    make(storage, project_id, "c", "verified")
    make(storage, agentpane.project(storage, "other").id, "x")
    assert tuple(storage.tasks.board(project_id)) == enums.TASK_COLUMNS
    assert titles(storage, project_id) == {"backlog": ["a", "b"], "verified": ["c"]}


def test_dragging_between_columns(storage: Storage, project_id: str) -> None:
    ids = make(storage, project_id, "abcd") | make(storage, project_id, "xy", "queued")
    before = storage.tasks.get(ids["c"])

    moved = storage.tasks.move(ids["b"], "queued", 1)
    assert moved is not None
    assert (moved.column, moved.position) == ("queued", 1)
    assert titles(storage, project_id) == {"backlog": ["a", "c", "d"], "queued": ["x", "b", "y"]}

    storage.tasks.move(ids["d"], "backlog", 0)
    assert titles(storage, project_id)["backlog"] == ["d", "a", "c"]
    storage.tasks.move(ids["d"], "backlog", 1)
    assert titles(storage, project_id)["backlog"] == ["a", "d", "c"]
    storage.tasks.move(ids["a"], "verified")
    storage.tasks.move(ids["x"], "verified")
    storage.tasks.move(ids["y"], "verified", -5)
    storage.tasks.move(ids["b"], "verified", 99)
    assert titles(storage, project_id) == {
        "backlog": ["d", "c"],
        "verified": ["y", "a", "x", "b"],
    }
    # To have made room is no change of a task.
    after = storage.tasks.get(ids["c"])
    assert before is not None
    assert after is not None
    assert (before.position, after.position) == (2, 1)
    assert before.updated_at == after.updated_at


def test_tasks_that_share_a_position_get_one_each(storage: Storage, project_id: str) -> None:
    for id_ in "abc":
        storage.tasks.create({"id": id_, "project_id": project_id, "title": id_, "position": 0})
    storage.tasks.move("a", "backlog", 2)
    assert titles(storage, project_id) == {"backlog": ["b", "c", "a"]}


def test_many_hands_on_one_board(storage: Storage, project_id: str) -> None:
    ids = list(make(storage, project_id, "abcdefgh").values())
    start = threading.Barrier(len(ids))

    def drag(number: int) -> None:
        start.wait()
        for step in range(5):
            column = enums.TASK_COLUMNS[(number + step) % 2]
            assert storage.tasks.move(ids[number], column, step % 3) is not None
        make(storage, project_id, "n")

    with ThreadPoolExecutor(len(ids)) as pool:
        list(pool.map(drag, range(len(ids))))
    shown = titles(storage, project_id)
    assert sorted("".join(shown["backlog"] + shown["queued"])) == list("abcdefghnnnnnnnn")


def test_the_board_is_read_from_its_index(storage: Storage, project_id: str) -> None:
    page = 'SELECT * FROM tasks WHERE project_id = :id ORDER BY "column", position'
    if storage.client.target.is_postgres:
        explain = f"EXPLAIN {page}"
        storage.client.execute("INSERT INTO projects (id, name, path) VALUES ('q', 'q', '/q')")
        storage.client.execute(
            "INSERT INTO tasks (id, project_id, title)"
            " SELECT 'q' || n, 'q', 'x' FROM generate_series(1, 5000) n"
        )
        storage.client.execute("ANALYZE tasks")
    else:
        explain = f"EXPLAIN QUERY PLAN {page}"
    assert "idx_tasks_kanban" in str(storage.client.query(explain, {"id": project_id}))


def test_a_task_and_its_session_and_worktree_name_each_other(
    storage: Storage, project_id: str
) -> None:
    task = storage.tasks.create({"project_id": project_id, "title": "t"})
    session = agentpane.session(storage, project_id=project_id, task_id=task.id)
    worktree = storage.worktrees.create(
        {"project_id": project_id, "branch": "b", "path": "/w", "task_id": task.id}
    )
    storage.tasks.update(task.id, {"session_id": session.id, "worktree_id": worktree.id})

    assert storage.worktrees.delete(worktree.id)
    left = storage.tasks.get(task.id)
    assert left is not None
    assert (left.session_id, left.worktree_id) == (session.id, None)
    assert storage.tasks.delete(task.id)
    alone = storage.sessions.get(session.id)
    assert alone is not None
    assert alone.task_id is None


def test_a_starting_server_calls_off_what_was_under_way(storage: Storage, project_id: str) -> None:
    agents = {
        status: storage.agents.create(
            {
                "project_id": project_id,
                "name": status,
                "status": status,
                "current_task_id": "t",
                "current_session_id": "s",
            }
        ).id
        for status in enums.AGENT_STATUS
    }
    session = agentpane.session(storage, project_id=project_id)
    worktree = storage.worktrees.create({"project_id": project_id, "branch": "b", "path": "/w"})
    held = {
        "project_id": project_id,
        "session_id": session.id,
        "worktree_id": worktree.id,
        "last_agent_status": "planning",
    }
    running = {**held, "agent_id": agents["running"]}
    stopped = storage.tasks.create({**running, "title": "stopped", "column": "in_progress"})
    waiting = storage.tasks.create({**running, "title": "w", "column": "waiting_approval"})
    by_hand = storage.tasks.create({**held, "title": "by hand", "column": "in_progress"})

    assert storage.recover() == Recovered(agents=3, tasks=1, worktrees=1)
    for status, id_ in agents.items():
        agent = storage.agents.get(id_)
        assert agent is not None
        was_busy = status in ("starting", "planning", "running")
        assert agent.status == ("idle" if was_busy else status)
        assert agent.current_task_id == (None if was_busy else "t")
        assert agent.current_session_id == (None if was_busy else "s")

    def state(id_: str) -> tuple[object, ...]:
        task = storage.tasks.get(id_)
        assert task is not None
        return task.column, task.agent_id, task.session_id, task.worktree_id, task.last_agent_status

    assert state(stopped.id) == ("backlog", None, None, None, None)
    kept = (session.id, worktree.id, "planning")
    assert state(waiting.id) == ("waiting_approval", agents["running"], *kept)
    assert state(by_hand.id) == ("in_progress", None, *kept)
    assert storage.recover() == Recovered(agents=0, tasks=0, worktrees=0)


def test_a_sandbox_has_one_terminal_of_a_name(storage: Storage, project_id: str) -> None:
    sandbox = storage.sandbox_instances.create(
        {
            "project_id": project_id,
            "container_id": "c",
            "image": "node:22-slim",
            "memory_mb": 512,
            "cpu_cores": 2,
            "idle_timeout_minutes": 5,
        }
    )
    assert (sandbox.status, sandbox.volume_mounts, sandbox.env) == ("stopped", [], None)
    terminal = {"sandbox_id": sandbox.id, "session_name": "main"}
    assert storage.sandbox_tmux_sessions.create(terminal).attached is False
    with pytest.raises(sa.exc.IntegrityError):
        storage.sandbox_tmux_sessions.create(terminal)
    with pytest.raises(sa.exc.IntegrityError):
        storage.sandbox_instances.create(
            {**dict.fromkeys(["container_id", "image"], "x"), "project_id": project_id}
            | dict.fromkeys(["memory_mb", "cpu_cores", "idle_timeout_minutes"], 1)
        )
    assert isinstance(storage.sandbox_instances.find_first({}), models.SandboxInstance)
