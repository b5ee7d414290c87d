"""The harness itself, where a flaw in it would make other tests pass for nothing."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.support.postgres import Server, Servers
from tests.support.proxy import Proxy

MakeProxy = Callable[[Server | int], Proxy]


def ask(url: str, timeout_s: int = 10) -> object:
    with psycopg.connect(url, connect_timeout=timeout_s) as connection:
        return connection.execute("SELECT 1").fetchone()


def test_a_database_is_empty_and_belongs_to_a_role_that_is_no_superuser(
    database: str, server: Server
) -> None:
    with psycopg.connect(database) as connection:
        version = connection.execute("SHOW server_version_num").fetchone()
        assert version is not None
        assert version[0].startswith(str(server.major))
        assert connection.execute(
            "SELECT rolsuper FROM pg_roles WHERE rolname = user"
        ).fetchone() == (False,)
        connection.execute("CREATE TABLE fresh (id int)")


def test_a_server_comes_back_on_the_same_port(server: Server) -> None:
    port = server.port
    server.stop("immediate")
    with pytest.raises(psycopg.OperationalError, match="Connection refused"):
        ask(server.url("postgres"))
    server.start()
    assert server.port == port
    assert ask(server.url("postgres")) == (1,)


def test_a_standby_follows_and_is_promoted(server: Server, servers: Servers) -> None:
    standby = servers.standby(server)
    assert standby.admin("SELECT pg_is_in_recovery()") == [(True,)]
    standby.promote()
    assert standby.admin("SELECT pg_is_in_recovery()") == [(False,)]


def test_a_cold_standby_refuses_with_57p03_until_it_is_promoted(
    server: Server, servers: Servers
) -> None:
    standby = servers.standby(server, hot=False)
    with pytest.raises(psycopg.OperationalError, match="not accepting connections"):
        ask(standby.url("postgres"))
    standby.promote()
    assert ask(standby.url("postgres")) == (1,)


@pytest.fixture
def before(proxy: MakeProxy, server18: Server) -> Proxy:
    """A proxy before PostgreSQL 18."""
    return proxy(server18)


@pytest.fixture
def url(before: Proxy, server18: Server) -> str:
    """The URL by way of that proxy."""
    return before.url(server18.url("postgres"))


def test_forward(before: Proxy, url: str) -> None:
    assert ask(url) == (1,)
    assert before.accepted == 1


def test_refuse_and_forward_again_on_the_same_port(before: Proxy, url: str) -> None:
    before.refuse()
    with pytest.raises(psycopg.OperationalError, match="Connection refused"):
        ask(url)
    before.forward()
    assert ask(url) == (1,)


def test_deaf_accepts_and_never_answers(before: Proxy, url: str) -> None:
    before.deaf()
    with pytest.raises(psycopg.OperationalError, match="timeout expired"):
        ask(url, timeout_s=2)
    assert before.accepted == 1
    before.forward()
    assert ask(url) == (1,)


def test_deaf_stops_a_live_connection_until_it_is_over(before: Proxy, url: str) -> None:
    with psycopg.connect(url) as connection, ThreadPoolExecutor() as threads:
        before.deaf()
        answer = threads.submit(connection.execute, "SELECT 1")
        with pytest.raises(TimeoutError):
            answer.result(timeout=0.5)
        before.forward()
        assert answer.result(timeout=10).fetchone() == (1,)


def test_hangup_closes_at_once(before: Proxy, url: str) -> None:
    before.hangup()
    with pytest.raises(psycopg.OperationalError, match="server closed the connection unexpectedly"):
        ask(url)


def test_cut_drops_a_live_connection_and_lets_new_ones_in(before: Proxy, url: str) -> None:
    with psycopg.connect(url) as connection:
        assert before.live == 1
        before.cut()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    assert ask(url) == (1,)
