"""The health check: who is asked, who is believed, and that it always answers soon."""

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bootstrap import errors, health, healthcheck, journal, settings, statusfile
from bootstrap.healthcheck import Health
from tests.support import processes

Load = Callable[..., settings.Loaded]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """`load("127.0.0.1:7374")`: settings with this health address."""
    monkeypatch.chdir(tmp_path)

    def load(address: str = "") -> settings.Loaded:
        address = address or f"127.0.0.1:{processes.free_port()}"
        return settings.load(environ={"BOOTSTRAPD_HEALTH_ADDRESS": address})

    return load


@pytest.fixture
def record() -> journal.Journal:
    record = journal.Journal()
    record.set(app="godel", target="db:5432/godel")
    return record


@pytest.fixture
def served(record: journal.Journal) -> Iterator[str]:
    """The address at which this journal's health is served."""
    server = health.Server(record, "127.0.0.1:0")
    server.start()
    yield server.address
    server.stop()


@pytest.fixture
def stranger() -> Iterator[Callable[[bytes | None], str]]:
    """`stranger(answer)`: the address of somebody who answers this; None never answers."""
    with ExitStack() as stack:

        def make(answer: bytes | None) -> str:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def serve() -> None:
                client, _ = listener.accept()
                stack.callback(client.close)
                if answer is not None:
                    client.recv(4096)
                    client.sendall(answer)
                    client.close()

            threading.Thread(target=serve, daemon=True).start()
            return f"127.0.0.1:{listener.getsockname()[1]}"

        yield make


