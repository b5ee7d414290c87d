"""libpq, spoken to directly: values there and back, deadlines, errors (all on real servers)."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from bootstrap import libpq, target
from tests.support.postgres import Server
from tests.support.proxy import Proxy


def opened(url: str) -> libpq.Connection:
    return libpq.reach(target.parse(url).conninfo())


@pytest.fixture
def connection(database: str) -> Iterator[libpq.Connection]:
    with closing(opened(database)) as made:
        yield made


def test_values_come_as_what_they_are(connection: libpq.Connection) -> None:
    rows = connection.execute(
        "select true, false, null::int, -5, 9223372036854775807, 'ä\n''x'::text, ''::text,"
        " '[1, {\"a\": null}]'::json, '{\"b\": 2}'::jsonb, 1.50::numeric, 7::oid"
    )
    texts, documents = ("ä\n'x", ""), ([1, {"a": None}], {"b": 2})
    assert rows == [(True, False, None, -5, 9223372036854775807, *texts, *documents, "1.50", 7)]


def test_values_go_as_what_they_are(connection: libpq.Connection) -> None:
    sent = ["ö'; drop table x --", None, 42, True, 1.5, ""]
    rows = connection.execute(
        "select $1::text, $2::text, $3::int, $4::boolean, $5::float8::text, $6::text", *sent
    )
    assert rows == [("ö'; drop table x --", None, 42, True, "1.5", "")]


def test_several_rows_and_none(connection: libpq.Connection) -> None:
    assert connection.execute("select g from generate_series(1, 3) g") == [(1,), (2,), (3,)]
    assert connection.execute("select 1 where false") == []
    assert connection.execute("") == []
    assert connection.execute("create table t (id int); insert into t values (1); table t") == [
        (1,)
    ]


def test_a_large_value_goes_both_ways(connection: libpq.Connection) -> None:
    text = "ü" * 5_000_000
    assert connection.execute("select $1::text", text) == [(text,)]


def test_an_error_has_its_code_and_leaves_the_connection_usable(
    connection: libpq.Connection,
) -> None:
    with pytest.raises(libpq.Error, match="division by zero") as caught:
        connection.execute("select 1 / $1::int", 0)
    assert caught.value.sqlstate == "22012"
    connection.execute("create table t (id int primary key); insert into t values (1)")
    with pytest.raises(libpq.Error) as caught:
        connection.execute("insert into t values (1)")
    assert caught.value.message == (
        'duplicate key value violates unique constraint "t_pkey" (Key (id)=(1) already exists.)'
    )
    assert connection.execute("select 1") == [(1,)]


def test_notices_stay_out_of_stderr(
    connection: libpq.Connection, capfd: pytest.CaptureFixture[str]
) -> None:
    connection.execute("drop table if exists nowhere")
    assert capfd.readouterr().err == ""


def test_a_deadline_ends_a_query(connection: libpq.Connection) -> None:
    with pytest.raises(libpq.SilentError):
        connection.execute("select pg_sleep(60)", deadline_s=time.monotonic() + 0.2)


def test_a_server_that_goes_down_is_an_error_and_no_crash(server: Server, database: str) -> None:
    with closing(opened(database)) as made:
        server.stop("immediate")
        with pytest.raises(libpq.Error, match=r"server closed the connection|terminating"):
            made.execute("select 1")
        assert made.closed
        with pytest.raises(libpq.Error):
            made.execute("select 1")
    server.start()


def test_a_closed_connection_says_so(database18: str) -> None:
    made = opened(database18)
    made.close()
    made.close()
    assert made.closed
    with pytest.raises(libpq.Error, match="the connection is closed"):
        made.execute("select 1")


def test_a_login_that_is_cut_is_an_error(
    proxy: Callable[..., Proxy], server18: Server, database18: str
) -> None:
    gate = proxy(server18)
    gate.hangup()
    with pytest.raises(libpq.Error) as caught:
        opened(gate.url(database18))
    assert caught.value.sqlstate is None


def test_every_address_of_every_host_is_a_place() -> None:
    params = {"host": "127.0.0.1,/run/pg", "port": "1,2", "dbname": "d"}
    assert libpq.places(params) == [
        {"host": "127.0.0.1", "port": "1", "dbname": "d", "hostaddr": "127.0.0.1"},
        {"host": "/run/pg", "port": "2", "dbname": "d"},
    ]
    with pytest.raises(libpq.Error, match=r"failed to resolve host 'no-such-host\.invalid'"):
        libpq.places({"host": "no-such-host.invalid"})


def test_identifiers_are_quoted() -> None:
    assert libpq.identifier("Sales", 'odd"name') == '"Sales"."odd""name"'
