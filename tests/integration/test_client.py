"""The apps' database client, the same on SQLite and PostgreSQL, through outages."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import event, orm

from bootstrap import engine, target
from bootstrap.client import Client, CommitLostError
from bootstrap.errors import SettingsError
from tests.support.pgbouncer import PgBouncer
from tests.support.postgres import Server, Servers
from tests.support.proxy import Proxy

MakeProxy = Callable[[Server], Proxy]
Open = Callable[..., Client]


@pytest.fixture
def open_client() -> Iterator[Open]:
    """`open_client(url, ...)`: a client on a database that exists; closed when the test ends."""
    clients = []

    def make(
        url: str, *, sleep: Callable[[float], object] | None = None, **options: object
    ) -> Client:
        where = target.parse(url)
        if where.path is not None and not where.path.exists():
            make_file(where.path)
        keywords = {} if sleep is None else {"sleep": sleep}
        client = Client(where, engine.Options(**options), **keywords)  # type: ignore[arg-type]
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.disconnect()


@pytest.fixture
def client(database_url: str, open_client: Open) -> Client:
    """A client on each kind of database, with a table `thing` that holds one row."""
    return with_table(open_client(database_url))


def make_file(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("vacuum")


def with_table(client: Client) -> Client:
    client.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY, count INTEGER NOT NULL)")
    client.execute("INSERT INTO thing VALUES (1, 0)")
    return client


def count(client: Client) -> object:
    row = client.query_one("SELECT count FROM thing WHERE id = 1")
    assert row is not None
    return row["count"]


def increment(session: orm.Session) -> None:
    (found,) = session.execute(sa.text("SELECT count FROM thing WHERE id = 1")).one()
    session.execute(sa.text("UPDATE thing SET count = :n WHERE id = 1"), {"n": found + 1})


# -- the verbs -------------------------------------------------------------------------------------


def test_connect_query_and_execute(client: Client) -> None:
    client.connect()
    assert client.execute("INSERT INTO thing VALUES (:id, :count)", {"id": 2, "count": 5}) == 1
    assert client.execute("UPDATE thing SET count = count + 1") == 2
    assert client.query("SELECT id, count FROM thing ORDER BY id") == [
        {"id": 1, "count": 1},
        {"id": 2, "count": 6},
    ]
    assert client.query("UPDATE thing SET count = 7 RETURNING id, count") == [
        {"id": 1, "count": 7},
        {"id": 2, "count": 7},
    ]
    assert count(client) == 7
    assert client.query_one("SELECT id FROM thing WHERE id = 3") is None
    assert client.query("DELETE FROM thing") == []
    assert client.health_check() is True


def test_a_transaction_is_committed_whole_or_not_at_all(client: Client) -> None:
    def fails(session: orm.Session) -> None:
        increment(session)
        raise RuntimeError("the work's own error")

    with pytest.raises(RuntimeError, match="the work's own error"):
        client.transaction(fails)
    assert count(client) == 0
    client.transaction(increment)
    assert count(client) == 1


def test_read_leaves_nothing_behind(client: Client) -> None:
    client.read(increment)
    assert count(client) == 0


def test_errors_are_those_of_the_driver_and_never_show_values(client: Client) -> None:
    with pytest.raises(sa.exc.IntegrityError) as caught:
        client.execute("INSERT INTO thing VALUES (:id, :n)", {"id": 1, "n": 4711})
    assert caught.value.orig is caught.value.__cause__
    assert "4711" not in str(caught.value)


def test_disconnect_closes_the_connections_and_the_next_use_opens_new_ones(
    client: Client,
) -> None:
    assert client.engine.pool.checkedin() == 1  # type: ignore[attr-defined]
    client.disconnect()
    assert client.engine.pool.checkedin() == 0  # type: ignore[attr-defined]
    assert count(client) == 0


def test_disconnect_leaves_no_session_on_the_server(
    database18: str, server18: Server, open_client: Open
) -> None:
    client = open_client(database18, application_name="leaving")
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'leaving'"
    client.connect()
    assert server18.admin(sessions) == [(1,)]
    client.disconnect()
    deadline_s = time.monotonic() + 30
    while server18.admin(sessions) != [(0,)]:
        assert time.monotonic() < deadline_s, "the session is still there"
        time.sleep(0.05)


# -- what every connection has ---------------------------------------------------------------------


def test_postgres_sessions_are_named_in_utc_and_bounded(database: str, open_client: Open) -> None:
    client = open_client(database, application_name="godel")
    assert client.query_one(
        "SELECT current_setting('application_name') AS name, current_setting('TimeZone') AS zone,"
        " current_setting('statement_timeout') AS timeout"
    ) == {"name": "godel", "zone": "UTC", "timeout": "30s"}


def test_the_urls_own_options_come_first(database18: str, open_client: Open) -> None:
    url = f"{database18}?application_name=mine&options=-c%20statement_timeout%3D7s"
    assert open_client(url).query_one(
        "SELECT current_setting('application_name') AS name, current_setting('TimeZone') AS zone,"
        " current_setting('statement_timeout') AS timeout"
    ) == {"name": "mine", "zone": "UTC", "timeout": "7s"}


def test_it_works_behind_a_pooler_in_transaction_mode(
    database18: str, bouncer: Callable[[str], PgBouncer], open_client: Open
) -> None:
    client = with_table(open_client(bouncer(database18).url, pool_size=5))
    with ThreadPoolExecutor(5) as threads:
        list(threads.map(lambda _: client.execute("UPDATE thing SET count = count + 1"), range(60)))
    assert count(client) == 60


def test_sqlite_has_wal_foreign_keys_and_a_busy_timeout(tmp_path: Path, open_client: Open) -> None:
    client = open_client(f"sqlite:///{tmp_path}/app.db")
    assert client.query("PRAGMA journal_mode") == [{"journal_mode": "wal"}]
    assert client.query("PRAGMA foreign_keys") == [{"foreign_keys": 1}]
    assert client.query("PRAGMA busy_timeout") == [{"timeout": 5000}]


def test_the_pool_is_sized_by_the_url(database18: str, open_client: Open) -> None:
    client = open_client(f"{database18}?pool_size=1&max_overflow=0&pool_timeout=0.2")
    with (
        client.engine.connect(),
        pytest.raises(sa.exc.TimeoutError, match="size 1 overflow 0 reached"),
    ):
        client.connect()
    client.connect()


def test_idle_connections_are_ended_but_for_the_least(
    database18: str, server18: Server, open_client: Open
) -> None:
    client = open_client(
        database18, application_name="idle", pool_size=5, pool_min=2, idle_timeout_s=0.2
    )
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'idle'"
    together = threading.Barrier(5)

    def use(session: orm.Session) -> None:
        session.execute(sa.text("SELECT 1"))
        together.wait()

    with ThreadPoolExecutor(5) as threads:
        list(threads.map(lambda _: client.read(use), range(5)))
    deadline_s = time.monotonic() + 30
    while server18.admin(sessions) != [(2,)]:
        assert time.monotonic() < deadline_s, server18.admin(sessions)
        time.sleep(0.05)
    with ThreadPoolExecutor(5) as threads:
        list(threads.map(lambda _: client.read(use), range(5)))
    assert client.health_check() is True


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("pool_size=many", "pool_size in the database URL: wanted a number, found 'many'"),
        (
            "pool_pre_ping=x",
            "pool_pre_ping in the database URL: wanted true or false, found 'x'",
        ),
    ],
)
def test_a_pool_option_that_makes_no_sense_is_a_settings_error(option: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Client(target.parse(f"postgresql://app@db/app?{option}"))
    assert caught.value.message == message


def test_in_memory_all_threads_share_one_database() -> None:
    with (
        Client(target.sqlite(":memory:")) as client,
        ThreadPoolExecutor(4) as threads,
    ):
        with_table(client)
        list(threads.map(lambda _: client.transaction(increment), range(20)))
        assert count(client) == 20


# -- time ------------------------------------------------------------------------------------------

ENDLESS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i + 1 FROM n) SELECT max(i) FROM n",
    "postgresql": "SELECT pg_sleep(600)",
}


def test_a_statement_is_ended_when_its_time_is_up(database_url: str, open_client: Open) -> None:
    client = open_client(database_url, query_timeout_s=0.3)
    with pytest.raises(sa.exc.OperationalError, match=r"interrupted|statement timeout"):
        client.query(ENDLESS[client.target.dialect])
    assert client.health_check() is True


def test_many_transactions_at_once_lose_no_update(database_url: str, open_client: Open) -> None:
    client = with_table(open_client(database_url))

    def locked(session: orm.Session) -> None:
        if client.target.is_postgres:
            session.execute(sa.text("SELECT 1 FROM thing WHERE id = 1 FOR UPDATE"))
        increment(session)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: client.transaction(locked), range(100)))
    assert count(client) == 100


def test_many_threads_may_open_a_new_sqlite_file_at_once(tmp_path: Path, open_client: Open) -> None:
    client = open_client(f"sqlite:///{tmp_path}/app.db", pool_size=15)
    together = threading.Barrier(15)

    def connect(_: int) -> None:
        together.wait()
        client.connect()

    with ThreadPoolExecutor(15) as threads:
        list(threads.map(connect, range(15)))


# -- what passes by itself -------------------------------------------------------------------------


def test_of_two_that_deadlock_both_succeed(database: str, open_client: Open) -> None:
    client = with_table(open_client(database))
    client.execute("INSERT INTO thing VALUES (2, 0)")
    both_hold_one = threading.Barrier(2)
    calls: list[int] = []

    def swapped(first: int, second: int) -> Callable[[orm.Session], None]:
        def work(session: orm.Session) -> None:
            session.execute(sa.text(f"UPDATE thing SET count = count + 1 WHERE id = {first}"))
            calls.append(first)
            if len(calls) <= 2:
                both_hold_one.wait()
            session.execute(sa.text(f"UPDATE thing SET count = count + 1 WHERE id = {second}"))

        return work

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(client.transaction, [swapped(1, 2), swapped(2, 1)]))
    assert len(calls) == 3
    assert client.query("SELECT id, count FROM thing ORDER BY id") == [
        {"id": 1, "count": 2},
        {"id": 2, "count": 2},
    ]


def test_a_serialization_failure_is_tried_again(database: str, open_client: Open) -> None:
    client = with_table(open_client(database))
    tries = 0

    def work(session: orm.Session) -> None:
        nonlocal tries
        tries += 1
        session.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        (found,) = session.execute(sa.text("SELECT count FROM thing WHERE id = 1")).one()
        if tries == 1:
            client.execute("UPDATE thing SET count = 10 WHERE id = 1")
        session.execute(sa.text("UPDATE thing SET count = :n WHERE id = 1"), {"n": found + 1})

    client.transaction(work)
    assert tries == 2
    assert count(client) == 11


def test_what_does_not_pass_is_tried_once(client: Client) -> None:
    tries = 0

    def work(session: orm.Session) -> None:
        nonlocal tries
        tries += 1
        session.execute(sa.text("SELECT nothing FROM nowhere"))

    with pytest.raises(sa.exc.DBAPIError, match="nowhere"):
        client.transaction(work)
    assert tries == 1


# -- outages ---------------------------------------------------------------------------------------


@pytest.fixture
def before(proxy: MakeProxy, server18: Server) -> Proxy:
    """A proxy before PostgreSQL 18."""
    return proxy(server18)


@pytest.fixture
def url(before: Proxy, database18: str) -> str:
    """A fresh database by way of that proxy."""
    return before.url(database18)


def test_a_connection_that_was_cut_while_idle_is_replaced(
    before: Proxy, url: str, open_client: Open
) -> None:
    client = with_table(open_client(url))
    before.cut()
    assert count(client) == 0


def test_a_connection_that_is_cut_in_the_middle_begins_the_work_again(
    before: Proxy, url: str, open_client: Open
) -> None:
    client = with_table(open_client(url))
    tries = 0

    def work(session: orm.Session) -> None:
        nonlocal tries
        tries += 1
        increment(session)
        if tries == 1:
            before.cut()
        increment(session)

    client.transaction(work)
    assert tries == 2
    assert count(client) == 2


def test_a_connection_that_is_cut_during_commit_is_told_and_not_tried_again(
    before: Proxy, url: str, open_client: Open
) -> None:
    client = with_table(open_client(url))
    tries = 0

    def work(session: orm.Session) -> None:
        nonlocal tries
        tries += 1
        increment(session)
        event.listen(session, "before_commit", lambda _: before.cut())

    with pytest.raises(CommitLostError) as caught:
        client.transaction(work)
    assert str(caught.value) == (
        "the connection was lost during COMMIT; look whether the change is there before doing it "
        "again"
    )
    assert tries == 1
    assert count(client) == 0


def test_a_server_that_is_away_is_tried_three_times(
    before: Proxy, url: str, open_client: Open
) -> None:
    sleeps: list[float] = []
    client = open_client(url, sleep=sleeps.append)
    before.refuse()
    with pytest.raises(sa.exc.OperationalError, match="Connection refused"):
        client.connect()
    # Half of 0.1 s and 0.2 s is random.
    assert len(sleeps) == 2
    assert 0.05 <= sleeps[0] <= 0.1 <= sleeps[1] <= 0.2
    assert client.health_check() is False
    before.forward()
    assert client.health_check() is True


def test_a_server_that_comes_back_in_time_is_not_noticed(
    before: Proxy, url: str, open_client: Open
) -> None:
    before.refuse()
    client = open_client(url, sleep=lambda _: before.forward())
    client.connect()


def test_a_server_that_goes_silent_does_not_hold_a_thread(
    before: Proxy, url: str, open_client: Open
) -> None:
    client = with_table(open_client(url, connect_timeout_s=2, query_timeout_s=0.5))

    def work(session: orm.Session) -> None:
        increment(session)
        before.deaf()
        increment(session)

    # 0.5 s for the statement, 5 s for the server to say so; then a new connection gets 2 s, which
    # is past the time in which work is tried again.
    with pytest.raises(sa.exc.OperationalError, match=r"no answer for 5\.5 s"):
        client.transaction(work)
    assert client.health_check() is False
    before.forward()
    assert count(client) == 0


def test_an_idle_connection_that_went_silent_is_not_waited_for(
    before: Proxy, url: str, open_client: Open
) -> None:
    client = open_client(url, connect_timeout_s=2, query_timeout_s=600)
    client.connect()
    before.deaf()
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(client.health_check)
        try:
            assert asked.result(timeout=120) is False
        finally:
            before.forward()
    client.connect()


def test_a_standby_that_is_promoted_takes_the_write(
    server: Server, servers: Servers, open_client: Open
) -> None:
    with_table(open_client(server.url("postgres"), application_name="before"))
    try:
        standby = servers.standby(server)
        client = open_client(standby.url("postgres"), sleep=lambda _: standby.promote())
        assert count(client) == 0
        client.transaction(increment)
        assert count(client) == 1
    finally:
        server.admin("DROP TABLE thing")


# -- a SQLite file ---------------------------------------------------------------------------------


def test_a_file_that_is_not_there_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with Client(target.sqlite(str(path)), sleep=lambda _: None) as client:
        assert client.health_check() is False
        with pytest.raises(sa.exc.OperationalError, match="unable to open database file"):
            client.connect()
    assert not path.exists()


def test_a_file_that_is_moved_away_is_left_and_one_that_takes_its_place_is_found(
    tmp_path: Path, open_client: Open
) -> None:
    path = tmp_path / "app.db"
    client = with_table(open_client(f"sqlite:///{path}", sleep=lambda _: None))
    client.transaction(increment)
    client.disconnect()
    copy = tmp_path / "copy.db"
    copy.write_bytes(path.read_bytes())
    client.transaction(increment)
    for part in ("", "-wal", "-shm"):
        Path(f"{path}{part}").rename(tmp_path / f"old.db{part}")
    assert client.health_check() is False
    copy.rename(path)
    assert count(client) == 1


def test_a_path_with_odd_characters(tmp_path: Path) -> None:
    path = tmp_path / "50% #1?mode=ro&é.db"
    make_file(path)
    with Client(target.sqlite(str(path))) as client:
        assert count(with_table(client)) == 0