def http(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


def write_status(loaded: settings.Loaded, **changes: Any) -> None:
    """A status file as a process that has become the app left it: this one."""
    record = journal.Journal(clock=lambda: 1_800_000_000.0)
    record.add_sink(statusfile.sink(loaded, record))
    record.ready("db:5432/godel is ready at 0003")
    path = statusfile.path(loaded)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


# -- over HTTP ------------------------------------------------------------------------------------


def test_the_running_process_is_asked(load: Load, served: str, record: journal.Journal) -> None:
    loaded = load(served)
    # Whatever an older file says: who runs knows better.
    write_status(loaded)
    record.set(stage="wait", reason="waiting for db:5432/godel")
    assert healthcheck.check(loaded) == Health(
        False, "starting", "waiting for db:5432/godel", "http"
    )
    record.ready("db:5432/godel is ready at 0003")
    assert healthcheck.check(loaded) == Health(
        True, "ready", "db:5432/godel is ready at 0003", "http"
    )
    record.set(fallback=True)
    assert healthcheck.check(loaded).ready
    record.failed(errors.DriftError("table team is missing"))
    assert healthcheck.check(loaded) == Health(False, "failed", "table team is missing", "http")


@pytest.mark.parametrize(
    ("listens_on", "is_asked_on"), [("0.0.0.0", "127.0.0.1"), ("[::]", "[::1]")]
)
def test_an_address_of_all_interfaces_is_asked_on_the_loopback(
    load: Load, record: journal.Journal, listens_on: str, is_asked_on: str
) -> None:
    family = socket.AF_INET6 if ":" in is_asked_on else socket.AF_INET
    try:
        socket.create_server((is_asked_on.strip("[]"), 0), family=family).close()
    except OSError as error:
        pytest.skip(f"no {is_asked_on}: {error}")
    record.ready("ready at 0003")
    server = health.Server(record, f"{listens_on}:0")
    server.start()
    try:
        assert healthcheck.check(load(server.address)) == Health(
            True, "ready", "ready at 0003", "http"
        )
    finally:
        server.stop()


def test_who_accepts_and_never_answers_is_not_ready(
    load: Load, stranger: Callable[[bytes | None], str]
) -> None:
    loaded = load(stranger(None))
    write_status(loaded)
    assert healthcheck.check(loaded, timeout_s=0.2) == Health(
        False,
        "unknown",
        f"{loaded.settings.health_address} does not answer within 0.2 s",
        "http",
    )


def test_who_trickles_is_not_waited_for(load: Load) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def trickle() -> None:
        client, _ = listener.accept()
        with client:
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while not stop.wait(0.02):
                client.sendall(b"x")

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        loaded = load(f"127.0.0.1:{listener.getsockname()[1]}")
        assert healthcheck.check(loaded, timeout_s=0.3) == Health(
            False,
            "unknown",
            f"{loaded.settings.health_address} does not answer within 0.3 s",
            "http",
        )
    finally:
        stop.set()
        thread.join()
        listener.close()


# -- by the file ----------------------------------------------------------------------------------


def test_where_nothing_listens_the_status_file_counts(load: Load) -> None:
    loaded = load()
    write_status(loaded)
    assert healthcheck.check(loaded) == Health(
        True, "ready", "db:5432/godel is ready at 0003", "file"
    )


def test_the_health_of_another_app_is_not_ours(
    load: Load, served: str, record: journal.Journal
) -> None:
    record.set(app="another")
    record.ready("another is ready")
    loaded = load(served)
    assert healthcheck.check(loaded).source == "none"
    write_status(loaded)
    assert healthcheck.check(loaded) == Health(
        True, "ready", "db:5432/godel is ready at 0003", "file"
    )


@pytest.mark.parametrize(
    "answer",
    [
        http(b'{"status": "pass"}'),
        http(b"[]"),
        http(b"<html>welcome</html>"),
        http(b"", "404 Not Found"),
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ],
    ids=["no app", "no object", "html", "404", "no http", "nothing"],
)
def test_where_somebody_else_listens_the_status_file_counts(
    load: Load, stranger: Callable[[bytes | None], str], answer: bytes
) -> None:
    loaded = load(stranger(answer))
    assert healthcheck.check(loaded) == Health(
        False,
        "unknown",
        f"nothing of app godel listens on {loaded.settings.health_address}, and there is no "
        f"status file {statusfile.path(loaded)}",
        "none",
    )


@pytest.mark.parametrize(
    ("changes", "ready", "phase", "reason"),
    [
        ({}, True, "ready", "db:5432/godel is ready at 0003"),
        ({"phase": "lost", "reason": "gone"}, False, "lost", "gone"),
        ({"phase": "starting", "reason": "waiting"}, False, "starting", "waiting"),
        (
            {"pid_started": 1},
            False,
            "ready",
            "{path} says ready, but process {pid}, which wrote it, is gone",
        ),
        (
            {"host": "elsewhere"},
            False,
            "ready",
            "{path} says ready, but it was written on another host, elsewhere",
        ),
    ],
)
def test_the_status_file_is_believed_as_long_as_its_process_runs(
    load: Load, changes: dict[str, Any], ready: bool, phase: str, reason: str
) -> None:
    loaded = load()
    write_status(loaded, **changes)
    shown = reason.format(path=statusfile.path(loaded), pid=os.getpid())
    assert healthcheck.check(loaded) == Health(ready, phase, shown, "file")


def test_a_broken_status_file_is_none(load: Load) -> None:
    loaded = load()
    write_status(loaded)
    statusfile.path(loaded).write_text("{")
    assert healthcheck.check(loaded).source == "none"


# -- the app itself --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", None),
        (b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", None),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "answers 404"),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "answers 503"),
        (b"220 mail\r\n", "does not answer: 220 mail\r\n"),
        (None, "does not answer within 0.3 s"),
    ],
)
def test_the_app_is_well_where_it_answers_below_400(
    stranger: Callable[[bytes | None], str], answer: bytes | None, wrong: str | None
) -> None:
    url = f"http://{stranger(answer)}/health"
    assert healthcheck.app(url, 0.3) == (None if wrong is None else f"{url} {wrong}")


def test_an_app_that_nobody_serves() -> None:
    url = f"http://127.0.0.1:{processes.free_port()}"
    assert healthcheck.app(url) == f"{url} does not answer: [Errno 111] Connection refused"


@pytest.mark.parametrize("url", ["https://127.0.0.1", "127.0.0.1:80", "http:///health"])
def test_another_url_is_an_error_of_the_call(url: str) -> None:
    with pytest.raises(errors.SettingsError) as caught:
        healthcheck.app(url)
    assert caught.value.message == f"--url: wanted http://host:port/path, found {url!r}"
