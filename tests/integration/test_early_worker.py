"""While the database is waited for, the worker that may be needed comes up."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import cli
from tests.support.postgres import Server
from tests.support.proxy import Proxy

MakeProxy = Callable[..., Proxy]
Start = Callable[..., cli.Running]


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def child(running: cli.Running) -> int:
    """The one process that it has started, once it has."""
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s:
        if found := children(running.pid):
            (pid,) = found
            return pid
        time.sleep(0.02)
    raise AssertionError("no worker was started while waiting")


def gone(pid: int) -> bool:
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def waiting(
    proxy: MakeProxy, server: Server, database: str, start: Start
) -> tuple[Proxy, cli.Running]:
    """A run that waits for a server, and the gate that keeps it from it."""
    gate = proxy(server)
    gate.refuse()
    return gate, start("run", env={"DATABASE_URL": gate.url(database)})


def test_the_worker_that_came_up_meanwhile_is_the_one_that_migrates(
    waiting: tuple[Proxy, cli.Running],
) -> None:
    gate, running = waiting
    early = child(running)
    gate.forward()
    running.wait_for("migrate: revision 0001")
    assert children(running.pid) in ([early], [])
    running.wait().expect(0)
    assert gone(early)


def test_where_nothing_is_pending_it_is_ended(
    waiting: tuple[Proxy, cli.Running],
    run: Callable[..., cli.Result],
    database: str,
    tmp_path: Path,
) -> None:
    gate, running = waiting
    run("run", env={"DATABASE_URL": database}).expect(0)
    early = child(running)
    gate.forward()
    result = running.wait().expect(0)
    assert "(nothing was pending)" in result.stderr
    assert gone(early)


def test_it_ends_with_a_run_that_is_killed(waiting: tuple[Proxy, cli.Running]) -> None:
    _, running = waiting
    early = child(running)
    running.kill()
    assert gone(early)


def test_that_it_cannot_be_started_is_said_only_where_it_is_needed(
    proxy: MakeProxy,
    server: Server,
    database: str,
    start: Start,
    run: Callable[..., cli.Result],
) -> None:
    run("run", env={"DATABASE_URL": database}).expect(0)
    gate = proxy(server)
    gate.refuse()
    env = {"DATABASE_URL": gate.url(database), "BOOTSTRAPD_PYTHON": "/nowhere/python"}
    running = start("run", env=env)
    running.wait_for("next try in", timeout=60)
    time.sleep(0.6)
    gate.forward()
    result = running.wait().expect(0)
    assert "(nothing was pending)" in result.stderr
    assert "interpreter" not in result.stderr
