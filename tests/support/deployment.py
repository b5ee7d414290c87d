"""A deployment of godel as a client on another machine sees it, whatever it is made of."""

import json
import time
import urllib.request
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from tests.support.hosts import Controller
from tests.support.meanwhile import Meanwhile

GODEL = ["/opt/bootstrapd/current/bin/python", "-m", "bootstrap.apps.godel"]


def godel(**more: Any) -> dict[str, Any]:
    """The app as an entry of `bootstrapd_apps`, with its API open to other hosts."""
    return {
        "name": "godel",
        "redis": True,
        "command": GODEL,
        "environment": {"GODEL_API_ADDRESS": "0.0.0.0:7373"},
        "listen": 7373,
        **more,
    }


@dataclass(frozen=True)
class Deployment:
    """Where database and app are; passwords and authority are those of the controller.

    `host` is the name that certificates are for, `url` the app's.
    """

    controller: Controller
    host: str
    address: str
    url: str
    port: int = 5432

    def connect(
        self, role: str, password: str | None = None, **options: str
    ) -> psycopg.Connection[Any]:
        """Log in over the network, with the server's certificate and name verified."""
        given: dict[str, Any] = {
            "host": self.host,
            "hostaddr": self.address,
            "port": self.port,
            "dbname": "godel",
            "user": f"godel_{role}",
            "password": password or self.controller.secret(f"postgresql/godel_{role}"),
            "sslmode": "verify-full",
            "sslrootcert": self.controller.authority,
            "connect_timeout": 20,
        }
        return psycopg.connect(autocommit=True, **given | options)

    def ask(self, role: str, statement: str, password: str | None = None) -> list[Any]:
        """The rows that a statement returns to this role."""
        with self.connect(role, password) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def work(self, task: str) -> None:
        """Have the app write a row."""
        self._app({"task": task})

    def agents(self) -> int:
        """How many rows the app has; -1 where it does not answer."""
        try:
            return len(self._app())
        except OSError:
            return -1

    def tasks(self) -> set[str]:
        """What the rows say that the app has."""
        rows: list[dict[str, str]] = []
        while page := self._app(query=f"?limit=1000&offset={len(rows)}"):
            rows += page
        return {row["task"] for row in rows}

    def verify(self, major: int) -> None:
        """Each role may do its work and no more, over TLS and with a password alone; the app works.

        It is the same for every road, and wants a database that nobody has written to.
        """
        self._rights(major)
        self._roads()
        assert self._app() == []
        self.work("look from outside")
        assert self.agents() == 1
        assert self.ask("readonly", "select count(*) from agents") == [(1,)]

    def _rights(self, major: int) -> None:
        version = "select current_setting('server_version_num')::int / 10000, current_user"
        assert self.ask("migrator", version) == [(major, "godel_owner")]
        self.ask("migrator", "create table made (id int primary key)")
        assert self.ask("app", "insert into made values (1) returning id") == [(1,)]
        assert self.ask("readonly", "select id from made") == [(1,)]
        for role, statement in (
            ("app", "create table other (id int)"),
            ("app", "create temporary table other (id int)"),
            ("app", "create schema other"),
            ("app", "alter table made add column note text"),
            ("app", "drop table made"),
            ("app", "drop table agents"),
            ("readonly", "delete from made"),
            ("monitor", "select * from made"),
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                self.ask(role, statement)
        self.ask("migrator", "drop table made")
        assert self.ask("monitor", "select count(*) > 0 from pg_stat_activity") == [(True,)]
        extensions = "select extname from pg_extension where extname = 'pg_trgm'"
        assert self.ask("monitor", extensions) == [("pg_trgm",)]

    def _roads(self) -> None:
        tls = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"
        assert self.ask("app", tls) == [(True,)]
        with pytest.raises(psycopg.OperationalError, match="no encryption"):
            self.connect("app", sslmode="disable")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            self.connect("app", "wrong")
        with pytest.raises(psycopg.OperationalError, match='does not match host name "elsewhere"'):
            self.connect("app", host="elsewhere")

    def _app(self, body: dict[str, Any] | None = None, query: str = "") -> Any:
        request = urllib.request.Request(
            f"{self.url}/api/agents{query}", json.dumps(body).encode() if body else None
        )
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


@dataclass
class Writer(Meanwhile):
    """A client that writes row after row, and tries again for a while where that fails.

    Used as a context. `written` is what was acknowledged, `lost` what was given up, `tried_again`
    how many rows took more than one try, `longest_s` the longest time that one of them took.
    """

    deployment: Deployment
    patience_s: float = 120
    written: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    tried_again: int = 0
    longest_s: float = 0
    pause_s: float = 0.05

    def once(self) -> None:
        """One row, with as many tries as it takes."""
        task = f"row {len(self.written) + len(self.lost) + 1}"
        begun_s = time.monotonic()
        tries = 0
        while time.monotonic() < begun_s + self.patience_s:
            tries += 1
            try:
                self.deployment.work(task)
            except OSError:
                time.sleep(0.1)
                continue
            self.written.append(task)
            self.tried_again += tries > 1
            self.longest_s = max(self.longest_s, time.monotonic() - begun_s)
            return
        self.lost.append(task)


def rotate(deployment: Deployment) -> Writer:
    """Have every generated password replaced while a client writes, which loses nothing."""
    before = deployment.controller.passwords()
    with Writer(deployment) as writer:
        deployment.controller.play("rotate_secrets").expect()
    assert writer.lost == []
    assert len(writer.written) > 10
    assert not before & deployment.controller.passwords()
    assert {task for task in deployment.tasks() if task.startswith("row ")} == set(writer.written)
    print(
        f"{len(writer.written)} rows were written while passwords were rotated;"
        f" {writer.tried_again} took more than one try, {writer.longest_s:.1f} s the longest"
    )
    return writer
