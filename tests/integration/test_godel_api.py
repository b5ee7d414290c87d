"""godel's API on SQLite and PostgreSQL: it answers, refuses what is wrong, outlives outages."""

import http.client
import json
import re
import signal
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import uvicorn
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bootstrap import engine, listener, target
from bootstrap.apps.godel import api, bodies
from bootstrap.apps.godel.storage import Storage, create_storage
from bootstrap.client import Client
from tests.support import godel
from tests.support.cli import Command, Running
from tests.support.postgres import Server
from tests.support.proxy import Proxy

MakeProxy = Callable[[Server], Proxy]
PROGRAM = (sys.executable, "-m", "bootstrap.apps.godel")
COLLECTIONS = ("agents", "teams", "workflows", "events")
PROBLEM = "application/problem+json"


@contextmanager
def serving(storage: Storage) -> Iterator[httpx.Client]:
    """The API over this storage in a thread of this process, and a client to it."""
    listening = listener.listen("127.0.0.1:0", "a test", "")
    config = uvicorn.Config(api.application(storage), log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        base_url = f"http://{listener.address(listening)}"
        with httpx.Client(base_url=base_url, timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def serve(url: str, **options: Any) -> Iterator[httpx.Client]:
    """The API on this database, impatient."""
    options = {"connect_timeout_s": 2, "pool_timeout_s": 2, **options}
    with serving(Storage(Client(target.parse(url), engine.Options(**options)))) as client:
        yield client


@pytest.fixture
def storage(database_url: str) -> Storage:
    """Storage on each kind of database, migrated."""
    godel.upgrade(database_url)
    return Storage(Client(target.parse(database_url)))


@pytest.fixture
def http_api(storage: Storage) -> Iterator[httpx.Client]:
    """The API on each kind of database."""
    with serving(storage) as client:
        yield client


@pytest.fixture
def memory_api() -> Iterator[httpx.Client]:
    """The API on SQLite in memory, for what does not depend on the database."""
    with serving(create_storage({"type": "sqlite", "path": ":memory:"})) as client:
        yield client


def problem(response: httpx.Response) -> tuple[int, str]:
    """Status and detail of a problem that is one in every respect."""
    document = response.json()
    assert response.headers["content-type"] == PROBLEM
    assert document.keys() == {"type", "title", "status", "detail"}
    assert document["status"] == response.status_code
    return response.status_code, document["detail"]


# -- what the document promises --------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["/api", "/api/v1"])
def test_the_endpoints_of_the_document(http_api: httpx.Client, prefix: str) -> None:
    listed = http_api.get(f"{prefix}/agents")
    assert (listed.status_code, listed.json()) == (200, [])

    made = http_api.post(f"{prefix}/agents", json={"task": "Test"})
    assert made.status_code == 200
    agent = made.json()
    assert agent["id"]
    assert agent == {
        "id": agent["id"],
        "task": "Test",
        "model": None,
        "state": None,
        "created_at": agent["created_at"],
        "updated_at": agent["created_at"],
        "metadata": None,
    }
    assert made.headers["location"] == f"{prefix}/agents/{agent['id']}"
    assert http_api.get(f"{prefix}/agents").json() == [agent]

    team = http_api.post(f"{prefix}/team", json={"name": "first"})
    assert team.status_code == 200
    assert team.headers["location"] == f"{prefix}/teams/{team.json()['id']}"
    assert http_api.get(team.headers["location"]).json() == team.json()


VALUES: dict[str, dict[str, Any]] = {
    "agents": {"task": "t", "model": "m", "state": "s", "metadata": {"tags": ["é", None, 1.5]}},
    "teams": {"name": "日本", "status": "s", "config": {"max": 2**63 - 1}},
    "workflows": {"name": "n", "status": "s", "steps": [{"run": "x", "if": True}, "y"]},
    "events": {"type": "agent.spawned", "data": {"": {}}},
}


@pytest.mark.parametrize("name", COLLECTIONS)
def test_every_collection_creates_lists_and_gets(http_api: httpx.Client, name: str) -> None:
    first = http_api.post(f"/api/{name}", json=VALUES[name])
    assert first.status_code == 200
    assert VALUES[name].items() <= first.json().items()
    second = http_api.post(f"/api/{name}", json={})
    assert second.status_code == 200
    for made in (first, second):
        found = http_api.get(made.headers["location"])
        assert (found.status_code, found.json()) == (200, made.json())
    ids = [row["id"] for row in http_api.get(f"/api/{name}").json()]
    assert sorted(ids) == sorted([first.json()["id"], second.json()["id"]])


def test_pages(http_api: httpx.Client) -> None:
    made = [http_api.post("/api/events", json={"type": str(n)}).json() for n in range(3)]
    newest_first = sorted(made, key=lambda row: (row["created_at"], row["id"]), reverse=True)
    assert http_api.get("/api/events").json() == newest_first
    assert http_api.get("/api/events?limit=1&offset=1").json() == newest_first[1:2]
    assert http_api.get("/api/events?limit=0").json() == []
    assert http_api.get(f"/api/events?offset={2**63 - 1}").json() == []


def test_many_requests_at_once(http_api: httpx.Client) -> None:
    def create(number: int) -> object:
        return http_api.post("/api/agents", json={"task": str(number)}).status_code

    with ThreadPoolExecutor(16) as threads:
        assert set(threads.map(create, range(100))) == {200}
    agents = http_api.get("/api/agents?limit=1000").json()
    assert {int(agent["task"]) for agent in agents} == set(range(100))


# -- bad input -------------------------------------------------------------------------------------

KNOWN = "known are task, model, state, metadata"


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        (b"", 400, "body: not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b"task=Test", 400, "body: not JSON: Expecting value: line 1 column 1 (char 0)"),
        (
            b"\xff",
            400,
            "body: not JSON: 'utf-8' codec can't decode byte 0xff in position 0: "
            "invalid start byte",
        ),
        (b'{"metadata":{"a":NaN}}', 400, "body: not JSON: NaN is not a JSON number"),
        (b'{"metadata":{"a":1e999}}', 400, "body: not JSON: 1e999 is too large a number"),
        (
            b'{"metadata":{"a":9223372036854775808}}',
            400,
            "body: not JSON: 9223372036854775808 does not fit into 64 bits",
        ),
        (b"null", 422, "body: wanted an object"),
        (b'[{"task":"x"}]', 422, "body: wanted an object"),
        (b'{"task":5}', 422, "body: task: wanted text"),
        (
            b'{"task":true,"metadata":[]}',
            422,
            "body: task: wanted text; metadata: wanted an object",
        ),
        (b'{"id":"mine"}', 422, f"body: unknown field 'id'; {KNOWN}"),
        (b'{"created_at":1}', 422, f"body: unknown field 'created_at'; {KNOWN}"),
        (b'{"metadata_":{}}', 422, f"body: unknown field 'metadata_'; {KNOWN}"),
        (
            b'{"task":"a\\u0000b"}',
            422,
            "body: task: text with a NUL character or half a surrogate pair",
        ),
        (
            b'{"metadata":{"x":[{"\\ud800":1}]}}',
            422,
            "body: metadata: text with a NUL character or half a surrogate pair",
        ),
        (
            b'{"metadata":{"x":' + b"[" * 64 + b"]" * 64 + b"}}",
            422,
            "body: metadata: nested deeper than 64 levels",
        ),
        (
            b'{"metadata":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            422,
            "body: nested deeper than 64 levels",
        ),
        (b" " * (bodies.MAX_BYTES + 1), 413, "body: wanted at most 1048576 bytes"),
    ],
)
def test_a_body_that_is_wrong(
    memory_api: httpx.Client, body: bytes, status: int, detail: str
) -> None:
    assert problem(memory_api.post("/api/agents", content=body)) == (status, detail)
    assert memory_api.get("/api/agents").json() == []


def test_steps_are_an_array(memory_api: httpx.Client) -> None:
    response = memory_api.post("/api/workflows", json={"steps": {"a": 1}})
    assert problem(response) == (422, "body: steps: wanted an array")


def test_a_body_of_just_the_longest_length_is_taken(http_api: httpx.Client) -> None:
    task = "x" * (bodies.MAX_BYTES - len('{"task":""}'))
    made = http_api.post("/api/agents", content=f'{{"task":"{task}"}}')
    assert made.status_code == 200
    assert http_api.get(made.headers["location"]).json()["task"] == task


@pytest.mark.parametrize("name", ["limit", "offset"])
@pytest.mark.parametrize("value", ["x", "", "-1", "1.5", "1e2", "\u0664", "9" * 30, "%00"])
def test_a_number_that_is_none(memory_api: httpx.Client, name: str, value: str) -> None:
    status, detail = problem(memory_api.get(f"/api/agents?{name}={value}"))
    assert status == 400
    assert detail.startswith(f"{name}: wanted a number from 0 to ")


def test_a_page_is_at_most_a_thousand_rows(memory_api: httpx.Client) -> None:
    assert memory_api.get("/api/agents?limit=1000").status_code == 200
    assert problem(memory_api.get("/api/agents?limit=1001")) == (
        400,
        "limit: wanted a number from 0 to 1000, found '1001'",
    )


@pytest.mark.parametrize("id_", ["nobody", "%00", "a%00b", "%ff", "' OR 1=1 --", "x" * 3000])
def test_an_id_that_is_unknown(http_api: httpx.Client, id_: str) -> None:
    status, detail = problem(http_api.get(f"/api/agents/{id_}"))
    assert status == 404
    assert detail.startswith("agents has no ")


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("DELETE", "/api/agents", 405, "GET, HEAD, POST"),
        ("POST", "/api/agents/x", 405, "GET, HEAD"),
        ("GET", "/api/team", 405, "POST"),
        ("POST", "/health", 405, "GET, HEAD"),
        ("GET", "/", 404, None),
        ("GET", "/api", 404, None),
        ("POST", "/api/users", 404, None),
    ],
)
def test_what_there_is_not(
    memory_api: httpx.Client, method: str, path: str, status: int, allowed: str | None
) -> None:
    response = memory_api.request(method, path)
    assert problem(response) == (status, f"there is no {method} {path!r}")
    allow = response.headers.get("allow")
    assert (allow and ", ".join(sorted(allow.split(", ")))) == allowed


