"""A move that is cut short anywhere, and run again: the same rows and the same report.

`MOVE_KILLS=200` for all; here each of a few kills has a slice of the whole duration to fall into.
"""

import os
import random
import secrets
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from bootstrap import fence, target
from tests.support import cli, look, need, processes
from tests.support.postgres import Server
from tests.support.proxy import Proxy

KILLS = int(os.environ.get("MOVE_KILLS", "8"))
CUTS = max(KILLS // 4, 2)
ROWS = 300


@dataclass(frozen=True)
class Whole:
    """A move that nobody has disturbed: what it moved, and how long it took in seconds.

    `template` is the name of a database that is migrated and empty, like its target.
    """

    path: Path
    template: str
    report: dict[str, Any]
    rows: dict[str, str]
    took_s: float


@pytest.fixture(scope="module")
def whole(server18: Server, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """godel's file with demo rows, and the move of a copy of it."""
    command = cli.Command(tmp_path_factory.mktemp("whole"))
    path = tmp_path_factory.mktemp("source") / "godel.db"
    env = {"DATABASE_URL": f"sqlite:///{path}"}
    command.run("run", env=env).expect(0)
    command.run(f"seed --demo --rows {ROWS}", env=env, timeout=120).expect(0)
    with closing(sqlite3.connect(path)) as file:
        file.execute("pragma wal_checkpoint(truncate)")
    copy = Path(shutil.copy(path, path.with_name("copy.db")))
    migrated = server18.create_database()
    command.run("migrate", env={"DATABASE_URL": migrated}).expect(0)
    template = target.parse(migrated).params["dbname"]
    url = clone(server18, template)
    began_s = time.monotonic()
    report = moving(command, copy, url).wait().expect(0).json()
    took_s = time.monotonic() - began_s
    return Whole(path, template, report, contents(url), took_s)


def clone(server: Server, template: str) -> str:
    """The URL of a database like `template`."""
    url = server.create_database()
    params = target.parse(url).params
    name, role = params["dbname"], params["user"]
    server.admin(f'drop database "{name}"')
    server.admin(f'create database "{name}" template "{template}" owner "{role}"')
    with server.connect(name) as connection:
        connection.execute(f'reassign owned by "{_owner(connection)}" to "{role}"')
    return url


def _owner(connection: psycopg.Connection[Any]) -> str:
    query = "select pg_get_userbyid(relowner) from pg_class where relname = 'alembic_version'"
    ((owner,),) = connection.execute(query).fetchall()
    return str(owner)


def moving(command: cli.Command, path: Path, url: str) -> cli.Running:
    """The move, with its fence, in a process group of its own."""
    argv = ["move", "--json", "--from", f"sqlite:///{path}", "--fence"]
    return command.start(argv, env={"DATABASE_URL": url})


def contents(url: str) -> dict[str, str]:
    """A digest of each table, made by the server itself."""
    query = "select count(*) || ' ' || coalesce(md5(string_agg(t::text, '' order by t::text)), '')"
    with psycopg.connect(url) as connection:
        found = {}
        for table in sorted(look.tables(url) - {"alembic_version"}):
            text = sql.SQL(query + " from {} t").format(sql.Identifier(table))
            ((found[table],),) = connection.execute(text)
    return found


def ends_well(command: cli.Command, whole: Whole, path: Path, url: str) -> None:
    """Run the very same command again: rows, report and fence are those of an undisturbed move."""
    report = moving(command, path, url).wait(120).expect(0).json()
    assert (report["tables"], report["digest"]) == (whole.report["tables"], whole.report["digest"])
    assert contents(url) == whole.rows
    with closing(sqlite3.connect(path)) as file:
        mark = fence.read(file)
        assert mark is not None
        assert (mark.identity, mark.report) == (report["cut_over"]["identity"], report["digest"])
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            file.execute("create table other (id)")


def _number(request: pytest.FixtureRequest) -> int:
    callspec = getattr(request.node, "callspec", None)
    return int(callspec.params["number"]) if callspec else 1


@pytest.fixture
def url(whole: Whole, server18: Server, request: pytest.FixtureRequest) -> Iterator[str]:
    """The target: every fourth one is empty, the others are migrated already."""
    if _number(request) % 4:
        url = clone(server18, whole.template)
    else:
        url = server18.create_database()
        # For the scratch database on which the revisions are tried.
        server18.admin(f'alter role "{target.parse(url).params["user"]}" createdb')
    yield url
    server18.drop_database(url)


@pytest.fixture
def path(whole: Whole, tmp_path: Path) -> Path:
    """A copy of the file."""
    return Path(shutil.copy(whole.path, tmp_path / "godel.db"))


@contextmanager
def told(doing: str) -> Iterator[random.Random]:
    """Random numbers that a failure tells how to have again."""
    seed = os.environ.get("MOVE_SEED") or secrets.token_hex(4)
    try:
        yield random.Random(seed)
    except AssertionError as error:
        raise AssertionError(f"{doing}, MOVE_SEED={seed}: {error}") from error


def test_once_more_after_its_end_only_looks(
    whole: Whole, command: cli.Command, path: Path, url: str
) -> None:
    ends_well(command, whole, path, url)
    again = moving(command, path, url).wait(120).expect(0).json()
    assert (again["repeated"], again["changed"]) == (True, False)
    ends_well(command, whole, path, url)


@pytest.mark.parametrize("number", range(KILLS))
def test_killed_at_any_moment(
    whole: Whole, command: cli.Command, path: Path, url: str, number: int
) -> None:
    with told(f"killed in slice {number} of {KILLS}") as chance:
        for _ in range(1 + chance.randrange(2)):
            running = moving(command, path, url)
            time.sleep(whole.took_s * (number + chance.random()) / KILLS)
            running.kill()
        ends_well(command, whole, path, url)


@pytest.mark.parametrize("number", range(CUTS))
def test_its_session_is_ended_at_any_moment(
    whole: Whole, command: cli.Command, path: Path, url: str, server18: Server, number: int
) -> None:
    with psycopg.connect(url) as connection:
        role = connection.info.user
    with told(f"session ended in slice {number} of {CUTS}") as chance:
        running = moving(command, path, url)
        time.sleep(whole.took_s * (number + chance.random()) / CUTS)
        server18.admin(
            f"select pg_terminate_backend(pid) from pg_stat_activity where usename = '{role}'"
        )
        assert running.wait(60).exit_code in (0, 3)
        ends_well(command, whole, path, url)


@pytest.mark.parametrize("number", range(CUTS))
def test_the_network_is_cut_at_any_moment(
    whole: Whole,
    command: cli.Command,
    path: Path,
    url: str,
    server18: Server,
    proxy: Callable[..., Proxy],
    number: int,
) -> None:
    between = proxy(server18)
    far = between.url(url)
    with told(f"cut in slice {number} of {CUTS}") as chance:
        running = moving(command, path, far)
        time.sleep(whole.took_s * (number + chance.random()) / CUTS)
        between.cut()
        assert running.wait(60).exit_code in (0, 3)
        ends_well(command, whole, path, far)


def test_a_disk_that_is_full_and_then_is_not(
    whole: Whole, command: cli.Command, path: Path, url: str, server18: Server
) -> None:
    with small_disk(server18, url, megabytes=10) as grow:
        result = moving(command, path, url).wait(120).expect(3)
        assert "No space left on device" in result.json()["error"]["message"]
        with closing(sqlite3.connect(path)) as file:
            assert fence.read(file) is None
        grow(200)
        ends_well(command, whole, path, url)


@contextmanager
def small_disk(server: Server, url: str, *, megabytes: int) -> Iterator[Callable[[int], None]]:
    """The database on a disk of its own, of this size; what is given makes it larger."""
    if os.geteuid():
        pytest.skip("to mount a small disk one must be root")
    mount, umount = need("mount"), need("umount")
    with psycopg.connect(url) as connection:
        name = connection.info.dbname
    space = f"small_{secrets.token_hex(4)}"
    with processes.folder("disk") as folder:
        size = f"size={megabytes}m"
        subprocess.run([mount, "-t", "tmpfs", "-o", size, "tmpfs", folder], check=True)
        try:
            processes.give(folder)
            server.admin(f"create tablespace {space} location '{folder}'")
            server.admin(f'alter database "{name}" set tablespace {space}')
            yield lambda size: _remount(mount, folder, size)
            server.admin(f'alter database "{name}" set tablespace pg_default')
            server.admin(f"drop tablespace {space}")
        finally:
            subprocess.run([umount, "-l", folder], check=True)


def _remount(mount: str, folder: Path, megabytes: int) -> None:
    subprocess.run([mount, "-o", f"remount,size={megabytes}m", folder], check=True)
