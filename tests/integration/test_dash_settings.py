"""dash's own names: the parts of its database, its pool and retries, Redis, its test database."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from bootstrap import engine, settings
from bootstrap.apps.dash import storage
from bootstrap.errors import SettingsError
from tests.support.cli import Result
from tests.support.postgres import Server
from tests.support.proxy import Proxy
from tests.support.redis import RedisServer


def load(**environ: str) -> settings.Loaded:
    return settings.load({"BOOTSTRAPD_APP": "dash"}, environ)


def pool(**environ: str) -> storage.PoolSettings:
    return settings.load_own(storage.PoolSettings, environ)


def test_the_documents_env_file() -> None:
    loaded = load(
        POSTGRES_HOST="localhost",
        POSTGRES_PORT="5432",
        POSTGRES_DB="dash",
        POSTGRES_USER="dash",
        POSTGRES_PASSWORD="dash",
        POSTGRES_SSL="false",
        POSTGRES_MIN_POOL_SIZE="2",
        POSTGRES_MAX_POOL_SIZE="20",
    )
    assert loaded.target.identity == "localhost:5432/dash"
    assert loaded.target.conninfo() == {
        "host": "localhost",
        "port": "5432",
        "dbname": "dash",
        "user": "dash",
        "password": "dash",
        "sslmode": "prefer",
    }
    assert load().target.identity.endswith("/dash.db")


@pytest.mark.parametrize(
    ("environ", "identity"),
    [
        ({}, "/dash_test.db"),
        ({"POSTGRES_HOST": "db"}, "db:5432/dash_test"),
        ({"POSTGRES_HOST": "db", "POSTGRES_DB": "mine"}, "db:5432/mine"),
        ({"DATABASE_URL": "postgresql://db/own"}, "db:5432/own"),
    ],
)
def test_tests_have_a_database_apart(environ: dict[str, str], identity: str) -> None:
    loaded = load(BOOTSTRAPD_ENVIRONMENT="test", **environ)
    assert loaded.target.identity.endswith(identity)


def test_the_pool_by_default_and_as_it_is_advised_for_fifty_agents() -> None:
    assert pool().options() == engine.Options(
        application_name="dash",
        pool_size=10,
        max_overflow=10,
        pool_timeout_s=5,
        pool_min=2,
        idle_timeout_s=30,
        connect_timeout_s=5,
        query_timeout_s=30,
    )
    advised = pool(POSTGRES_MIN_POOL_SIZE="5", POSTGRES_MAX_POOL_SIZE="50").options()
    assert (advised.pool_min, advised.pool_size, advised.max_overflow) == (5, 10, 40)


def test_the_pool_is_never_larger_than_its_most() -> None:
    small = pool(POSTGRES_MAX_POOL_SIZE="3", POSTGRES_MIN_POOL_SIZE="8").options()
    assert (small.pool_size, small.max_overflow) == (3, 0)
    none = pool(POSTGRES_MAX_POOL_SIZE="0").options()
    assert (none.pool_size, none.max_overflow) == (1, 0)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        pool(POSTGRES_MAX_POOL_SIZE="many", POSTGRES_RETRY_DELAY="1s")
    assert caught.value.message == (
        "settings: 2 problems\n"
        "  POSTGRES_MAX_POOL_SIZE: wanted a whole number of 0 or more, found 'many'\n"
        "  POSTGRES_RETRY_DELAY: wanted a whole number of 0 or more, found '1s'"
    )


def test_retries_are_as_many_and_as_patient_as_they_are_set(
    database18: str, server18: Server, proxy: Callable[[Server], Proxy]
) -> None:
    before = proxy(server18)
    before.refuse()
    sleeps: list[float] = []
    where = load(DATABASE_URL=before.url(database18)).target
    client = storage.connect(where, pool(POSTGRES_RETRY_ATTEMPTS="4", POSTGRES_RETRY_DELAY="2000"))
    client._sleep = sleeps.append
    with client, pytest.raises(sa.exc.OperationalError, match="Connection refused"):
        client.connect()
    assert len(sleeps) == 3
    assert all(1 <= sleep <= 2 for sleep in sleeps)


def test_no_more_connections_than_the_most(database18: str, server18: Server) -> None:
    where = load(DATABASE_URL=database18).target
    most = pool(POSTGRES_MAX_POOL_SIZE="2", POSTGRES_ACQUIRE_TIMEOUT="200")
    with storage.connect(where, most) as client:
        with client.engine.connect(), client.engine.connect():
            pass
        with (
            client.engine.connect(),
            client.engine.connect(),
            pytest.raises(sa.exc.TimeoutError, match=r"size 2 overflow 0 reached.*timeout 0\.20"),
        ):
            client.connect()
        names = server18.admin(
            "SELECT application_name FROM pg_stat_activity WHERE datname = %s",
            where.params["dbname"],
        )
        assert names == [("dash",), ("dash",)]


# -- Redis -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "url", "source"),
    [
        ({"REDIS_HOST": "cache"}, "redis://cache:6379", "REDIS_HOST"),
        ({"REDIS_PORT": "6380"}, "redis://localhost:6380", "REDIS_PORT"),
        ({"REDIS_HOST": "::1", "REDIS_PORT": "6380"}, "redis://[::1]:6380", "REDIS_HOST"),
        ({"REDIS_HOST": "cache", "REDIS_URL": "redis://other"}, "redis://other", "REDIS_URL"),
        (
            {
                "REDIS_HOST": "cache",
                "BOOTSTRAPD_REDIS_USER": "app",
                "BOOTSTRAPD_REDIS_PASSWORD": "a@b:c/%",
                "BOOTSTRAPD_REDIS_SSL": "true",
            },
            "rediss://app:a%40b%3Ac%2F%25@cache:6379",
            "REDIS_HOST",
        ),
        (
            {"REDIS_HOST": "cache", "BOOTSTRAPD_REDIS_PASSWORD": "secret"},
            "redis://:secret@cache:6379",
            "REDIS_HOST",
        ),
    ],
)
def test_redis_is_named_by_its_host_and_port(
    environ: dict[str, str], url: str, source: str
) -> None:
    loaded = load(**environ)
    assert loaded.settings.redis_url == url
    assert {value.source for value in loaded.values if value.name == "REDIS_URL"} == {source}


def test_nobody_waits_for_a_redis_that_was_not_named() -> None:
    assert load().settings.redis_url is None
    assert settings.load({}, {"REDIS_HOST": "cache"}).settings.redis_url is None


def test_a_port_of_redis_that_is_none() -> None:
    with pytest.raises(SettingsError) as caught:
        load(REDIS_PORT="tcp://10.0.0.1:6379")
    assert caught.value.facts["problems"] == [
        "REDIS_PORT: wanted a port number, found 'tcp://10.0.0.1:6379'"
    ]


def test_dash_comes_up_when_its_redis_answers(
    run: Callable[..., Result], redis_server: Callable[..., RedisServer]
) -> None:
    redis = redis_server()
    env = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(redis.port), "BOOTSTRAPD_APP": "dash"}
    up = run("run --json", env=env).expect(0).json()
    assert up["status"]["revisions"] == ["0005"]
    assert run("validate --json", env=env).expect(0).json()["validated"] == {
        "means": "snapshot",
        "tables": 6,
        "findings": [],
    }
    redis.stop()
    late = run("wait --timeout 0", env=env).expect(124)
    assert f"redis at 127.0.0.1:{redis.port}" in late.stderr
