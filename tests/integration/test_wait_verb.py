"""The verb `wait`: servers side by side, a primary, a revision that others bring (A6, A8, A9)."""

import json
from collections.abc import Callable

import psycopg
from psycopg import sql

from bootstrap import target
from tests.support import processes
from tests.support.cli import Result, Running
from tests.support.postgres import Server, Servers
from tests.support.redis import RedisServer

Run = Callable[..., Result]
Start = Callable[..., Running]


def reader(server: Server, url: str) -> str:
    """The URL of a role that may only read the version table of this database."""
    name = target.parse(url).params["dbname"]
    with server.connect(name) as connection:
        connection.execute("create role looker login password 'only-to-look'")
        connection.execute("grant select on alembic_version to looker")
        connection.execute("alter role looker set default_transaction_read_only = on")
    return server.url(name, user="looker", password="only-to-look")


def test_a_revision_is_awaited_without_a_lock_and_with_no_right_but_to_read(
    run: Run, start: Start, server18: Server, database18: str
) -> None:
    owner = {"DATABASE_URL": database18}
    run("migrate 0001", env=owner).expect(0)
    looker = {"DATABASE_URL": reader(server18, database18)}
    try:
        once = run("wait --revision head --timeout 0 --json", env=looker).expect(124).json()
        assert once["error"]["current"] == ["0001"]
        run("wait --revision 0001 --timeout 0", env=looker).expect(0)

        waiting = start("wait --revision head", env=looker)
        waiting.wait_for("is ready\n")
        run("migrate", env=owner).expect(0)
        waiting.wait().expect(0)
    finally:
        with psycopg.connect(server18.url("postgres"), autocommit=True) as connection:
            connection.execute("alter role looker nologin")
        with server18.connect(target.parse(database18).params["dbname"]) as connection:
            connection.execute(sql.SQL("drop owned by looker"))
            connection.execute("drop role looker")


def test_a_revision_is_awaited_on_sqlite_too(run: Run) -> None:
    run("migrate 0002").expect(0)
    result = run("wait --revision head --timeout 0").expect(124)
    assert "is at 0002 and did not come to" in result.stderr
    run("migrate").expect(0)
    run("wait --revision head --timeout 0").expect(0)


def test_a_standby_is_not_ready_until_it_is_promoted(
    run: Run, start: Start, servers: Servers
) -> None:
    primary = servers.new(18)
    standby = servers.standby(primary)
    env = {"DATABASE_URL": standby.url("postgres")}
    run("wait --timeout 0", env=env).expect(0)
    result = run("wait --require-primary --timeout 0", env=env).expect(124)
    assert "it is a standby, and a primary is required; promote it" in result.stderr
    waiting = start("wait --require-primary --timeout 30", env=env)
    waiting.wait_for("it is a standby")
    standby.promote()
    waiting.wait().expect(0)


def test_a_run_on_a_standby_waits_for_the_primary(run: Run, servers: Servers) -> None:
    standby = servers.standby(servers.new(18))
    result = run("run --timeout 0.5", env={"DATABASE_URL": standby.url("postgres")}).expect(124)
    assert "it is a standby, and a primary is required" in result.stderr


def test_postgres_and_redis_are_awaited_side_by_side(
    run: Run, database18: str, redis_server: Callable[..., RedisServer]
) -> None:
    both = {"DATABASE_URL": database18, "REDIS_URL": redis_server(password="pass-word").url}
    run("wait --timeout 5", env=both).expect(0)
    port = processes.free_port()
    absent = {**both, "REDIS_URL": f"redis://127.0.0.1:{port}/0"}
    result = run("wait --timeout 0.5 --json", env=absent).expect(124)
    assert f"redis at 127.0.0.1:{port}/0 was not ready after" in result.stderr
    targets = result.json()["error"]["targets"]
    assert [each["target"] for each in targets] == [f"127.0.0.1:{port}/0"]


def test_redis_that_demands_a_password_is_a_refusal(
    run: Run, database18: str, redis_server: Callable[..., RedisServer]
) -> None:
    secured = redis_server(password="pass-word")
    url = f"redis://127.0.0.1:{secured.port}/0"
    env = {"DATABASE_URL": database18, "REDIS_URL": url, "BOOTSTRAPD_REFUSED_GRACE_S": "0.2"}
    result = run("run --log-format json", env=env).expect(3)
    last = json.loads(result.stderr.splitlines()[-1])
    assert (last["event"], last["slug"], last["error_class"]) == (
        "failed",
        "refused",
        "authentication",
    )
