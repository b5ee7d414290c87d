"""Real PgBouncer, from Debian's package `pgbouncer`."""

from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from psycopg import pq

from tests.support import need, processes

PoolMode = Literal["session", "transaction", "statement"]


class PgBouncer:
    """A pooler on 127.0.0.1 before the database of `url`, for that URL's role."""

    host = "127.0.0.1"

    def __init__(self, home: Path, url: str, mode: PoolMode) -> None:
        self.port = processes.free_port()
        self._parts = urlsplit(url)
        user, password = unquote(self._parts.username or ""), unquote(self._parts.password or "")
        users = home / "users"
        users.write_text(f"{_quoted(user)} {_quoted(password)}\n", encoding="utf-8")
        configuration = home / "pgbouncer.ini"
        configuration.write_text(
            f"""\
[databases]
* = host={self._parts.hostname} port={self._parts.port}

[pgbouncer]
listen_addr = {self.host}
listen_port = {self.port}
unix_socket_dir =
pool_mode = {mode}
auth_type = scram-sha-256
auth_file = {users}
admin_users = {user}
"""
        )
        command = [need("pgbouncer"), str(processes.give(configuration))]
        self._daemon = processes.Daemon(
            processes.unprivileged(*command, at_parents_death="KILL"),
            log=home / "log",
            ready=self._answers,
        )

    @property
    def url(self) -> str:
        """The database's URL by way of the pooler."""
        login = self._parts.netloc.rpartition("@")[0]
        return self._parts._replace(netloc=f"{login}@{self.host}:{self.port}").geturl()

    def start(self) -> None:
        """Start it, unless it runs."""
        self._daemon.start()

    def stop(self) -> None:
        """Stop it at once."""
        self._daemon.stop()

    def _answers(self) -> bool:
        conninfo = f"host={self.host} port={self.port} dbname=postgres connect_timeout=5"
        return pq.PGconn.ping(conninfo.encode()) == pq.Ping.OK


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
