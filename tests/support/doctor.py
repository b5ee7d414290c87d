"""A compose file without a fault, and the faults that can be planted into it."""

import itertools
from collections.abc import Collection
from dataclasses import dataclass

GOOD = """\
name: shop

x-wait: &wait
  BOOTSTRAPD_WAIT_TIMEOUT_S: 90

services:
  db:
    image: postgres:18.6-trixie
    environment:
      POSTGRES_DB: shop
      POSTGRES_PASSWORD_FILE: /run/secrets/db_password
    secrets:
      - db_password
    ports:
      - "127.0.0.1:5432:5432"
    volumes:
      - db:/var/lib/postgresql
    shm_size: 256mb
    stop_grace_period: 60s
    healthcheck:
      test: ["CMD", "pg_isready", "-h", "127.0.0.1", "-U", "postgres"]
      interval: 2s
      retries: 5
      start_period: 120s
    restart: unless-stopped

  cache:
    image: redis:8.0.2-bookworm
    command:
      - redis-server
      - --appendonly
      - "yes"
      - --maxmemory
      - 256mb
    volumes:
      - cache:/data
    healthcheck:
      test: ["CMD-SHELL", "redis-cli ping | grep -q PONG"]

  bootstrap:
    image: shop:1.4.0
    command: [bootstrapd, run]
    environment:
      <<: *wait
      POSTGRES_HOST: db
      POSTGRES_PASSWORD_FILE: /run/secrets/db_password
    secrets:
      - db_password
    depends_on:
      db:
        condition: service_healthy
    restart: on-failure

  watch:
    image: shop:1.4.0
    command: [bootstrapd, serve]
    environment:
      <<: *wait
      DATABASE_URL_FILE: /run/secrets/database_url
    secrets:
      - database_url
    depends_on:
      bootstrap:
        condition: service_completed_successfully
    healthcheck:
      test: ["CMD", "bootstrapd", "healthcheck"]
      interval: 5s
      retries: 3
      start_period: 90s
    restart: unless-stopped

  app:
    image: shop:1.4.0
    environment:
      DB_HOST: db
      DB_PASSWORD_FILE: /run/secrets/db_password
    secrets:
      - db_password
    ports:
      - target: 8000
        published: "8000"
        host_ip: 127.0.0.1
    depends_on:
      bootstrap:
        condition: service_completed_successfully
      cache:
        condition: service_healthy
    labels:
      kind: shop
    restart: unless-stopped

secrets:
  db_password:
    file: ./secrets/db_password
  database_url:
    file: ./secrets/database_url

volumes:
  db:
  cache:
"""


@dataclass(frozen=True)
class Fault:
    """One fault: `old` becomes `new` in the good file, and `line` is where it is to be found.

    `within` is the service that `old` is looked for in.
    """

    rule: str
    within: str
    old: str
    new: str
    line: str
    mends: bool = True
    severity: str = "error"


