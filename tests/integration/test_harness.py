"""The harness itself, where a flaw in it would make other tests pass for nothing."""

import sqlite3
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import redis

from tests.support import look
from tests.support.cli import Result
from tests.support.pgbouncer import PgBouncer
from tests.support.postgres import Server, Servers
from tests.support.projects import Project
from tests.support.proxy import Proxy
from tests.support.redis import RedisServer
from tests.support.tls import Authority

MakeProxy = Callable[..., Proxy]


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

    def refusal() -> str:
        with pytest.raises(psycopg.OperationalError) as caught:
            ask(standby.url("postgres"))
        return str(caught.value)

    # Until it has read what the copy lacks, it says that it is starting up.
    look.until(lambda: "not accepting connections" in refusal())
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


def test_tls_is_verified_by_the_authority_and_for_the_host_alone(
    proxy: MakeProxy, server18: Server, authority: Authority
) -> None:
    right = proxy(server18, tls=authority.context("127.0.0.1"))
    wrong = proxy(server18, tls=authority.context("db.example"))
    verify = f"?sslmode=verify-full&sslrootcert={authority.ca_file}"
    url = server18.url("postgres")
    with psycopg.connect(right.url(url) + verify) as connection:
        assert connection.pgconn.ssl_in_use
    with pytest.raises(psycopg.OperationalError, match="does not match host name"):
        ask(wrong.url(url) + verify)
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        ask(right.url(url) + "?sslmode=verify-full&sslrootcert=system")
    with pytest.raises(psycopg.OperationalError, match="server does not support SSL"):
        ask(url + "?sslmode=require")


@pytest.mark.parametrize("tls", [False, True])
def test_redis_demands_its_password(
    redis_server: Callable[..., RedisServer], authority: Authority, tls: bool
) -> None:
    server = redis_server(password="p@ss/w%rd", tls=tls)
    options = {"ssl_ca_certs": str(authority.ca_file)} if tls else {}
    with redis.Redis.from_url(server.url, **options) as client:
        assert client.ping()
    without = server.url.replace(":p%40ss%2Fw%25rd@", "")
    with (
        redis.Redis.from_url(without, **options) as client,
        pytest.raises(redis.AuthenticationError, match="authenticated"),
    ):
        client.ping()


def test_redis_is_loading_and_then_ready(redis_server: Callable[..., RedisServer]) -> None:
    server = redis_server(loading_s=1.0)
    with redis.Redis.from_url(server.url) as client:
        with pytest.raises(redis.BusyLoadingError):
            client.ping()
        while True:
            try:
                assert client.dbsize() == 200
            except redis.BusyLoadingError:
                continue
            break


@pytest.mark.parametrize(("mode", "shared"), [("transaction", True), ("session", False)])
def test_a_pooler_lends_one_server_process_in_turn_or_keeps_it(
    bouncer: Callable[..., PgBouncer], database: str, mode: str, shared: bool
) -> None:
    pooled = bouncer(database, mode=mode).url
    with psycopg.connect(pooled) as one, psycopg.connect(pooled) as two:
        first = one.execute("SELECT pg_backend_pid()").fetchone()
        one.commit()
        second = two.execute("SELECT pg_backend_pid()").fetchone()
        assert (first == second) == shared


@pytest.mark.parametrize(
    ("kind", "env"),
    [
        ("ini", "plain"),
        ("ini", "logging"),
        ("ini", "own_engine"),
        ("pyproject", "async"),
        ("directory", "plain"),
    ],
)
def test_a_project_is_one_that_alembic_itself_can_migrate(
    project: Callable[..., Project],
    run: Callable[..., Result],
    tmp_path: Path,
    kind: str,
    env: str,
) -> None:
    shop = project(kind=kind, env=env, revisions=2)
    driver = "sqlite+aiosqlite" if env == "async" else "sqlite"
    if kind == "directory":
        (shop.path / "alembic.ini").write_text(
            "[alembic]\nscript_location = alembic\nprepend_sys_path = .\npath_separator = os\n"
            f"sqlalchemy.url = {driver}:///{tmp_path}/shop.db\n"
            "[loggers]\nkeys = root\n[handlers]\nkeys =\n[formatters]\nkeys =\n"
            "[logger_root]\nhandlers =\n"
        )
    else:
        shop.set_url(f"{driver}:///{tmp_path}/shop.db")
    alembic = (sys.executable, "-m", "alembic")
    run("upgrade head", cwd=shop.path, python=alembic).expect(0)
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        assert {name for (name,) in tables} == {"alembic_version", "item_0001", "item_0002"}
    checked = run("check", cwd=shop.path, python=alembic).expect(0)
    assert "No new upgrade operations detected." in checked.stdout


@pytest.mark.parametrize(("require_all", "exit_code"), [("0", 0), ("1", 1)])
def test_a_skip_is_a_failure_where_everything_must_be_there(
    run: Callable[..., Result], tmp_path: Path, require_all: str, exit_code: int
) -> None:
    (tmp_path / "test_skips.py").write_text(
        "from tests.support import need\n\n\ndef test_it():\n    need('no-such-program')\n"
    )
    ended = run(
        ["-m", "pytest", "-p", "tests.conftest", "-rA", tmp_path],
        env={"REQUIRE_ALL": require_all},
        cwd=tmp_path,
        python=(sys.executable,),
    ).expect(exit_code)
    assert "no-such-program is not installed" in ended.stdout