def test_what_another_program_stored_never_breaks_a_list(
    http_api: httpx.Client, storage: Storage
) -> None:
    for number, text in enumerate(("no JSON", '{"a": NaN}', '["\\ud800", 1e999]', '"\\ud800"')):
        storage.client.execute(
            "INSERT INTO teams (id, config) VALUES (:id, :text)",
            {"id": f"t{number}", "text": text},
        )
    response = http_api.get("/api/teams")
    assert response.status_code == 200
    assert {row["id"]: row["config"] for row in response.json()} == {
        "t0": "no JSON",
        "t1": '{"a": NaN}',
        "t2": '["\\ud800", 1e999]',
        "t3": "\ud800",
    }


# -- no body whatsoever gives a server error -------------------------------------------------------

NAMES = st.sampled_from(["task", "name", "state", "metadata", "config", "steps", "data", "type"])
ANY_TEXT = st.text(st.characters(codec=None), max_size=20)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)
BODIES = (
    st.binary(max_size=200)
    | ANY_JSON.map(json.dumps).map(str.encode)
    | st.dictionaries(NAMES | ANY_TEXT, ANY_JSON, max_size=4).map(json.dumps).map(str.encode)
)


@pytest.fixture(scope="module")
def hammered(server18: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Any]]:
    """The API on SQLite and on PostgreSQL, for many requests."""
    server18.start()
    postgres = server18.create_database()
    sqlite = f"sqlite:///{tmp_path_factory.mktemp('hammered')}/app.db"
    for url in (sqlite, postgres):
        godel.upgrade(url)
    with serve(sqlite) as on_sqlite, serve(postgres) as on_postgres:
        yield [on_sqlite, on_postgres]
    server18.drop_database(postgres)


