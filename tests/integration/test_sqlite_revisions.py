"""What SQLite does its own way: foreign keys, statements that stand alone, a full disk, locks."""

import os
import secrets
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import look, need
from tests.support.cli import Result, Running
from tests.support.projects import Project

Run = Callable[..., Result]
Start = Callable[..., Running]
MakeProject = Callable[..., Project]

FAMILY = """
op.create_table("parent", sa.Column("id", sa.Integer, primary_key=True), sa.Column("old", sa.Text))
op.create_table(
    "child",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("parent", sa.Integer, sa.ForeignKey("parent.id", ondelete="CASCADE")),
)
op.execute("insert into parent (id) values (1), (2)")
op.execute("insert into child (id, parent) values (10, 1), (20, 2), (21, 2)")
"""
REBUILDS = """
op.execute("PRAGMA foreign_keys=OFF")
with op.batch_alter_table("parent") as batch:
    batch.drop_column("old")
op.execute("PRAGMA foreign_keys=ON")
"""
# As apps do it that rely on foreign keys.
ENFORCES = """
from sqlalchemy import event
from sqlalchemy.engine import Engine


@event.listens_for(Engine, "connect")
def enforce(connection, record):
    connection.execute("PRAGMA foreign_keys=ON")


"""


def error_of(ended: Result) -> str:
    message: str = ended.json()["error"]["message"]
    return message


def enforcing(shop: Project, env: str) -> Project:
    path = shop.path / "alembic" / "env.py"
    source = path.read_text()
    enforces = ENFORCES
    if env == "async":
        enforces = enforces.replace("connection.execute(", "connection.cursor().execute(")
    path.write_text(enforces + source)
    return shop


@pytest.mark.parametrize("env", ["plain", "async"])
def test_rebuilding_a_table_without_foreign_keys_loses_no_rows(
    project: MakeProject, run: Run, sqlite_url: str, env: str
) -> None:
    checks = """
    (on,) = op.get_bind().execute(sa.text("PRAGMA foreign_keys")).one()
    op.execute(f"create table seen as select {on} as foreign_keys")
    """
    shop = enforcing(project(env=env, revisions=[FAMILY, REBUILDS, checks], models=False), env)
    run("run", env={"DATABASE_URL": sqlite_url}, cwd=shop.path).expect(0)
    assert look.query(sqlite_url, "select id from parent") == [(1,), (2,)]
    assert look.query(sqlite_url, "select id from child order by id") == [(10,), (20,), (21,)]
    assert look.query(sqlite_url, "select foreign_keys from seen") == [(1,)]


def test_such_a_revision_stays_whole_when_it_fails(
    project: MakeProject, run: Run, sqlite_url: str
) -> None:
    fails = REBUILDS + 'op.execute("drop table nowhere")'
    shop = enforcing(project(revisions=[FAMILY, fails], models=False), "plain")
    ended = run("run --json", env={"DATABASE_URL": sqlite_url}, cwd=shop.path).expect(4)
    assert "revision 0002 (step 0002) failed and was rolled back: " in error_of(ended)
    assert look.query(sqlite_url, "select old from parent") == [(None,), (None,)]
    assert look.query(sqlite_url, "select count(*) from child") == [(3,)]


def test_what_was_done_before_foreign_keys_are_turned_off_is_known_to_be_done(
    project: MakeProject, run: Run, sqlite_url: str
) -> None:
    fails = f'op.create_table("early", sa.Column("id"))\n{REBUILDS}op.execute("drop table nowhere")'
    shop = enforcing(
        project(
            revisions=[FAMILY, fails.replace('sa.Column("id")', 'sa.Column("id", sa.Integer)')],
            models=False,
        ),
        "plain",
    )
    env = {"DATABASE_URL": sqlite_url}
    ended = run("run --json", env=env, cwd=shop.path).expect(4)
    assert "failed outside a transaction and may be half done: " in error_of(ended)
    assert "early" in look.tables(sqlite_url)
    ended = run("run --json", env=env, cwd=shop.path).expect(4)
    assert "and has changed the schema; only you can tell how far it came." in error_of(ended)


