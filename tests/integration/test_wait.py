"""Waits for real servers through real outages."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from bootstrap import probe, target, wait
from bootstrap.errors import RefusedError, WaitTimeoutError
from bootstrap.journal import Journal
from bootstrap.settings import Settings
from tests.support.postgres import Server, Servers
from tests.support.proxy import Proxy
from tests.support.redis import RedisServer

MakeProxy = Callable[..., Proxy]
MakeRedis = Callable[..., RedisServer]
Await = Callable[..., wait.Waited]


@pytest.fixture
def await_all() -> Iterator[Await]:
    """`await_all(prober, ..., wait_timeout_s=30)`: waits, and closes the probers at the end."""
    with ExitStack() as stack:

        def run(*probers: probe.Prober, **changes: Any) -> wait.Waited:
            for prober in probers:
                stack.callback(prober.close)
            settings = Settings(**{"wait_timeout_s": 30, **changes})
            return wait.wait(probers, settings, Journal(), stop=threading.Event())

        yield run


def postgres(url: str, **options: Any) -> probe.Postgres:
    return probe.Postgres(target.parse(url), **options)


def later(action: Callable[[], object], after_s: float = 0.5) -> threading.Timer:
    timer = threading.Timer(after_s, action)
    timer.start()
    return timer


def test_a_server_that_starts_later_is_found_and_its_connection_handed_on(
    await_all: Await, proxy: MakeProxy, server: Server, database: str
) -> None:
    gate = proxy(server)
    gate.refuse()
    opening = later(gate.forward)
    prober = postgres(gate.url(database))
    waited = await_all(prober)
    opening.join()
    assert waited.attempts > 1
    assert prober.connection is not None
    assert prober.connection.execute("select 1") == [(1,)]


def test_a_crash_in_the_middle_of_the_wait_is_one_more_reason_to_wait(
    await_all: Await, servers: Servers
) -> None:
    server = servers.new(18)
    url = server.create_database()
    server.stop("immediate")
    over = threading.Event()

    def start() -> None:
        server.start(wait=False)
        # A server of the tests ends with the thread that started it.
        over.wait()

    starting = later(start)
    prober = postgres(url)
    try:
        await_all(prober)
    finally:
        over.set()
        starting.join()
    assert prober.connection is not None


def test_a_server_that_never_answers_takes_the_deadline_and_one_connect_timeout(
    await_all: Await, proxy: MakeProxy, server18: Server, database18: str
) -> None:
    gate = proxy(server18)
    gate.deaf()
    with pytest.raises(WaitTimeoutError) as caught:
        await_all(postgres(gate.url(database18)), wait_timeout_s=1, connect_timeout_s=0.6)
    assert caught.value.message.endswith(
        "the connection was accepted, but no answer came in 0.6 s; check the network between here "
        "and there, or correct host and port in DATABASE_URL"
    )
    wait_s = caught.value.facts["wait_s"]
    assert isinstance(wait_s, float)
    # The bound is 1 + 0.6 s; the rest is for a busy machine.
    assert 1 <= wait_s < 1 + 0.6 + 3


def test_a_wrong_password_stops_in_seconds_and_few_tries(
    await_all: Await, proxy: MakeProxy, server: Server, database: str
) -> None:
    gate = proxy(server)
    url = gate.url(database).replace("%40", "wrong", 1)
    role = target.parse(url).user
    with pytest.raises(RefusedError) as caught:
        await_all(postgres(url))
    assert str(caught.value) == (
        f"postgres at 127.0.0.1:{gate.port}/{target.parse(url).params['dbname']} answers but "
        f"refuses user '{role}': password authentication failed; check DATABASE_URL "
        "(runbook: refused)"
    )
    assert 2 <= gate.accepted <= 5


def test_a_database_that_is_made_within_the_grace_is_ready(
    await_all: Await, server18: Server
) -> None:
    making = later(lambda: server18.admin("create database made_late"))
    try:
        assert await_all(postgres(server18.url("made_late"))).attempts > 1
    finally:
        making.join()
        server18.admin("drop database made_late with (force)")


def test_a_standby_is_awaited_until_it_is_promoted(await_all: Await, servers: Servers) -> None:
    standby = servers.standby(servers.new(18))
    prober = postgres(standby.url("postgres"), require_primary=True)
    promoting = later(standby.promote)
    waited = await_all(prober)
    promoting.join()
    assert waited.attempts > 1
    assert waited.answers[0].facts["in_recovery"] is False


def test_postgres_and_redis_are_awaited_under_one_deadline_and_the_failing_one_is_named(
    await_all: Await, redis_server: MakeRedis, database18: str
) -> None:
    cache = redis_server()
    cache.stop()
    with pytest.raises(WaitTimeoutError) as caught:
        await_all(postgres(database18), probe.Redis(cache.url), wait_timeout_s=0.5)
    assert caught.value.message.startswith(
        f"redis at 127.0.0.1:{cache.port}/0 was not ready after "
    )
    assert caught.value.message.endswith(
        "connection refused; start it, or correct host and port in REDIS_URL"
    )


def test_postgres_and_redis_that_come_later_are_both_found(
    await_all: Await, proxy: MakeProxy, redis_server: MakeRedis, server18: Server, database18: str
) -> None:
    gate = proxy(server18)
    gate.refuse()
    cache = redis_server("open-sesame", loading_s=1)
    opening = later(gate.forward)
    waited = await_all(postgres(gate.url(database18)), probe.Redis(cache.url))
    opening.join()
    assert [answer.state for answer in waited.answers] == ["ready", "ready"]


def test_a_locked_sqlite_file_is_awaited(await_all: Await, tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as holder:
        holder.execute("create table thing (id)")
        holder.execute("begin exclusive")
        releasing = later(lambda: holder.execute("rollback"))
        waited = await_all(probe.Sqlite(target.sqlite(str(path))))
        releasing.join()
    assert waited.attempts > 1


def test_the_first_try_after_the_outage_comes_soon(
    await_all: Await, proxy: MakeProxy, server18: Server, database18: str
) -> None:
    gate = proxy(server18)
    gate.refuse()
    opened_s: list[float] = []

    def open_gate() -> None:
        gate.forward()
        opened_s.append(time.monotonic())

    opening = later(open_gate, after_s=2)
    await_all(postgres(gate.url(database18)))
    late_s = time.monotonic() - opened_s[0]
    opening.join()
    # A fifth of the wait is 0.5 s; the rest is for a busy machine.
    assert late_s < 0.5 + 2