@hypothesis_settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=BODIES, name=st.sampled_from(COLLECTIONS))
@example(body=b'{"task":"\\u0000"}', name="agents")
@example(body=b'{"config":{"\\udfff":1e400}}', name="teams")
@example(body=b"[" * 100_000, name="events")
def test_no_body_gives_a_server_error(hammered: list[httpx.Client], body: bytes, name: str) -> None:
    answers = [client.post(f"/api/{name}", content=body) for client in hammered]
    assert {answer.status_code for answer in answers} <= {200, 400, 422}
    # Both databases take and refuse the same, and what they take they give back.
    assert answers[0].status_code == answers[1].status_code
    for client, answer in zip(hammered, answers, strict=True):
        if answer.status_code == 200:
            sent = {key: value for key, value in json.loads(body).items() if value is not None}
            assert sent.items() <= answer.json().items()
            assert client.get(answer.headers["location"]).json() == answer.json()
        else:
            problem(answer)


# -- outages ---------------------------------------------------------------------------------------


def test_before_the_migrations_503_and_after_them_200(database_url: str) -> None:
    where = target.parse(database_url)
    if where.path is not None:
        sqlite3.connect(where.path).close()
    with serve(database_url) as client:
        detail = (
            f"the database {where.identity} is not migrated; run: bootstrapd migrate --app godel"
        )
        for answer in (
            client.get("/api/agents"),
            client.post("/api/team", json={"name": "x"}),
            client.get("/api/events/x"),
            client.get("/health"),
        ):
            assert problem(answer) == (503, detail)
            assert answer.headers["retry-after"] == "1"
        godel.upgrade(database_url, "0002")
        assert client.get("/api/agents").status_code == 200
        assert problem(client.get("/health")) == (503, detail)
        godel.upgrade(database_url)
        assert client.get("/health").json() == {"status": "pass", "database": where.identity}
        assert client.post("/api/team", json={"name": "x"}).status_code == 200


