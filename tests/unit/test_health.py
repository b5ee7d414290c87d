"""Health over HTTP: a real server on a real port, asked as a probe would."""

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from bootstrap import __version__, errors, health, journal, redact

Ask = Callable[..., httpx.Response]


@pytest.fixture
def record() -> journal.Journal:
    record = journal.Journal()
    record.set(app="godel", target="db:5432/godel", release="1.2.3")
    return record


@pytest.fixture
def server(record: journal.Journal) -> Iterator[health.Server]:
    server = health.Server(record, "127.0.0.1:0")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def ask(server: health.Server) -> Iterator[Ask]:
    with httpx.Client(base_url=f"http://{server.address}", trust_env=False, timeout=30) as client:

        def ask(path: str, method: str = "GET", **options: Any) -> httpx.Response:
            return client.request(method, path, **options)

        yield ask


def bring_up(record: journal.Journal) -> None:
    for stage in ("wait", "pin", "lock", "migrate"):
        with record.stage(stage, stage):
            pass
    record.set(revisions=("0003",), heads=("0003",), pending=0, identity="5f2c")
    record.ready("db:5432/godel is ready at 0003")


def answers(ask: Ask) -> list[tuple[int, str]]:
    return [
        (answer.status_code, answer.text)
        for answer in (ask("/livez"), ask("/readyz"), ask("/startupz"))
    ]


def test_the_way_of_a_deployment(ask: Ask, record: journal.Journal) -> None:
    assert answers(ask) == [
        (200, "ok\n"),
        (503, "starting: starting\n"),
        (503, "starting: starting\n"),
    ]
    record.set(stage="wait", reason="waiting for db:5432/godel")
    assert answers(ask)[1:] == [(503, "starting: waiting for db:5432/godel\n")] * 2
    bring_up(record)
    assert answers(ask) == [
        (200, "ok\n"),
        (200, "ready: db:5432/godel is ready at 0003\n"),
        (200, "started\n"),
    ]
    record.lost("db:5432/godel does not answer", "timeout")
    assert answers(ask) == [
        (200, "ok\n"),
        (503, "lost: db:5432/godel does not answer\n"),
        (200, "started\n"),
    ]
    record.checked("db:5432/godel is ready at 0003")
    assert answers(ask)[1] == (200, "ready: db:5432/godel is ready at 0003\n")
    record.stopping("asked to end by SIGTERM")
    assert answers(ask) == [
        (200, "ok\n"),
        (503, "stopping: asked to end by SIGTERM\n"),
        (200, "started\n"),
    ]


def test_a_failed_bring_up_lives_but_is_neither_ready_nor_started(
    ask: Ask, record: journal.Journal
) -> None:
    record.failed(errors.MigrationError("revision 0002 failed"))
    assert answers(ask) == [
        (200, "ok\n"),
        (503, "failed: revision 0002 failed\n"),
        (503, "failed: revision 0002 failed\n"),
    ]


def test_verbose_lists_every_check(ask: Ask, record: journal.Journal) -> None:
    record.set(stage="pin")
    record.failed(errors.IdentityError("expected 5f2c, found 77ab"))
    assert ask("/readyz?verbose").text == (
        "[+]settings ok\n"
        "[+]wait ok\n"
        "[-]pin failed: expected 5f2c, found 77ab\n"
        "[-]lock not reached\n"
        "[-]migrate not reached\n"
        "[-]validate not reached\n"
        "[-]seed not reached\n"
        "[+]shutdown ok\n"
        "readyz check failed\n"
    )
    assert ask("/livez?verbose").text == "[+]process ok\nlivez check passed\n"
    assert ask("/startupz?verbose=1").text.endswith("\nstartupz check failed\n")
    bring_up(record)
    record.lost("gone", "timeout")
    assert ask("/startupz?verbose").text.splitlines()[-2:] == [
        "[+]shutdown ok",
        "startupz check passed",
    ]


@pytest.mark.parametrize(
    ("changes", "code", "state", "output"),
    [
        ({}, 200, "pass", None),
        ({"fallback": True}, 200, "warn", None),
        ({"findings": ({"object": "index a"},)}, 200, "warn", None),
        ({"phase": "lost", "slug": "timeout", "reason": "gone"}, 503, "fail", "gone"),
    ],
)
def test_healthz_is_health_json(
    ask: Ask,
    record: journal.Journal,
    changes: dict[str, Any],
    code: int,
    state: str,
    output: str | None,
) -> None:
    bring_up(record)
    record.set(**changes)
    answer = ask("/healthz")
    assert answer.status_code == code
    assert answer.headers["content-type"] == "application/health+json"
    document = answer.json()
    assert document.pop("checks")["bootstrap:stage"][0]["phase"] == record.status.phase
    notes = document.pop("notes")
    assert bool(notes) == (state == "warn")
    assert document == {
        "status": state,
        "version": __version__,
        "releaseId": "1.2.3",
        "serviceId": "godel",
        "description": "bring-up of app godel on db:5432/godel",
        **({} if output is None else {"output": output}),
    }


def test_healthz_tells_how_long_a_migration_will_take(ask: Ask, record: journal.Journal) -> None:
    record.set(
        stage="migrate",
        reason="migrating",
        progress=journal.Progress("revisions", 0, 12, started_s=0.0),
    )
    stage = ask("/healthz").json()["checks"]["bootstrap:stage"][0]
    assert stage["progress"] == {"what": "revisions", "done": 0, "total": 12, "eta_s": None}
    assert (stage["observedValue"], stage["status"], stage["output"]) == (
        "migrate",
        "fail",
        "migrating",
    )


