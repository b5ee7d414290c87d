"""What a Redis probe answers, each class against a server that really answers so."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import redis

from bootstrap import probe
from bootstrap.answer import Answer
from bootstrap.errors import SettingsError
from tests.support import processes
from tests.support.postgres import Server
from tests.support.proxy import Proxy
from tests.support.redis import RedisServer
from tests.support.tls import Authority

MakeRedis = Callable[..., RedisServer]
MakeProxy = Callable[..., Proxy]


def ask(url: str, timeout_s: float = 5) -> Answer:
    """What one probe answers, without the facts."""
    prober = probe.Redis(url)
    found = prober.probe(timeout_s)
    prober.close()
    return Answer(found.error_class, found.detail)


def client(server: RedisServer) -> "closing[redis.Redis]":
    return closing(redis.Redis.from_url(server.url))


# -- ready ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("password", [None, "open-sesame", "@:/%$#?&='\" \\é"])
def test_ready_is_a_pong_after_the_login(redis_server: MakeRedis, password: str | None) -> None:
    server = redis_server(password)
    found = probe.Redis(server.url).probe(5)
    assert (found.state, found.detail) == ("ready", "")


def test_a_password_that_was_pasted_as_it_is(redis_server: MakeRedis) -> None:
    server = redis_server("p/a#s?s@w%d")
    assert ask(f"redis://:p/a#s?s@w%d@127.0.0.1:{server.port}/0") == Answer()


def test_a_user_who_may_only_ping_is_enough(redis_server: MakeRedis) -> None:
    server = redis_server()
    with client(server) as admin:
        admin.acl_setuser("amy", enabled=True, passwords="+amys-secret", commands=["+ping"])
    assert ask(f"redis://amy:amys-secret@127.0.0.1:{server.port}/0") == Answer()


def test_tls(redis_server: MakeRedis, authority: Authority) -> None:
    server = redis_server("open-sesame", tls=True)
    assert ask(f"{server.url}?ssl_ca_certs={authority.ca_file}") == Answer()


# -- not yet --------------------------------------------------------------------------------------


def test_a_closed_port(redis_server: MakeRedis) -> None:
    server = redis_server()
    server.stop()
    assert ask(server.url) == Answer("connection_refused", "connection refused")


def test_a_missing_unix_socket() -> None:
    assert ask("unix:///no/such.sock") == Answer("connection_refused", "no such file or directory")


def test_a_host_that_has_no_address() -> None:
    assert ask("redis://no-such-host.invalid") == Answer("dns", "name or service not known")


def test_redis_that_is_loading(redis_server: MakeRedis) -> None:
    server = redis_server(loading_s=3)
    assert ask(server.url) == Answer("loading", "redis is loading the dataset in memory")


def test_redis_that_is_loading_and_demands_a_password(redis_server: MakeRedis) -> None:
    server = redis_server("open-sesame", loading_s=3)
    assert ask(server.url).error_class == "loading"


def test_redis_that_hangs_after_accepting(redis_server: MakeRedis, proxy: MakeProxy) -> None:
    gate = proxy(redis_server().port)
    gate.deaf()
    began_s = time.monotonic()
    assert ask(f"redis://127.0.0.1:{gate.port}", timeout_s=0.5) == Answer(
        "timeout", "no answer came in 0.5 s"
    )
    assert time.monotonic() - began_s < 5


def test_a_balancer_with_no_server_behind_it(redis_server: MakeRedis, proxy: MakeProxy) -> None:
    gate = proxy(redis_server().port)
    gate.hangup()
    found = ask(f"redis://127.0.0.1:{gate.port}")
    assert found.error_class == "closed"
    assert found.detail in ("connection closed by server", "connection reset by peer")


def test_redis_that_runs_a_script(redis_server: MakeRedis) -> None:
    server = redis_server()

    def run() -> None:
        with client(server) as other, suppress(redis.RedisError):
            other.eval("while true do end", 0)

    with client(server) as admin:
        admin.config_set("busy-reply-threshold", 20)
        script = threading.Thread(target=run)
        script.start()
        found = ask(server.url)
        while found.state == "ready":
            found = ask(server.url)
        with suppress(redis.RedisError):
            admin.script_kill()
        script.join()
    assert found == Answer(
        "busy",
        "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE",
    )


def test_redis_whose_master_is_away(redis_server: MakeRedis) -> None:
    server = redis_server()
    with client(server) as admin:
        admin.config_set("replica-serve-stale-data", "no")
        admin.slaveof("127.0.0.1", 1)
    assert ask(server.url) == Answer(
        "master_down", "link with MASTER is down and replica-serve-stale-data is set to 'no'"
    )


def test_too_many_clients(redis_server: MakeRedis) -> None:
    server = redis_server()
    with client(server) as admin:
        admin.config_set("maxclients", 1)
        assert ask(server.url) == Answer("too_many_connections", "max number of clients reached")


# -- refused --------------------------------------------------------------------------------------


def test_a_password_that_is_demanded_and_not_given(redis_server: MakeRedis) -> None:
    server = redis_server("open-sesame")
    assert ask(f"redis://127.0.0.1:{server.port}") == Answer(
        "authentication", "authentication required"
    )


def test_a_wrong_password(redis_server: MakeRedis) -> None:
    server = redis_server("open-sesame")
    assert ask(f"redis://:wrong-password@127.0.0.1:{server.port}") == Answer(
        "authentication", "invalid username-password pair or user is disabled"
    )


def test_a_password_that_is_given_and_not_wanted(redis_server: MakeRedis) -> None:
    server = redis_server()
    assert ask(f"redis://:some-password@127.0.0.1:{server.port}") == Answer(
        "authentication",
        "AUTH <password> called without any password configured for the default user. Are you "
        "sure your configuration is correct?",
    )


def test_a_user_who_may_not_ping(redis_server: MakeRedis) -> None:
    server = redis_server()
    with client(server) as admin:
        admin.acl_setuser("bob", enabled=True, passwords="+bobs-secret", commands=["+get"])
    found = probe.Redis(f"redis://bob:bobs-secret@127.0.0.1:{server.port}").probe(5)
    assert found == Answer(
        "not_authorized",
        "this user has no permissions to run the 'ping' command",
        {"user": "bob"},
    )


def test_a_database_that_is_not_there(redis_server: MakeRedis) -> None:
    server = redis_server()
    assert ask(f"redis://127.0.0.1:{server.port}/99") == Answer(
        "missing_database", "DB index is out of range"
    )


def test_a_certificate_by_an_unknown_authority(redis_server: MakeRedis) -> None:
    assert ask(redis_server(tls=True).url) == Answer(
        "tls", "certificate verify failed: self-signed certificate in certificate chain"
    )


class Elsewhere(Authority):
    """An authority whose certificates are for another host than the one asked for."""

    def files(self, *hosts: str) -> tuple[Path, Path]:
        return super().files("cache.example")


def test_a_certificate_of_another_host() -> None:
    with processes.folder("redis") as home:
        authority = Elsewhere(home)
        server = RedisServer(home, None, authority)
        server._daemon._ready = lambda: is_open(server.port)
        server.start()
        try:
            found = ask(f"{server.url}?ssl_ca_certs={authority.ca_file}")
        finally:
            server.stop()
    assert found == Answer(
        "tls",
        "certificate verify failed: IP address mismatch, certificate is not valid for '127.0.0.1'",
    )


def is_open(port: int) -> bool:
    with socket.socket() as knock:
        return knock.connect_ex(("127.0.0.1", port)) == 0


def test_tls_that_is_demanded_and_not_offered(redis_server: MakeRedis) -> None:
    server = redis_server("open-sesame")
    assert ask(f"rediss://127.0.0.1:{server.port}", timeout_s=1) == Answer(
        "tls", "it speaks Redis without TLS, as redis:// in REDIS_URL would"
    )


def test_tls_that_is_offered_and_not_asked_for(redis_server: MakeRedis) -> None:
    server = redis_server(tls=True)
    assert ask(f"redis://127.0.0.1:{server.port}") == Answer(
        "tls", "it speaks TLS, as rediss:// in REDIS_URL would"
    )


def test_a_postgres(server18: Server) -> None:
    for scheme in ("redis", "rediss"):
        assert ask(f"{scheme}://127.0.0.1:{server18.port}") == Answer(
            "not_redis", "it speaks PostgreSQL"
        )


# -- settings, secrets ----------------------------------------------------------------------------

FORMS = "redis://host:port/number, rediss:// for TLS, or unix:///path?db=number"


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("127.0.0.1:6379", "found the scheme ''"),
        ("http://:hunter2-hunter2@127.0.0.1", "found the scheme 'http'"),
        ("redis://127.0.0.1:port", "host and port cannot be read"),
        ("redis://127.0.0.1/cache", "found 'cache' for the number of the database"),
    ],
)
def test_a_url_that_cannot_be_read(url: str, found: str) -> None:
    with pytest.raises(SettingsError) as caught:
        probe.Redis(url)
    assert caught.value.message == f"REDIS_URL: wanted {FORMS}; {found}"


def test_an_option_that_the_client_does_not_know(redis_server: MakeRedis) -> None:
    url = f"{redis_server().url}?no_such_option=1"
    with pytest.raises(SettingsError, match=r"^REDIS_URL: wanted .*'no_such_option'"):
        ask(url)


@pytest.mark.parametrize(
    ("url", "identity"),
    [
        ("redis://", "localhost:6379/0"),
        ("redis://cache", "cache:6379/0"),
        ("rediss://:some-secret@cache:6380/3", "cache:6380/3"),
        ("redis://amy:a/b@cache/3", "cache:6379/3"),
        ("redis://cache?db=7", "cache:6379/7"),
        ("unix:///run/redis.sock?db=2", "/run/redis.sock/2"),
    ],
)
def test_the_identity_holds_no_secret(url: str, identity: str) -> None:
    assert probe.Redis(url).identity == identity


def test_no_answer_holds_a_password(redis_server: MakeRedis) -> None:
    server = redis_server("open-sesame")
    for port in (server.port, 1):
        found: Any = probe.Redis(f"redis://:hunter2-hunter2@127.0.0.1:{port}").probe(5)
        assert found.state != "ready"
        assert "hunter2" not in repr(found)