FAULTS: dict[str, Fault] = {
    "pg_isready as a list": Fault("socket-check", "db", ', "-h", "127.0.0.1"', "", "test:"),
    "pg_isready in a shell": Fault(
        "socket-check",
        "db",
        '["CMD", "pg_isready", "-h", "127.0.0.1", "-U", "postgres"]',
        "pg_isready -U $$POSTGRES_USER || exit 1",
        "test:",
    ),
    "pg_isready on the socket by name": Fault(
        "socket-check",
        "db",
        '["CMD", "pg_isready", "-h", "127.0.0.1", "-U", "postgres"]',
        '["CMD-SHELL", "pg_isready -h /var/run/postgresql"]',
        "test:",
    ),
    "psql on the socket": Fault(
        "socket-check",
        "db",
        '["CMD", "pg_isready", "-h", "127.0.0.1", "-U", "postgres"]',
        '["CMD-SHELL", "psql -U postgres -c \'select 1\'"]',
        "test:",
    ),
    "bare ping": Fault(
        "ping-check", "cache", "redis-cli ping | grep -q PONG", "redis-cli ping", "test:"
    ),
    "ping as a list": Fault(
        "ping-check",
        "cache",
        '["CMD-SHELL", "redis-cli ping | grep -q PONG"]',
        '["CMD", "redis-cli", "--raw", "incr", "ping"]',
        "test:",
    ),
    "no check that others wait for": Fault(
        "no-health-check",
        "cache",
        '    healthcheck:\n      test: ["CMD-SHELL", "redis-cli ping | grep -q PONG"]\n',
        "",
        "  cache:",
    ),
    "the database is given up too soon": Fault(
        "health-budget", "db", "      start_period: 120s\n", "", "healthcheck:"
    ),
    "bootstrapd is given up too soon": Fault(
        "health-budget", "watch", "start_period: 90s", "start_period: 1m", "healthcheck:"
    ),
    "restarted for readiness": Fault(
        "liveness",
        "watch",
        "    restart: unless-stopped",
        '    labels:\n      autoheal: "true"\n      kind: shop\n    restart: unless-stopped',
        "autoheal",
    ),
    "a one-shot that nobody waits for": Fault(
        "one-shot-alone",
        "bootstrap",
        "  bootstrap:\n",
        "  migrate:\n    image: shop:1.4.0\n    command: alembic upgrade head\n  bootstrap:\n",
        "  migrate:",
    ),
    "a one-shot that is restarted": Fault(
        "one-shot-restart", "bootstrap", "restart: on-failure", "restart: always", "restart: always"
    ),
    "the app waits for the server alone": Fault(
        "app-before-bootstrap",
        "app",
        "      bootstrap:\n        condition: service_completed_successfully",
        "      db:\n        condition: service_healthy",
        "depends_on:",
    ),
    "the app waits for the start of bootstrapd": Fault(
        "app-before-bootstrap",
        "app",
        "bootstrap:\n        condition: service_completed_successfully",
        "bootstrap:\n        condition: service_started",
        "bootstrap:",
    ),
    "a dependency without a condition": Fault(
        "dependency-condition",
        "app",
        "cache:\n        condition: service_healthy",
        "cache:\n        condition: service_started",
        "cache:",
        severity="warning",
    ),
    "bootstrapd behind a pooler": Fault(
        "pooler",
        "bootstrap",
        "POSTGRES_HOST: db\n",
        "POSTGRES_HOST: pool\n",
        "POSTGRES_HOST: pool",
    ),
    "18 with the old path": Fault(
        "data-path", "db", "db:/var/lib/postgresql", "db:/var/lib/postgresql/data", "- db:"
    ),
    "17 with the new path": Fault(
        "data-path", "db", "postgres:18.6-trixie", "postgres:17.12-trixie", "- db:"
    ),
    "a volume without a name": Fault(
        "data-volume", "db", "- db:/var/lib/postgresql", "- /var/lib/postgresql", "- /var/lib"
    ),
    "no volume": Fault(
        "data-volume", "db", "    volumes:\n      - db:/var/lib/postgresql\n", "", "  db:"
    ),
    "an append-only file without a volume": Fault(
        "data-volume", "cache", "    volumes:\n      - cache:/data\n", "", "  cache:"
    ),
    "no shm_size": Fault(
        "shm-size", "db", "    shm_size: 256mb\n", "", "  db:", severity="warning"
    ),
    "no stop_grace_period": Fault(
        "stop-grace", "db", "    stop_grace_period: 60s\n", "", "  db:", severity="warning"
    ),
    "a short stop_grace_period": Fault(
        "stop-grace",
        "db",
        "stop_grace_period: 60s",
        "stop_grace_period: 5s",
        "stop_grace_period",
        severity="warning",
    ),
    "bootstrapd may take longer to end": Fault(
        "stop-grace",
        "watch",
        "<<: *wait\n",
        '<<: *wait\n      BOOTSTRAPD_GRACE_S: "30"\n',
        "  watch:",
        severity="warning",
    ),
    "no append-only file": Fault(
        "redis-durability",
        "cache",
        '      - --appendonly\n      - "yes"\n',
        "",
        "command:",
        severity="warning",
    ),
    "no limit of memory": Fault(
        "redis-memory",
        "cache",
        "      - --maxmemory\n      - 256mb\n",
        "",
        "command:",
        severity="warning",
    ),
    "latest": Fault("floating-tag", "db", "postgres:18.6-trixie", "postgres:latest", "image:"),
    "no tag": Fault("floating-tag", "cache", "redis:8.0.2-bookworm", "redis", "image:"),
    "a major version of PostgreSQL": Fault(
        "floating-tag", "db", "postgres:18.6-trixie", "postgres:18-alpine", "image:"
    ),
    "a major version of Redis": Fault(
        "floating-tag",
        "cache",
        "redis:8.0.2-bookworm",
        "redis:8-alpine",
        "image:",
        severity="warning",
    ),
    "no distribution": Fault(
        "floating-tag",
        "db",
        "postgres:18.6-trixie",
        "postgres:18.6",
        "image:",
        severity="warning",
    ),
    "an open port": Fault("published-port", "db", "127.0.0.1:5432:5432", "5432:5432", "5432:5432"),
    "a port on all addresses": Fault(
        "published-port", "db", '"127.0.0.1:5432:5432"', "0.0.0.0:5432:5432", "0.0.0.0:5432:5432"
    ),
    "a port that is a number": Fault(
        "published-port", "db", '"127.0.0.1:5432:5432"', "5432", "- 5432"
    ),
    "an open port in the long form": Fault(
        "published-port", "app", "        host_ip: 127.0.0.1\n", "", "- target:"
    ),
    "a password": Fault(
        "password-in-environment",
        "db",
        "POSTGRES_PASSWORD_FILE: /run/secrets/db_password",
        "POSTGRES_PASSWORD: correct-horse",
        "POSTGRES_PASSWORD:",
    ),
    "a password by a variable": Fault(
        "password-in-environment",
        "db",
        "POSTGRES_PASSWORD_FILE: /run/secrets/db_password",
        "POSTGRES_PASSWORD: ${PASSWORD:-}",
        "POSTGRES_PASSWORD:",
    ),
    "a password in a URL": Fault(
        "password-in-environment",
        "watch",
        "DATABASE_URL_FILE: /run/secrets/database_url",
        "DATABASE_URL: postgresql://shop:correct-horse@db/shop",
        "DATABASE_URL:",
    ),
    "a password in a list": Fault(
        "password-in-environment",
        "app",
        "      DB_HOST: db\n      DB_PASSWORD_FILE: /run/secrets/db_password\n",
        "      - DB_HOST=db\n      - DB_PASSWORD=correct-horse\n",
        "- DB_PASSWORD=",
    ),
    "a password in a command": Fault(
        "password-in-command",
        "cache",
        "      - redis-server\n",
        "      - redis-server\n      - --requirepass\n      - correct-horse\n",
        "command:",
        mends=False,
    ),
    "trust": Fault(
        "trust",
        "db",
        "      POSTGRES_DB: shop\n",
        "      POSTGRES_DB: shop\n      POSTGRES_HOST_AUTH_METHOD: trust\n",
        "POSTGRES_HOST_AUTH_METHOD",
    ),
    "a version": Fault(
        "version-key",
        "",
        "name: shop\n",
        "version: '3.8'\nname: shop\n",
        "version:",
        severity="warning",
    ),
    "a name of the container": Fault(
        "container-name",
        "app",
        "    labels:\n",
        "    container_name: shop\n    labels:\n",
        "container_name",
        severity="warning",
    ),
    "privileged": Fault(
        "privileged",
        "app",
        "    labels:\n",
        "    privileged: true\n    labels:\n",
        "privileged",
        severity="warning",
    ),
    "the engine's socket": Fault(
        "engine-socket",
        "db",
        "      - db:/var/lib/postgresql\n",
        "      - db:/var/lib/postgresql\n      - /var/run/docker.sock:/var/run/docker.sock:ro\n",
        "docker.sock",
        severity="warning",
    ),
    "a variable that is not set": Fault(
        "unset-variable",
        "app",
        "      kind: shop\n",
        "      kind: ${KIND}\n",
        "kind:",
        mends=False,
        severity="warning",
    ),
    "a file that is not there": Fault(
        "missing-file",
        "app",
        "    labels:\n",
        "    env_file: app.env\n    labels:\n",
        "env_file",
        mends=False,
    ),
    "a consent without use": Fault(
        "consent",
        "app",
        "    labels:\n",
        "    # bootstrapd: allow privileged, because it was once\n    labels:\n",
        "# bootstrapd:",
        mends=False,
        severity="warning",
    ),
}