def test_metrics_are_for_prometheus(ask: Ask, record: journal.Journal) -> None:
    bring_up(record)
    answer = ask("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "\nbootstrapd_ready 1.0\n" in answer.text
    answer = ask("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


PATHS = ("/livez", "/readyz", "/startupz", "/healthz", "/metrics")


def test_head_gets_the_head_of_the_same_answer(ask: Ask) -> None:
    for path in PATHS:
        head, whole = ask(path, "HEAD"), ask(path)
        assert (head.status_code, head.content) == (whole.status_code, b"")
        assert head.headers["content-type"] == whole.headers["content-type"]


def test_unknown_paths_and_other_methods_are_refused(ask: Ask) -> None:
    assert [ask(path).status_code for path in ("/", "/admin", "/readyz/")] == [404, 404, 404]
    assert [ask("/readyz", method).status_code for method in ("POST", "PUT", "DELETE")] == [405] * 3


def test_no_answer_may_be_kept(ask: Ask) -> None:
    for answer in (*map(ask, PATHS), ask("/readyz", "HEAD"), ask("/none"), ask("/livez", "POST")):
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers


def test_no_answer_holds_a_secret(ask: Ask, record: journal.Journal) -> None:
    redact.remember("an-0dd-secret")
    record.failed(errors.RefusedError("postgresql://app:hunter2@db/app says 'an-0dd-secret'"))
    for path in (*PATHS, "/readyz?verbose", "/startupz?verbose"):
        answer = ask(path).text
        assert "hunter2" not in answer
        assert "an-0dd-secret" not in answer
    assert ask("/readyz").text == "failed: postgresql://app:***@db/app says '***'\n"


def test_an_answer_that_cannot_be_made_is_told_in_the_journal(
    ask: Ask, record: journal.Journal, capfd: pytest.CaptureFixture[str]
) -> None:
    heard: list[str] = []
    record.add_sink(lambda event, _: heard.append(f"{event.level} {event.message}"))
    record.set(attempts={"refused": "many"})
    answer = ask("/metrics")
    assert (answer.status_code, answer.text) == (500, "cannot answer; the log says why\n")
    assert len(heard) == 1
    assert heard[0].startswith("error cannot answer /metrics: ")
    assert ask("/livez").status_code == 200
    assert capfd.readouterr() == ("", "")


def test_what_is_no_http_is_no_news(
    server: health.Server, ask: Ask, capfd: pytest.CaptureFixture[str]
) -> None:
    host, port = server.address.split(":")
    with socket.create_connection((host, int(port)), timeout=30) as stranger:
        stranger.sendall(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        assert stranger.recv(1024).startswith(b"HTTP/1.1 400 ")
    assert ask("/livez").status_code == 200
    assert capfd.readouterr() == ("", "")


# -- the server -----------------------------------------------------------------------------------


def test_a_taken_port_is_an_error_that_names_the_setting(
    record: journal.Journal, server: health.Server
) -> None:
    with pytest.raises(errors.SettingsError) as caught:
        health.Server(record, server.address).start()
    assert str(caught.value) == (
        f"cannot serve health on {server.address}: the port is taken; free it, or set "
        "BOOTSTRAPD_HEALTH_ADDRESS to another host:port (runbook: settings)"
    )
    assert caught.value.facts == {"address": server.address}


def test_an_address_of_another_machine_is_an_error(record: journal.Journal) -> None:
    # RFC 5737 keeps this address for documentation.
    with pytest.raises(errors.SettingsError) as caught:
        health.Server(record, "192.0.2.1:7374").start()
    assert caught.value.message == (
        "cannot serve health on 192.0.2.1:7374: Cannot assign requested address; free it, or set "
        "BOOTSTRAPD_HEALTH_ADDRESS to another host:port"
    )


def test_a_stopped_server_listens_no_more_and_its_port_is_free_at_once(
    record: journal.Journal, server: health.Server, ask: Ask
) -> None:
    assert ask("/livez").status_code == 200
    address = server.address
    server.stop()
    server.stop()
    with pytest.raises(httpx.ConnectError):
        ask("/livez")
    again = health.Server(record, address)
    again.start()
    assert ask("/livez").status_code == 200
    again.stop()


def test_a_client_that_never_ends_its_request_does_not_hold_up_the_end(
    server: health.Server,
) -> None:
    host, port = server.address.split(":")
    with socket.create_connection((host, int(port)), timeout=30) as slow:
        slow.sendall(b"GET /readyz HTTP/1.1\r\n")
        server.stop(drain_s=0.1)
        # The other side is gone; had it waited, this would run into the timeout.
        with contextlib.suppress(ConnectionResetError):
            assert slow.recv(1024) == b""


def test_ipv6_in_brackets(record: journal.Journal) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no IPv6 on the loopback: {error}")
    server = health.Server(record, "[::1]:0")
    server.start()
    try:
        assert server.address.startswith("[::1]:")
        answer = httpx.get(f"http://{server.address}/livez", trust_env=False, timeout=30)
        assert answer.text == "ok\n"
    finally:
        server.stop()


def test_many_ask_at_once_and_all_are_answered(server: health.Server) -> None:
    host, port = server.address.split(":")
    clients = [socket.create_connection((host, int(port)), timeout=30) for _ in range(100)]
    for client in clients:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    for client in clients:
        with client, client.makefile("rb") as answer:
            head, _, body = answer.read().partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503 ")
            assert json.loads(body)["serviceId"] == "godel"
