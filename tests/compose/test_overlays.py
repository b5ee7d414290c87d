"""The overlays, and the profile of the pooler."""

import json
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support import need, processes
from tests.support.stack import FOLDER, Stack, run

pytestmark = [pytest.mark.container, pytest.mark.timeout(600)]

Make = Callable[..., Stack]


def healthy(stack: Stack) -> set[str]:
    return {
        each["Config"]["Labels"]["com.docker.compose.service"]
        for each in stack.containers()
        if each["State"].get("Health", {}).get("Status") == "healthy"
    }


def test_sqlite_is_one_container_and_a_volume(stack: Make) -> None:
    ours = stack(COMPOSE_FILE="compose.sqlite.yml")
    ours.compose("up", "--wait")
    assert healthy(ours) == {"app"}
    assert len(ours.containers()) == 1
    assert ours.ask("/api/agents", {"task": "stays"}).status == 200
    ours.compose("down")
    ours.compose("up", "--wait")
    ours.script("up")
    assert [agent["task"] for agent in ours.ask("/api/agents").body] == ["stays"]


def variables(name: str) -> dict[str, str]:
    """The settings of one of the files that are copied to .env."""
    lines = (FOLDER / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def test_dash_and_its_database_for_tests_apart(stack: Make) -> None:
    ports = {
        f"PORT_TEST_{name}": str(processes.free_port()) for name in ("POSTGRES", "REDIS", "APP")
    }
    dash = stack(**variables("dash.env"), **ports)
    dash.up()
    assert "ready: postgres:5432/dash is ready at 0005" in dash.logs("bootstrap")
    assert dash.sql("SELECT count(*) FROM swarm_summary") == "0"

    dash.variables["COMPOSE_FILE"] = "compose.yml:compose.test.yml"
    try:
        dash.compose("up", "--wait")
        assert "ready: postgres:5432/dash_test is ready at 0005" in dash.logs("bootstrap")
        assert dash.sql("SELECT current_database()") == "dash_test"
        mounts = dash.compose(
            *("exec", "-T", "postgres", "findmnt", "-no", "FSTYPE", "/var/lib/postgresql")
        )
        assert mounts.stdout.split() == ["tmpfs"]
    finally:
        dash.compose("down", "--volumes", "--timeout", "0", expect=None)
        del dash.variables["COMPOSE_FILE"]
    assert len(dash.containers()) == 4


def test_tarsy_starts_when_its_database_is_ready(stack: Make) -> None:
    tarsy = stack(**variables("tarsy.env"))
    tarsy.up()
    assert healthy(tarsy) == {"postgres", "redis", "app"}
    assert "ready: postgres:5432/tarsy is ready at " in tarsy.logs("bootstrap")


def test_older_postgresql_has_its_volume_where_it_looks_for_it(stack: Make) -> None:
    ours = stack(COMPOSE_FILE="compose.yml:compose.postgres17.yml")
    ours.up()
    assert ours.sql("SHOW server_version_num").startswith("17")
    assert ours.sql("SHOW data_directory") == "/var/lib/postgresql/data"
    volumes = [
        mount["Destination"]
        for mount in ours.container("postgres")["Mounts"]
        if mount["Type"] == "volume"
    ]
    assert volumes == ["/var/lib/postgresql/data"]
    assert ours.ask("/api/agents", {"task": "stays"}).status == 200
    ours.compose("down", "--remove-orphans")

    # The same volume, and 18 in its place: it would not see it, and begin with an empty database.
    ours.variables["COMPOSE_FILE"] = "compose.yml"
    failed = ours.script("up", expect=1)
    assert "\nup: postgres is restarting; it said last:\n" in failed.stderr
    assert (
        "postgres: /var/lib/postgresql holds data of PostgreSQL 17, and this image, 18, keeps its "
        "own in /var/lib/postgresql/18/docker; nothing was started. Use the image and the volume "
        "path that belong to that data (compose.postgres17.yml up to 17), or dump and restore to "
        "change the version\n"
    ) in failed.stderr
    ours.compose("down", "--remove-orphans")

    # By the README: a dump of what 17 has, and 18 on a volume of its own.
    ours.variables["COMPOSE_FILE"] = "compose.yml:compose.postgres17.yml"
    ours.up("postgres", "redis")
    dump = ours.compose("run", "--rm", "--no-deps", "-T", "backup", "once").stdout.strip()
    ours.compose("down", "--remove-orphans")
    run("docker", "volume", "rm", f"{ours.name}_postgres_data")
    ours.variables["COMPOSE_FILE"] = "compose.yml"
    ours.up("postgres", "redis")
    ours.script("restore", dump)
    ours.script("up")
    assert ours.sql("SHOW server_version_num").startswith("18")
    assert [agent["task"] for agent in ours.ask("/api/agents").body] == ["stays"]


def test_postgresql_15(stack: Make) -> None:
    ours = stack(
        COMPOSE_FILE="compose.yml:compose.postgres17.yml",
        POSTGRES_BEFORE_18_IMAGE="postgres:15",
    )
    ours.up()
    assert ours.sql("SHOW server_version_num").startswith("15")
    assert ours.ask("/health").status == 200


# -- TLS, and the pooler ---------------------------------------------------------------------------


def certificate(port: int, authority: Path, name: str) -> str:
    """The serial number of the certificate by which PostgreSQL speaks TLS here, verified."""
    argv = [
        *("openssl", "s_client", "-starttls", "postgres", "-connect", f"127.0.0.1:{port}"),
        *("-CAfile", str(authority), "-verify_hostname", name, "-verify_return_error"),
    ]
    shown = subprocess.run(argv, input="", capture_output=True, text=True)
    assert "Verify return code: 0 (ok)" in shown.stdout, shown.stdout + shown.stderr
    read = subprocess.run(
        ["openssl", "x509", "-noout", "-serial"], input=shown.stdout, capture_output=True, text=True
    )
    return read.stdout.strip()


def redis_certificate(port: int, authority: Path) -> int:
    context = ssl.create_default_context(cafile=authority)
    with (
        socket.create_connection(("127.0.0.1", port), 10) as plain,
        context.wrap_socket(plain, server_hostname="redis") as secure,
    ):
        return int(str((secure.getpeercert() or {})["serialNumber"]), 16)


def test_with_tls_and_a_pooler_everybody_verifies_and_a_renewal_reloads(stack: Make) -> None:
    need("openssl")
    ours = stack(
        COMPOSE_FILE="compose.yml:compose.tls.yml",
        COMPOSE_PROFILES="pooler,health,backup",
        APP_POSTGRES_HOST="pgbouncer",
        PORT_POOLER=str(processes.free_port()),
    )
    ours.script("certs")
    ours.up()
    ours.up()
    assert healthy(ours) == {"postgres", "redis", "pgbouncer", "app", "health", "backup"}
    assert ours.ask("/health").body == {"status": "pass", "database": "pgbouncer:5432/godel"}
    sessions = (
        "SELECT DISTINCT ssl, version FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
        "WHERE client_addr IS NOT NULL"
    )
    assert ours.sql(sessions) == "t|TLSv1.3"
    tls = ours.folder / "tls"
    assert oct(tls.stat().st_mode)[-3:] == "700"
    where: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": ours.ports["POSTGRES"],
        "dbname": "godel",
        "user": "godel",
        "password": (ours.secrets / "postgres_password").read_text(),
    }
    with psycopg.connect(
        **where, sslmode="verify-full", sslrootcert=str(tls / "ca.crt")
    ) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("godel",)
    with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry .*no encryption"):
        psycopg.connect(**where, sslmode="disable")

    assert ours.script("redis-cli", stdin="PING\n").stdout == "PONG\n"

    authority = tls / "ca.crt"
    started = {each["Id"]: each["State"]["StartedAt"] for each in ours.containers()}
    before = (
        certificate(ours.ports["POSTGRES"], authority, "postgres"),
        certificate(int(ours.variables["PORT_POOLER"]), authority, "pgbouncer"),
        redis_certificate(ours.ports["REDIS"], authority),
    )
    assert ours.script("certs").stdout == ""
    renewed = ours.script("certs", "--renew").stdout
    for server in ("postgres", "redis", "pgbouncer"):
        assert f"{server} has loaded its new certificate" in renewed
    after = (
        certificate(ours.ports["POSTGRES"], authority, "postgres"),
        certificate(int(ours.variables["PORT_POOLER"]), authority, "pgbouncer"),
        redis_certificate(ours.ports["REDIS"], authority),
    )
    assert all(new != old for new, old in zip(after, before, strict=True))
    assert {each["Id"]: each["State"]["StartedAt"] for each in ours.containers()} == started
    assert ours.ask("/health").status == 200
    inspected = json.dumps(ours.containers())
    assert "PRIVATE KEY" not in inspected
    for container in ours.containers():
        sources = [mount.get("Source", "") for mount in container["Mounts"]]
        assert str(tls) not in sources, "the authority's key would be in a container"
