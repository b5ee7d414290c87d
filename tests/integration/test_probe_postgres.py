"""What a PostgreSQL probe answers, each class against a server that really answers so."""

import contextlib
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
import pytest

from bootstrap import probe, target
from bootstrap.answer import Answer
from bootstrap.errors import SettingsError
from tests.support.pgbouncer import PgBouncer
from tests.support.postgres import Server, Servers
from tests.support.proxy import Proxy
from tests.support.tls import Authority

MakeProxy = Callable[..., Proxy]
Ask = Callable[..., Answer]


@pytest.fixture
def ask() -> Ask:
    """`ask(url, timeout_s=5)`: what one probe answers, without the facts."""

    def ask(url: str, *, timeout_s: float = 5, **options: Any) -> Answer:
        prober = probe.Postgres(target.parse(url), **options)
        with closing(prober):
            found = prober.probe(timeout_s)
            assert (prober.connection is not None) == (found.state == "ready")
        return Answer(found.error_class, found.detail)

    return ask


@contextlib.contextmanager
def serving(handler: type[socketserver.BaseRequestHandler]) -> Iterator[int]:
    """The port of a server that answers with `handler`."""

    class Quiet(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass

    with Quiet(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


# -- ready ----------------------------------------------------------------------------------------


def test_ready_is_a_query_on_the_named_database_and_leaves_its_connection_open(
    server: Server, database: str
) -> None:
    prober = probe.Postgres(target.parse(database))
    with closing(prober):
        found = prober.probe(5)
        assert (found.state, found.detail) == ("ready", "")
        assert found.facts["in_recovery"] is False
        assert found.facts["read_only"] is False
        assert found.facts["server_version"] // 10_000 == server.major
        assert prober.connection is not None
        (row,) = prober.connection.execute(
            "select current_database(), application_name from pg_stat_activity"
            " where pid = pg_backend_pid()"
        )
        assert row == (urlsplit(database).path[1:], "bootstrapd")
        kept = prober.connection
    assert kept.closed


def test_an_application_name_of_the_users_own_stays(database18: str) -> None:
    prober = probe.Postgres(target.parse(f"{database18}?application_name=mine"))
    with closing(prober):
        prober.probe(5)
        assert prober.connection is not None
        rows = prober.connection.execute("show application_name")
    assert rows == [("mine",)]


def test_each_probe_lets_go_of_the_connection_of_the_one_before(database18: str) -> None:
    prober = probe.Postgres(target.parse(database18))
    with closing(prober):
        prober.probe(5)
        first = prober.connection
        prober.probe(5)
        assert first is not None
        assert first.closed
        assert prober.connection is not None


def test_a_probe_that_ends_after_close_leaves_no_connection(database18: str) -> None:
    prober = probe.Postgres(target.parse(database18))
    prober.close()
    assert prober.probe(5).state == "ready"
    assert prober.connection is None


def test_read_only_is_a_fact_and_no_reason_to_wait(server18: Server, database18: str) -> None:
    options = quote("-c default_transaction_read_only=on")
    prober = probe.Postgres(target.parse(f"{database18}?options={options}"))
    with closing(prober):
        found = prober.probe(5)
    assert (found.state, found.facts["read_only"]) == ("ready", True)


# -- not yet --------------------------------------------------------------------------------------


def test_a_closed_port(ask: Ask, proxy: MakeProxy, server18: Server, database18: str) -> None:
    gate = proxy(server18)
    gate.refuse()
    assert ask(gate.url(database18)) == Answer("connection_refused", "connection refused")


def test_a_missing_unix_socket(ask: Ask, tmp_path: Any) -> None:
    url = f"postgresql:///app?host={quote(str(tmp_path), safe='')}"
    assert ask(url) == Answer("connection_refused", "no such file or directory")


def test_a_host_that_has_no_address(ask: Ask) -> None:
    assert ask("postgresql://app@no-such-host.invalid/app") == Answer(
        "dns",
        "failed to resolve host 'no-such-host.invalid': Name or service not known",
    )


def test_a_balancer_with_no_server_behind_it(
    ask: Ask, proxy: MakeProxy, server18: Server, database18: str
) -> None:
    gate = proxy(server18)
    gate.hangup()
    assert ask(gate.url(database18)) == Answer(
        "closed", "server closed the connection unexpectedly"
    )


def test_a_server_that_hangs_after_accepting(
    ask: Ask, proxy: MakeProxy, server18: Server, database18: str
) -> None:
    gate = proxy(server18)
    gate.deaf()
    began_s = time.monotonic()
    found = ask(gate.url(database18), timeout_s=0.6)
    assert found == Answer("timeout", "the connection was accepted, but no answer came in 0.6 s")
    # libpq itself would take no less than 2 s.
    assert time.monotonic() - began_s < 1.9


def test_a_server_that_hangs_at_the_query(server18: Server, database18: str) -> None:
    with serving(hanging_at_the_query(server18.port)) as port:
        url = urlsplit(database18)
        login = url.netloc.rpartition("@")[0]
        slow = url._replace(netloc=f"{login}@127.0.0.1:{port}").geturl()
        prober = probe.Postgres(target.parse(slow))
        with closing(prober):
            found = prober.probe(0.6)
            assert prober.connection is None
    assert Answer(found.error_class, found.detail) == Answer(
        "timeout", "the connection was accepted, but no answer came in 0.6 s"
    )


def hanging_at_the_query(upstream: int) -> type[socketserver.BaseRequestHandler]:
    """Forwards everything but queries."""
    import socket

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", upstream)) as server:
                threading.Thread(target=self.pump_back, args=(server,), daemon=True).start()
                while data := self.request.recv(65536):
                    if not data.startswith(b"Q"):
                        server.sendall(data)

        def pump_back(self, server: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while data := server.recv(65536):
                    self.request.sendall(data)

    return Handler


def test_a_server_that_is_starting_up(ask: Ask, servers: Servers) -> None:
    cold = servers.standby(servers.new(18), hot=False)
    found = ask(cold.url("postgres"))
    assert found.error_class == "starting_up"
    assert found.detail in (
        "the database system is starting up",
        "the database system is not accepting connections (Hot standby mode is disabled)",
    )


def test_a_server_that_is_shutting_down(ask: Ask, servers: Servers) -> None:
    server = servers.new(18)
    client = server.connect()
    # A smart shutdown ends when the last client has gone.
    stopping = threading.Thread(target=server.stop, args=("smart",))
    stopping.start()
    try:
        found = ask(server.url("postgres"))
        while found.state == "ready":
            found = ask(server.url("postgres"))
    finally:
        client.close()
        stopping.join()
    assert found == Answer("shutting_down", "the database system is shutting down")


def test_too_many_connections(ask: Ask, servers: Servers) -> None:
    none = dict.fromkeys(
        ("reserved_connections", "superuser_reserved_connections", "max_wal_senders"), 0
    )
    server = servers.new(18, max_connections=5, **none)
    with contextlib.ExitStack() as clients:
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                clients.enter_context(closing(server.connect()))
        found = ask(server.url("postgres"))
    assert found == Answer("too_many_connections", "sorry, too many clients already")


def test_too_many_connections_of_one_role(ask: Ask, server18: Server, database18: str) -> None:
    role = urlsplit(database18).username
    server18.admin(f"alter role {role} connection limit 0")
    assert ask(database18) == Answer(
        "too_many_connections", f'too many connections for role "{role}"'
    )


def test_a_standby_where_a_primary_is_required(ask: Ask, servers: Servers) -> None:
    standby = servers.standby(servers.new(18))
    url = standby.url("postgres")
    assert ask(url) == Answer()
    required = Answer("standby", "it is a standby, and a primary is required")
    assert ask(url, require_primary=True) == required
    asked_by_url = Answer("standby", "server is in hot standby mode")
    assert ask(f"{url}?target_session_attrs=primary") == asked_by_url
    standby.promote()
    assert ask(url, require_primary=True) == Answer()


def test_a_pooler_whose_server_is_away(
    ask: Ask, bouncer: Callable[..., PgBouncer], servers: Servers
) -> None:
    server = servers.new(18)
    pooler = bouncer(server.create_database(), mode="session")
    assert ask(pooler.url) == Answer()
    server.stop()
    # The first client is kept waiting for the server, the next ones are told.
    assert ask(pooler.url, timeout_s=1).error_class == "timeout"
    assert ask(pooler.url) == Answer(
        "no_backend", "server login has been failing, try again later (server_login_retry)"
    )


# -- refused --------------------------------------------------------------------------------------


def with_password(url: str, password: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{parts.username}:{password}@{host}").geturl()


def test_a_wrong_password(ask: Ask, database: str) -> None:
    assert ask(with_password(database, "wrong-password")) == Answer(
        "authentication", "password authentication failed"
    )


def test_no_password(ask: Ask, database18: str) -> None:
    assert ask(with_password(database18, "")) == Answer(
        "authentication", "fe_sendauth: no password supplied"
    )


def test_a_role_that_is_not_there(ask: Ask, server18: Server, database18: str) -> None:
    port, name = server18.port, urlsplit(database18).path
    assert ask(f"postgresql://nobody-here:secret@127.0.0.1:{port}{name}") == Answer(
        "authentication", "password authentication failed"
    )


def test_a_role_that_may_not_log_in(ask: Ask, server18: Server, database18: str) -> None:
    role = urlsplit(database18).username
    server18.admin(f"alter role {role} nologin")
    assert ask(database18) == Answer("not_authorized", f'role "{role}" is not permitted to log in')


def test_a_database_that_the_role_may_not_connect_to(
    ask: Ask, server18: Server, database18: str
) -> None:
    server18.admin("create role stranger login password 'strange-secret'")
    name = urlsplit(database18).path[1:]
    server18.admin(f"revoke connect on database {name} from public")
    try:
        found = ask(server18.url(name, user="stranger", password="strange-secret"))
    finally:
        server18.admin("drop role stranger")
    assert found == Answer(
        "not_authorized",
        f'permission denied for database "{name}" (User does not have CONNECT privilege)',
    )


def test_a_host_that_pg_hba_does_not_know(ask: Ask, servers: Servers) -> None:
    server = servers.new(18)
    (server.data / "pg_hba.conf").write_text("host all postgres 127.0.0.2/32 scram-sha-256\n")
    server.restart()
    assert ask(server.url("postgres")) == Answer(
        "not_authorized",
        'no pg_hba.conf entry for host "127.0.0.1", user "postgres", database "postgres", no '
        "encryption",
    )


def test_a_missing_database(ask: Ask, server: Server) -> None:
    assert ask(server.url("nowhere")) == Answer(
        "missing_database", 'database "nowhere" does not exist'
    )


def test_a_database_that_takes_no_connections(ask: Ask, server18: Server) -> None:
    assert ask(server18.url("template0")) == Answer(
        "not_authorized", 'database "template0" is not currently accepting connections'
    )


def test_an_option_that_the_server_does_not_know(ask: Ask, database18: str) -> None:
    assert ask(f"{database18}?options={quote('-c no_such=1')}") == Answer(
        "server_error", 'unrecognized configuration parameter "no_such"'
    )


def test_a_poolers_refusals(ask: Ask, bouncer: Callable[..., PgBouncer], database18: str) -> None:
    pooler = bouncer(database18)
    wrong = ask(with_password(pooler.url, "wrong-password"))
    assert wrong == Answer("authentication", "SASL authentication failed")
    elsewhere = urlsplit(pooler.url)._replace(path="/nowhere").geturl()
    assert ask(elsewhere) == Answer("missing_database", 'database "nowhere" does not exist')
    options = f"{pooler.url}?options={quote('-c geqo=off')}"
    assert ask(options) == Answer("server_error", "unsupported startup parameter: options")


def test_the_sqlstate_counts_and_not_the_language(ask: Ask) -> None:
    with serving(saying("VERBINDUNG:", "57P03", "das Datenbanksystem startet")) as port:
        url = f"postgresql://app@127.0.0.1:{port}/app"
        assert ask(url) == Answer("starting_up", "das Datenbanksystem startet")
    with serving(saying("FATAL", "28P01", "Passwort falsch (too many connections)")) as port:
        url = f"postgresql://app@127.0.0.1:{port}/app"
        assert ask(url) == Answer("authentication", "passwort falsch (too many connections)")


def saying(severity: str, code: str, message: str) -> type[socketserver.BaseRequestHandler]:
    """A server in another language: refuses TLS, then everything else with this message."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(8)
            self.request.sendall(b"N")
            self.request.recv(4096)
            fields = f"S{severity}\0VFATAL\0C{code}\0M{message}\0\0".encode()
            self.request.sendall(b"E" + struct.pack("!i", len(fields) + 4) + fields)

    return Handler


def test_the_sqlstate_costs_no_login_of_its_own(
    proxy: MakeProxy, server18: Server, database18: str
) -> None:
    gate = proxy(server18)
    prober = probe.Postgres(target.parse(with_password(gate.url(database18), "wrong-password")))
    with closing(prober):
        for login in (1, 2, 3):
            assert prober.probe(5).error_class == "authentication"
            assert gate.accepted == login


# -- TLS ------------------------------------------------------------------------------------------


def test_tls_that_is_demanded_and_not_offered(ask: Ask, database18: str) -> None:
    assert ask(f"{database18}?sslmode=require") == Answer(
        "tls", "server does not support SSL, but SSL was required"
    )


def test_a_certificate_of_another_host(
    ask: Ask, proxy: MakeProxy, server18: Server, database18: str, authority: Authority
) -> None:
    gate = proxy(server18, tls=authority.context("db.example"))
    url = f"{gate.url(database18)}?sslmode=verify-full&sslrootcert={authority.ca_file}"
    assert ask(url) == Answer(
        "tls", 'server certificate for "db.example" does not match host name "127.0.0.1"'
    )


def test_a_certificate_by_an_unknown_authority(
    ask: Ask,
    proxy: MakeProxy,
    server18: Server,
    database18: str,
    authority: Authority,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    gate = proxy(server18, tls=authority.context("127.0.0.1"))
    other = Authority(tmp_path_factory.mktemp("other"))
    url = f"{gate.url(database18)}?sslmode=verify-full&sslrootcert={other.ca_file}"
    assert ask(url) == Answer("tls", "SSL error: certificate verify failed")


def test_a_root_certificate_that_is_not_there(
    ask: Ask, proxy: MakeProxy, server18: Server, database18: str, authority: Authority
) -> None:
    gate = proxy(server18, tls=authority.context("127.0.0.1"))
    url = f"{gate.url(database18)}?sslmode=verify-full&sslrootcert=/no/such.pem"
    assert ask(url) == Answer("tls", 'root certificate file "/no/such.pem" does not exist')


def test_a_verified_connection(
    ask: Ask, proxy: MakeProxy, server18: Server, database18: str, authority: Authority
) -> None:
    gate = proxy(server18, tls=authority.context("127.0.0.1"))
    url = f"{gate.url(database18)}?sslmode=verify-full&sslrootcert={authority.ca_file}"
    assert ask(url) == Answer()


# -- no PostgreSQL --------------------------------------------------------------------------------


class Http(BaseHTTPRequestHandler):
    """A web server."""

    def log_message(self, *args: Any) -> None: ...


class Ssh(socketserver.BaseRequestHandler):
    """A server that speaks first."""

    def handle(self) -> None:
        self.request.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        self.request.recv(4096)


def test_a_web_server(ask: Ask) -> None:
    with serving(Http) as port:
        assert ask(f"postgresql://app@127.0.0.1:{port}/app", timeout_s=2) == Answer(
            "not_postgres", "it speaks HTTP"
        )


def test_a_redis(ask: Ask, redis_server: Callable[..., Any]) -> None:
    port = redis_server("some-password").port
    assert ask(f"postgresql://app@127.0.0.1:{port}/app", timeout_s=2) == Answer(
        "not_postgres", "it speaks Redis"
    )


def test_a_server_that_greets_in_another_protocol(ask: Ask) -> None:
    with serving(Ssh) as port:
        found = ask(f"postgresql://app@127.0.0.1:{port}/app")
    assert found.error_class == "not_postgres"


# -- several hosts --------------------------------------------------------------------------------


def hosts(url: str, *ports: int) -> str:
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    places = ",".join(f"127.0.0.1:{port}" for port in ports)
    return parts._replace(netloc=f"{login}@{places}").geturl()


def test_the_first_host_that_is_ready_is_taken(
    ask: Ask, proxy: MakeProxy, server18: Server, database18: str
) -> None:
    closed = proxy(server18)
    closed.refuse()
    assert ask(hosts(database18, closed.port, server18.port)) == Answer()


def test_a_host_that_hangs_leaves_time_for_the_next(
    ask: Ask, proxy: MakeProxy, server18: Server, database18: str
) -> None:
    deaf = proxy(server18)
    deaf.deaf()
    assert ask(hosts(database18, deaf.port, server18.port), timeout_s=2) == Answer()


def test_the_primary_is_found_among_several(ask: Ask, servers: Servers) -> None:
    primary = servers.new(18)
    standby = servers.standby(primary)
    url = hosts(primary.url("postgres"), standby.port, primary.port)
    prober = probe.Postgres(target.parse(url), require_primary=True)
    with closing(prober):
        assert prober.probe(5).state == "ready"
        assert prober.connection is not None
        rows = prober.connection.execute("select inet_server_port()")
        assert rows == [(primary.port,)]


def test_a_host_where_somebody_is_tells_more_than_one_where_nobody_is(
    ask: Ask, proxy: MakeProxy, servers: Servers
) -> None:
    cold = servers.standby(servers.new(18), hot=False)
    closed = proxy(cold)
    closed.refuse()
    for ports in ((closed.port, cold.port), (cold.port, closed.port)):
        assert ask(hosts(cold.url("postgres"), *ports)).error_class == "starting_up"


# -- settings, secrets ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("sslmode=perhaps", 'DATABASE_URL: invalid sslmode value: "perhaps"'),
        ("no_such_option=1", 'DATABASE_URL: invalid connection option "no_such_option"'),
    ],
)
def test_an_option_that_libpq_does_not_know_is_a_settings_error(
    ask: Ask, database18: str, query: str, message: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        ask(f"{database18}?{query}")
    assert caught.value.message == message


def test_no_answer_holds_a_password(ask: Ask, server18: Server) -> None:
    for password in ("hunter2-hunter2", "50%@home/x"):
        for name in ("nowhere", "postgres"):
            url = server18.url(name, password=password)
            assert password not in repr(ask(url))


def test_a_long_wait_knows_the_sqlstate_to_its_end_and_leaks_no_descriptor(
    server18: Server,
) -> None:
    descriptors = Path("/proc/self/fd")
    prober = probe.Postgres(target.parse(server18.url("nowhere")))
    with closing(prober):
        prober.probe(5)
        before = len(list(descriptors.iterdir()))
        for _ in range(70):
            assert prober.probe(5).error_class == "missing_database"
        assert len(list(descriptors.iterdir())) == before
