"""The many forms in which people write one thing, and which of them are faults to `doctor`."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from bootstrap.doctor import examine
from bootstrap.doctor.report import Report


def rules(folder: Path, service: Any, of: str, **others: Any) -> list[str]:
    """What one rule finds in a service, and in others beside it."""
    file = folder / "compose.yaml"
    file.write_text(yaml.safe_dump({"services": {"one": service, **others}}, sort_keys=False))
    report = Report()
    examine.files([file], {}, report)
    return [each.found for each in report.findings if each.rule == of]


SOCKET = [
    "pg_isready",
    "pg_isready -U app -d app",
    "pg_isready -p 5432 || exit 1",
    "/usr/lib/postgresql/18/bin/pg_isready -q",
    "pg_isready -h /var/run/postgresql",
    "pg_isready --host=/tmp",
    "pg_isready -d dbname=app",
    "psql -U app -c 'select 1'",
    "if ! pg_isready; then exit 1; fi",
    "test -f /ready && pg_isready -U $${POSTGRES_USER}",
    ["CMD", "pg_isready"],
    ["CMD", "sh", "-c", "pg_isready -q"],
    ["CMD-SHELL", "pg_isready -U app"],
    ["CMD", "/bin/bash", "-ec", "pg_isready && true"],
]
TCP = [
    "pg_isready -h localhost",
    "pg_isready -hlocalhost",
    "pg_isready --host 127.0.0.1 -U app",
    "pg_isready --host=127.0.0.1",
    "pg_isready -d host=127.0.0.1",
    "pg_isready -d postgresql://app@127.0.0.1:5432/app",
    "pg_isready -h $$(hostname -i)",
    "PGHOST=127.0.0.1 pg_isready",
    "psql -h 127.0.0.1 -U app -c 'select 1'",
    ["CMD", "pg_isready", "-h", "127.0.0.1"],
    ["NONE"],
    "curl -f http://localhost",
]


@pytest.mark.parametrize("test", SOCKET + TCP, ids=str)
def test_a_check_of_postgres(test: Any, tmp_path: Path) -> None:
    service = {"image": "postgres:18.6-trixie", "healthcheck": {"test": test}}
    assert len(rules(tmp_path, service, "socket-check")) == (test in SOCKET)


def test_the_host_may_come_from_the_environment(tmp_path: Path) -> None:
    service = {"image": "x:1.1", "healthcheck": {"test": "pg_isready"}}
    assert not rules(tmp_path, {**service, "environment": ["PGHOST=127.0.0.1"]}, "socket-check")
    assert rules(tmp_path, {**service, "environment": {"PGHOST": "/tmp"}}, "socket-check")


BARE = [
    "redis-cli ping",
    "redis-cli ping || exit 1",
    "redis-cli -a $$REDIS_PASSWORD ping",
    "redis-cli -h 127.0.0.1 -p 6379 PING",
    "valkey-cli ping",
    ["CMD", "redis-cli", "ping"],
    ["CMD", "redis-cli", "--raw", "incr", "ping"],
]
READ = [
    "redis-cli ping | grep -q PONG",
    "redis-cli ping | grep -qi pong",
    '[ "$$(redis-cli ping)" = PONG ]',
    "redis-cli -e ping",
    ["CMD", "sh", "/usr/local/bin/health.sh"],
]


@pytest.mark.parametrize("test", BARE + READ, ids=str)
def test_a_check_of_redis(test: Any, tmp_path: Path) -> None:
    service = {"image": "redis:8.0.2", "healthcheck": {"test": test}}
    assert len(rules(tmp_path, service, "ping-check")) == (test in BARE)


@pytest.mark.parametrize(
    ("port", "is_open"),
    [
        ("5432:5432", True),
        ("5432", True),
        (5432, True),
        ("0.0.0.0:5432:5432", True),
        ("[::]:5432:5432", True),
        (":5432:5432", True),
        ("${BIND:-0.0.0.0}:5432:5432", True),
        ("5432:5432/udp", True),
        ("5432-5434:5432-5434", True),
        ({"target": 5432}, True),
        ({"target": 5432, "published": "5432", "host_ip": "0.0.0.0"}, True),
        ("127.0.0.1:5432:5432", False),
        ("127.0.0.1::5432", False),
        ("[::1]:5432:5432", False),
        ("192.168.7.1:5432:5432", False),
        ("${BIND:-127.0.0.1}:5432:5432", False),
        ({"target": 5432, "host_ip": "127.0.0.1"}, False),
    ],
    ids=str,
)
def test_a_port(port: Any, is_open: bool, tmp_path: Path) -> None:
    service = {"image": "x:1.1", "ports": [port]}
    assert len(rules(tmp_path, service, "published-port")) == is_open


def test_the_network_of_the_host(tmp_path: Path) -> None:
    host = {"network_mode": "host"}
    assert rules(tmp_path, {"image": "redis:8.0.2", **host}, "published-port") == [
        "network_mode: host"
    ]
    assert rules(tmp_path, {"image": "x:1.1", **host}, "published-port") == []


@pytest.mark.parametrize(
    ("image", "floats"),
    [
        ("postgres", True),
        ("postgres:latest", True),
        ("postgres:18", True),
        ("postgres:alpine", True),
        ("postgres:18-bookworm", True),
        ("postgres:18.6", True),
        ("docker.io/library/postgres:17", True),
        ("registry.local:5000/postgres", True),
        ("registry.local:5000/shop", True),
        ("pgvector/pgvector:pg17", True),
        ("redis:8-alpine", True),
        ("redis:alpine", True),
        ("node:lts-alpine", True),
        ("ghcr.io/team/app:main", True),
        ("app:v2", True),
        ("postgres:18.6-trixie", False),
        ("postgres:18.6-alpine3.22", False),
        ("postgres@sha256:" + "0" * 64, False),
        ("postgres:18@sha256:" + "0" * 64, False),
        ("pgvector/pgvector:0.8.1-pg17", False),
        ("redis:8.0.2", False),
        ("python:3.13-slim", False),
        ("registry.local:5000/shop:1.4.0", False),
        ("app:20261121", False),
        ("app:3f2a1c0", False),
    ],
)
def test_a_tag(image: str, floats: bool, tmp_path: Path) -> None:
    assert len(rules(tmp_path, {"image": image}, "floating-tag")) == floats


def test_what_is_built_here_may_have_any_tag(tmp_path: Path) -> None:
    assert rules(tmp_path, {"image": "shop:latest", "build": "."}, "floating-tag") == []


@pytest.mark.parametrize(
    ("name", "value", "is_secret"),
    [
        ("POSTGRES_PASSWORD", "x", True),
        ("DB_PASS", "x", True),
        ("REDISCLI_AUTH", "x", True),
        ("AWS_SECRET_ACCESS_KEY", "x", True),
        ("API_TOKEN", "x", True),
        ("PASSWORD", "${UNSET}", True),
        ("REDIS_URL", "redis://:x@cache:6379/0", True),
        ("DSN", "host=db user=shop password=x", True),
        ("JDBC", "jdbc:postgresql://db/shop?user=a&password=x", True),
        ("POSTGRES_PASSWORD", "", False),
        ("POSTGRES_PASSWORD_FILE", "/run/secrets/x", False),
        ("ALLOW_EMPTY_PASSWORD", "yes", False),
        ("GF_SECURITY_ADMIN_PASSWORD__FILE", "/run/secrets/x", False),
        ("PASSWORD_MIN_LENGTH", "12", False),
        ("DATABASE_URL", "postgresql://shop@db/shop", False),
        ("PWD", "/srv", False),
        ("HOMEPAGE", "https://a.b/?q=x:y@z", False),
    ],
)
def test_a_variable(name: str, value: str, is_secret: bool, tmp_path: Path) -> None:
    for environment in ({name: value}, [f"{name}={value}"]):
        service = {"image": "x:1.1", "environment": environment}
        assert len(rules(tmp_path, service, "password-in-environment")) == is_secret


def test_variables_of_a_file_and_of_a_build(tmp_path: Path) -> None:
    (tmp_path / "app.env").write_text("# the app\nA=1\nDB_PASSWORD=correct-horse\n")
    service = {"image": "x:1.1", "env_file": "app.env", "build": {"args": ["NPM_TOKEN=x"]}}
    assert rules(tmp_path, service, "password-in-environment") == [
        "build.args: NPM_TOKEN: ***",
        "DB_PASSWORD: ***",
    ]


@pytest.mark.parametrize(
    ("command", "is_told"),
    [
        ("redis-server --requirepass x", True),
        ("redis-server --requirepass ${UNSET}", True),
        (["redis-server", "--requirepass", "$$(cat /run/secrets/x)"], True),
        (["sh", "-c", "PGPASSWORD=x pg_dump"], True),
        ("app --db postgresql://a:x@db/a", True),
        ("redis-cli -a x monitor", True),
        ("redis-server --appendonly yes", False),
        (["sh", "-c", 'PGPASSWORD="$$(cat /run/secrets/x)" pg_dump'], False),
        ("app --db postgresql://a@db/a", False),
        ("ls -a /tmp", False),
    ],
    ids=str,
)
def test_a_command(command: Any, is_told: bool, tmp_path: Path) -> None:
    service = {"image": "x:1.1", "command": command}
    assert len(rules(tmp_path, service, "password-in-command")) == is_told


@pytest.mark.parametrize(
    ("environment", "trusts"),
    [
        ({"POSTGRES_HOST_AUTH_METHOD": "trust"}, True),
        ({"POSTGRES_INITDB_ARGS": "--data-checksums --auth-host=trust"}, True),
        ({"POSTGRES_INITDB_ARGS": "-A trust"}, True),
        ({"POSTGRES_HOST_AUTH_METHOD": "scram-sha-256"}, False),
        ({"POSTGRES_INITDB_ARGS": "--auth-local=trust"}, False),
    ],
    ids=json.dumps,
)
def test_trust(environment: dict[str, str], trusts: bool, tmp_path: Path) -> None:
    service = {"image": "postgres:18.6-trixie", "environment": environment}
    assert len(rules(tmp_path, service, "trust")) == trusts


@pytest.mark.parametrize(
    ("one", "is_one_shot"),
    [
        ({"command": "alembic upgrade head"}, True),
        ({"command": ["bootstrapd", "run"]}, True),
        ({"command": ["bootstrapd", "migrate", "head"]}, True),
        ({"command": "python -m bootstrap wait"}, True),
        ({"command": "python manage.py migrate --noinput"}, True),
        ({"command": ["sh", "-c", "sleep 1 && npx prisma migrate deploy"]}, True),
        ({"command": "npm run migrate"}, True),
        ({"entrypoint": "/bin/sh -c 'mc alias set a http://b c d; exit 0;'"}, True),
        ({"image": "migrate/migrate:4.18.1", "command": "-path /m -database x up"}, False),
        ({"image": "migrate/migrate:4.18.1", "command": "migrate -path /m up"}, True),
        ({"command": "sh -c 'alembic upgrade head && uvicorn shop:app'"}, False),
        ({"command": ["bootstrapd", "run", "--", "gunicorn"]}, False),
        ({"command": ["bootstrapd", "serve"]}, False),
        ({"command": "gunicorn shop:app"}, False),
    ],
    ids=str,
)
def test_a_one_shot(one: dict[str, Any], is_one_shot: bool, tmp_path: Path) -> None:
    service = {"image": "shop:1.4.0", **one}
    web = {"image": "web:1.4.0", "command": "serve"}
    assert len(rules(tmp_path, service, "one-shot-alone", web=web)) == is_one_shot
    always = {**service, "restart": "unless-stopped"}
    assert len(rules(tmp_path, always, "one-shot-restart", web=web)) == is_one_shot
    adopts = {**web, "depends_on": {"one": {"condition": "service_completed_successfully"}}}
    assert rules(tmp_path, service, "one-shot-alone", web=adopts) == []


@pytest.mark.parametrize(
    ("one", "web", "is_alone"),
    [
        ([], [], False),
        ([], ["web"], True),
        (["tools"], [], False),
        (["tools"], ["tools"], False),
        (["tools"], ["other"], True),
        (["tools", "other"], ["tools"], True),
        (["tools", "other"], ["tools", "other"], False),
    ],
)
def test_a_one_shot_is_waited_for_in_each_profile(
    one: list[str], web: list[str], is_alone: bool, tmp_path: Path
) -> None:
    service = {"image": "x:1.1", "command": "alembic upgrade head", "profiles": one}
    adopter = {
        "image": "web:1.1",
        "profiles": web,
        "depends_on": {"one": {"condition": "service_completed_successfully"}},
    }
    stays = {"image": "other:1.1", "profiles": one}
    found = rules(tmp_path, service, "one-shot-alone", web=adopter, other=stays)
    assert len(found) == is_alone


@pytest.mark.parametrize(
    ("image", "target", "pgdata", "rule"),
    [
        ("postgres:18.6-trixie", "/var/lib/postgresql", None, None),
        ("postgres:18.6-trixie", "/var/lib/postgresql/", None, None),
        ("postgres:18.6-trixie", "/var/lib/postgresql/18/docker", None, None),
        ("postgres:18.6-trixie", "/var/lib/postgresql/data", None, "data-path"),
        ("postgres:18.6-trixie", "/var/lib/postgresql/data", "/var/lib/postgresql/data", None),
        ("postgres:19.0-trixie", "/var/lib/postgresql/data", None, "data-path"),
        ("postgres:18.6-trixie", "/data", None, "data-volume"),
        ("postgres:18.6-trixie", "/data", "/data/pg", None),
        ("postgres:17.12-trixie", "/var/lib/postgresql/data", None, None),
        ("postgres:17.12-trixie", "/var/lib/postgresql", None, "data-path"),
        ("postgres:17.12-trixie", "/var/lib/postgresql", "/var/lib/postgresql/pg", None),
        ("postgres:9.6.24-alpine3.15", "/var/lib/postgresql", None, "data-path"),
        ("postgis/postgis:17-3.5", "/var/lib/postgresql", None, "data-path"),
        ("pgvector/pgvector:0.8.1-pg18", "/var/lib/postgresql/data", None, "data-path"),
        ("postgres@sha256:" + "0" * 64, "/var/lib/postgresql/data", None, None),
        ("postgres@sha256:" + "0" * 64, "/var/lib/postgresql", None, None),
        ("bitnami/postgresql:17.2.0", "/bitnami/postgresql", None, None),
    ],
)
def test_where_the_data_is_mounted(
    image: str, target: str, pgdata: str | None, rule: str | None, tmp_path: Path
) -> None:
    for mount in (f"db:{target}", {"type": "bind", "source": "./db", "target": target}):
        service = {
            "image": image,
            "volumes": [mount],
            "environment": {"PGDATA": pgdata} if pgdata else {},
        }
        for each in ("data-path", "data-volume"):
            assert len(rules(tmp_path, service, each)) == (each == rule), each


def test_memory_may_hold_what_may_be_lost(tmp_path: Path) -> None:
    service = {"image": "postgres:18.6-trixie", "tmpfs": "/var/lib/postgresql"}
    assert rules(tmp_path, service, "data-volume") == []


def test_a_postgres_that_only_dumps_needs_no_volume(tmp_path: Path) -> None:
    service = {"image": "postgres:18.6-trixie", "entrypoint": ["bash", "/backup.sh"]}
    for rule in ("data-volume", "shm-size", "stop-grace"):
        assert rules(tmp_path, service, rule) == []


def test_redis_by_its_configuration_file(tmp_path: Path) -> None:
    (tmp_path / "redis.conf").write_text("# mine\nappendonly yes\nmaxmemory 100mb\n")
    service = {
        "image": "redis:8.0.2",
        "command": ["redis-server", "/etc/redis/redis.conf"],
        "volumes": ["./redis.conf:/etc/redis/redis.conf:ro", "data:/data"],
    }
    for rule in ("redis-durability", "redis-memory", "data-volume"):
        assert rules(tmp_path, service, rule) == []
    (tmp_path / "redis.conf").write_text("port 6379\n")
    assert rules(tmp_path, service, "redis-durability") == ["no appendonly"]
    assert rules(tmp_path, service, "redis-memory") == ["no maxmemory"]
    # A file that cannot be seen from here may say anything.
    (tmp_path / "redis.conf").unlink()
    assert rules(tmp_path, service, "redis-durability") == []


def test_redis_by_a_script_that_hands_its_options_on(tmp_path: Path) -> None:
    service = {
        "image": "redis:8.0.2",
        "entrypoint": ["sh", "-ec", 'install.sh; exec start.sh "$$@"', "sh"],
        "command": ["--appendonly yes", "--maxmemory 1gb"],
        "volumes": ["data:/data"],
    }
    for rule in ("redis-durability", "redis-memory", "data-volume"):
        assert rules(tmp_path, service, rule) == []
    service["command"] = ["--save 60 1"]
    assert rules(tmp_path, service, "redis-durability") == ["no appendonly"]


COMPLETED = {"condition": "service_completed_successfully"}
HEALTHY = {"condition": "service_healthy"}


@pytest.mark.parametrize(
    ("app", "is_early"),
    [
        ({"depends_on": {"boot": COMPLETED}}, False),
        ({"depends_on": {"serve": HEALTHY}}, False),
        ({"depends_on": {"between": {"condition": "service_started"}}}, False),
        ({"command": "bootstrapd run -- gunicorn", "depends_on": {"db": HEALTHY}}, False),
        ({"depends_on": ["boot"]}, True),
        ({"depends_on": {"db": HEALTHY}}, True),
        ({"depends_on": {"db": HEALTHY, "look": COMPLETED}}, True),
        ({"depends_on": {"serve": {"condition": "service_started"}, "db": HEALTHY}}, True),
        ({"environment": {"DATABASE_URL": "postgresql://shop@db:5432/shop"}}, True),
        ({"environment": {"PGHOST": "db"}}, True),
        ({"environment": {"PGHOST": "elsewhere"}}, False),
    ],
    ids=str,
)
def test_an_app_beside_bootstrapd(app: dict[str, Any], is_early: bool, tmp_path: Path) -> None:
    boot = {"image": "shop:1.4.0", "command": ["bootstrapd", "run"]}
    found = rules(
        tmp_path,
        {"image": "shop:1.4.0", **app},
        "app-before-bootstrap",
        db={"image": "postgres:18.6-trixie"},
        boot=boot,
        serve={**boot, "command": ["bootstrapd", "serve"], "depends_on": {"boot": COMPLETED}},
        look={**boot, "command": ["bootstrapd", "wait"]},
        between={"image": "x:1.1", "depends_on": {"boot": COMPLETED}},
    )
    assert len(found) == is_early