def test_statements_that_cannot_be_in_a_transaction(
    project: MakeProject, run: Run, sqlite_url: str
) -> None:
    shop = project(
        revisions=[
            "op.execute('PRAGMA journal_mode=WAL')",
            "op.execute('create table t (id integer)')",
            "op.execute('VACUUM')\nop.execute('PRAGMA synchronous=NORMAL')",
        ],
        models=False,
    )
    run("run", env={"DATABASE_URL": sqlite_url}, cwd=shop.path).expect(0)
    assert look.query(sqlite_url, "PRAGMA journal_mode") == [("wal",)]
    assert (
        run("run --json", env={"DATABASE_URL": sqlite_url}, cwd=shop.path).json()["changed"]
        is False
    )


def test_a_file_that_somebody_writes_to_is_waited_for(
    project: MakeProject, run: Run, start: Start, sqlite_url: str, tmp_path: Path
) -> None:
    shop = project(revisions=2)
    run("migrate 0001", env={"DATABASE_URL": sqlite_url}, cwd=shop.path).expect(0)
    path = shop.path / "alembic" / "env.py"
    source = path.read_text()
    assert source.count('prefix="sqlalchemy."') == 1
    # Else the driver waits five seconds by itself.
    path.write_text(
        source.replace(
            'prefix="sqlalchemy."', 'prefix="sqlalchemy.", connect_args={"timeout": 0.1}'
        )
    )
    with closing(sqlite3.connect(tmp_path / "shop.db", isolation_level=None)) as other:
        other.execute("begin immediate")
        running = start("migrate", env={"DATABASE_URL": sqlite_url}, cwd=shop.path)
        running.wait_for("database is locked; retry 1 of 5 in ")
        other.execute("rollback")
    running.wait(timeout=30).expect(0)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a megabyte."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        [need("mount"), "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run([need("umount"), place], check=True)


def test_a_disk_that_becomes_full_keeps_what_was_before(
    project: MakeProject, run: Run, small_disk: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{small_disk / 'shop.db'}"
    fills = """
    op.create_table("big", sa.Column("data", sa.Text))
    for _ in range(200):
        op.execute("insert into big values (hex(zeroblob(5000)))")
    """
    shop = project(revisions=[FAMILY, fills], models=False)
    env = {"DATABASE_URL": url, "BOOTSTRAPD_STATE_DIR": str(tmp_path / "state")}
    ended = run("run --json", env=env, cwd=shop.path).expect(4)
    assert error_of(ended) == (
        "revision 0002 (step 0002) failed and was rolled back: database or disk is full; "
        f"{small_disk}/shop.db is at 0001, with 1 revision applied in this run; mend it, then run: "
        "bootstrapd migrate"
    )
    assert look.revisions(url) == ["0001"]
    assert look.tables(url) == {"alembic_version", "parent", "child"}
    subprocess.run(["mount", "-o", "remount,size=16m", small_disk], check=True)
    run("run", env=env, cwd=shop.path).expect(0)
    assert look.query(url, "select count(*) from big") == [(200,)]


def test_a_disk_that_is_full_from_the_start(
    project: MakeProject, run: Run, small_disk: Path, tmp_path: Path
) -> None:
    shutil.copyfile("/dev/null", small_disk / "shop.db")
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    (small_disk / "ballast").write_bytes(secrets.token_bytes(free))
    shop = project(revisions=2)
    env = {
        "DATABASE_URL": f"sqlite:///{small_disk / 'shop.db'}",
        "BOOTSTRAPD_STATE_DIR": str(tmp_path / "state"),
    }
    ended = run("run --json", env=env, cwd=shop.path).expect(3)
    assert error_of(ended) == (
        f"{small_disk}/shop.db failed while bootstrapd worked on it: [Errno 28] No space left on "
        "device; nothing half done is left, run again when the cause is mended"
    )
    (small_disk / "ballast").unlink()
    run("run", env=env, cwd=shop.path).expect(0)