POOL = "  pool:\n    image: pgbouncer:1.24.1\n\n"


def plant(text: str, fault: Fault) -> str:
    """The text with the fault in it, within the service that it belongs to."""
    begin = text.index(f"\n  {fault.within}:\n") + 1 if fault.within else 0
    place = text.index(fault.old, begin)
    planted = text[:place] + fault.new + text[place + len(fault.old) :]
    if fault.rule == "pooler":
        planted = planted.replace("services:\n", f"services:\n{POOL}", 1)
    return planted


def line_of(text: str, fault: Fault) -> int:
    """The line where the fault is to be found, from 1."""
    service = f"{fault.line.strip()}" if fault.line.startswith("  ") else fault.within
    begin = text.index(f"\n  {service.rstrip(':')}:\n") + 1 if service else 0
    return text.count("\n", 0, text.index(fault.line, begin)) + 1


# Faults of which one may hide another.
HIDING: tuple[set[str], ...] = (
    {"17 with the new path", "18 with the old path", "a volume without a name", "no volume"},
    {"no check that others wait for", "a dependency without a condition"},
    {"no append-only file", "an append-only file without a volume"},
)


def compatible(names: Collection[str]) -> bool:
    """Whether none of these faults is planted where another is, or hides it."""
    if any(len(hiding & set(names)) > 1 for hiding in HIDING):
        return False
    spans = []
    for name in names:
        begin = _place(FAULTS[name])
        spans.append((begin, begin + len(FAULTS[name].old)))
    spans.sort()
    return all(one[1] < other[0] for one, other in itertools.pairwise(spans))


def plant_all(names: Collection[str]) -> str:
    """The good file with several faults, planted from its end on."""
    text = GOOD
    for fault in sorted((FAULTS[name] for name in names), key=_place, reverse=True):
        text = plant(text, fault)
    return text


def _place(fault: Fault) -> int:
    begin = GOOD.index(f"\n  {fault.within}:\n") + 1 if fault.within else 0
    return GOOD.index(fault.old, begin)