@pytest.mark.parametrize("outage", ["refuse", "deaf", "hangup"])
def test_while_postgres_is_away_503_and_then_200_again(
    outage: str, database18: str, server18: Server, proxy: MakeProxy
) -> None:
    before = proxy(server18)
    url = before.url(database18)
    godel.upgrade(database18)
    with serve(url) as client:
        assert client.get("/api/agents").status_code == 200
        getattr(before, outage)()
        if outage != "deaf":
            before.cut()
        away = (503, f"the database {target.parse(url).identity} is away; trying again may help")
        assert problem(client.get("/api/agents")) == away
        assert problem(client.post("/api/team", json={})) == away
        assert problem(client.get("/health")) == away
        before.forward()
        assert client.get("/api/agents").status_code == 200
        assert client.post("/api/team", json={}).status_code == 200
        assert client.get("/health").status_code == 200


def test_a_restart_of_postgres_ends_no_request(database18: str, server18: Server) -> None:
    godel.upgrade(database18)
    with serve(database18) as client:
        assert client.get("/api/agents").status_code == 200
        server18.restart("immediate")
        assert client.get("/api/agents").status_code == 200


def test_all_connections_in_use_is_503(database18: str, server18: Server) -> None:
    godel.upgrade(database18)
    with (
        serve(database18, pool_size=1, max_overflow=0, pool_timeout_s=0.2) as client,
        psycopg.connect(database18) as blocker,
        ThreadPoolExecutor(1) as threads,
    ):
        blocker.execute("LOCK TABLE agents IN ACCESS EXCLUSIVE MODE")
        waiting = threads.submit(client.get, "/api/agents")
        deadline_s = time.monotonic() + 30
        while not server18.admin("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
            assert time.monotonic() < deadline_s, "the first request never got to its lock"
        assert client.get("/api/teams").status_code == 503
        blocker.rollback()
        assert waiting.result().status_code == 200
        assert client.get("/api/teams").status_code == 200


def test_a_wrong_password_is_503_and_shown_nowhere(
    database18: str, caplog: pytest.LogCaptureFixture
) -> None:
    where = target.parse(database18)
    url = database18.replace("@127.0.0.1", "TOPSECRET@127.0.0.1")
    with serve(url) as client:
        answer = client.get("/api/agents")
    assert problem(answer) == (
        503,
        f"the database {where.identity} is away; trying again may help",
    )
    assert "password authentication failed" in caplog.text
    assert "TOPSECRET" not in caplog.text


def test_a_sqlite_file_that_is_away_locked_or_none(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    godel.upgrade(f"sqlite:///{path}")
    away = (503, f"the database {path} is away; trying again may help")
    with serve(f"sqlite:///{path}") as client:
        assert client.post("/api/agents", json={}).status_code == 200
        aside = tmp_path / "aside"
        aside.mkdir()
        for part in tmp_path.glob("app.db*"):
            part.rename(aside / part.name)
        assert problem(client.get("/api/agents")) == away
        path.write_text("this is no database, and it is long enough to be looked at\n" * 20)
        assert problem(client.get("/api/agents")) == away
        path.unlink()
        for part in aside.iterdir():
            part.rename(tmp_path / part.name)
        assert len(client.get("/api/agents").json()) == 1
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert problem(client.post("/api/agents", json={})) == away
            assert client.get("/api/agents").status_code == 200
        assert client.post("/api/agents", json={}).status_code == 200


# -- the program -----------------------------------------------------------------------------------


class Served:
    """The API as a program of its own."""

    def __init__(self, running: Running) -> None:
        self.running = running
        running.wait_for(" on http://127.0.0.1:")
        port = re.search(r" on http://127.0.0.1:(\d+)", running.stderr)
        assert port
        self.port = int(port[1])

    def get(self, path: str) -> tuple[int, Any]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())


@pytest.fixture
def program(command: Command) -> Callable[..., Served]:
    """`program({...})`: the API with these variables, on a port that it chooses."""

    def start(env: dict[str, str]) -> Served:
        return Served(command.start("--address 127.0.0.1:0", env=env, python=PROGRAM))

    return start


def test_the_program_serves_the_database_of_the_settings(
    database_url: str, program: Callable[..., Served]
) -> None:
    godel.upgrade(database_url)
    served = program({"DATABASE_URL": database_url})
    assert served.get("/api/agents") == (200, [])
    assert served.get("/health")[1]["database"] == target.parse(database_url).identity
    served.running.signal(signal.SIGTERM)
    result = served.running.wait()
    assert result.exit_code == 0
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.endswith(
        f" info    serve: serving {target.parse(database_url).identity} on"
        f" http://127.0.0.1:{served.port}"
    )


def test_the_log_is_json_where_bootstrapds_is(program: Callable[..., Served]) -> None:
    served = program({"BOOTSTRAPD_LOG_FORMAT": "json"})
    assert served.get("/api/agents")[0] == 503
    served.running.signal(signal.SIGTERM)
    first, second = map(json.loads, served.running.wait().stderr.splitlines())
    assert (first["level"], first["event"], first["stage"]) == ("info", "api", "serve")
    assert first["message"].endswith(f"/godel.db on http://127.0.0.1:{served.port}")
    assert second["level"] == "warning"
    assert second["message"].startswith("GET /api/agents: 503: the database ")
    assert second["message"].endswith(
        "/godel.db is away; trying again may help: unable to open database file"
    )


def test_with_nothing_configured_it_is_sqlite_here(
    command: Command, program: Callable[..., Served]
) -> None:
    godel.upgrade(f"sqlite:///{command.cwd}/godel.db")
    assert program({}).get("/health") == (
        200,
        {"status": "pass", "database": str(command.cwd / "godel.db")},
    )


def test_a_request_that_runs_when_the_end_comes_is_answered(
    database18: str, program: Callable[..., Served], server18: Server
) -> None:
    godel.upgrade(database18)
    served = program({"DATABASE_URL": database18})
    with psycopg.connect(database18) as blocker, ThreadPoolExecutor(1) as threads:
        blocker.execute("LOCK TABLE agents IN ACCESS EXCLUSIVE MODE")
        waiting = threads.submit(served.get, "/api/agents")
        deadline_s = time.monotonic() + 30
        while not server18.admin("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
            assert time.monotonic() < deadline_s, "the request never got to its lock"
        served.running.signal(signal.SIGTERM)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=1)
        assert served.running.poll() is None
        blocker.rollback()
        assert waiting.result() == (200, [])
    assert served.running.wait().exit_code == 0


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_database_that_hangs_does_not_stop_the_end(
    signum: signal.Signals,
    database18: str,
    server18: Server,
    proxy: MakeProxy,
    program: Callable[..., Served],
) -> None:
    before = proxy(server18)
    godel.upgrade(database18)
    # The thread that connects is stuck for longer than this test may take.
    env = {"DATABASE_URL": before.url(database18), "BOOTSTRAPD_CONNECT_TIMEOUT_S": "600"}
    served = program(env)
    before.deaf()
    with closing(socket.create_connection(("127.0.0.1", served.port))) as client:
        client.sendall(b"GET /api/agents HTTP/1.1\r\nHost: x\r\n\r\n")
        deadline_s = time.monotonic() + 30
        while not before.accepted:
            assert time.monotonic() < deadline_s, "the request never got to the database"
            time.sleep(0.01)
        served.running.signal(signum)
        assert served.running.wait(timeout=60).exit_code == 0


def test_a_port_that_is_taken_is_one_line_and_exit_2(command: Command) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = command.run("", env={"GODEL_API_ADDRESS": address}, python=PROGRAM)
    assert result.exit_code == 2
    assert result.stderr == (
        f"cannot serve godel's API on {address}: the port is taken; free it, or set "
        "GODEL_API_ADDRESS to another host:port (runbook: settings)\n"
    )


@pytest.mark.parametrize("address", ["7373", "127.0.0.1", "127.0.0.1:", ":7373", "h:x", "h:65536"])
def test_an_address_that_is_none_is_one_line_and_exit_2(command: Command, address: str) -> None:
    result = command.run(["--address", address], python=PROGRAM)
    assert result.exit_code == 2
    assert result.stderr == (
        f"GODEL_API_ADDRESS: wanted host:port, found {address!r} (runbook: settings)\n"
    )


def test_an_address_of_another_machine_is_one_line_and_exit_2(command: Command) -> None:
    result = command.run("--address 192.0.2.1:7373", python=PROGRAM)
    assert result.exit_code == 2
    assert result.stderr == (
        "cannot serve godel's API on 192.0.2.1:7373: Cannot assign requested address; free it, or "
        "set GODEL_API_ADDRESS to another host:port (runbook: settings)\n"
    )


def test_settings_that_are_wrong_are_told_and_exit_2(command: Command) -> None:
    env = {"DASH_STORAGE": "mysql", "DATABASE_URL": "mysql://u:hunter22@db/x"}
    result = command.run("", env=env, python=PROGRAM)
    assert result.exit_code == 2
    assert "DASH_STORAGE: wanted sqlite or postgres or auto, found 'mysql'" in result.stderr
    assert "hunter22" not in result.stderr


def test_the_help_names_the_variable(command: Command) -> None:
    result = command.run("--help", python=PROGRAM)
    assert result.exit_code == 0
    assert "GODEL_API_ADDRESS" in result.stdout
    assert "127.0.0.1:7373" in result.stdout
