"""A history of 1,000 revisions, against `alembic upgrade head` on the same project."""

import itertools
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bootstrap import target
from tests.benchmarks import measure
from tests.support import cli, projects
from tests.support.postgres import Server

pytestmark = pytest.mark.benchmark


@pytest.fixture
def calls(
    command: cli.Command, server18: Server, project: Callable[..., projects.Project]
) -> tuple[measure.Call, measure.Call, Callable[[], None]]:
    """bootstrapd and alembic on one project and database, and a way to empty the database."""
    url = server18.create_database()
    name = target.parse(url).params["dbname"]
    made = project(revisions=0)
    for number in range(1, 1001):
        made.revision(
            f"{number:04d}",
            upgrade=f"op.create_table('t{number}', sa.Column('id', sa.Integer, primary_key=True),"
            " sa.Column('name', sa.Text))",
            downgrade=f"op.drop_table('t{number}')",
        )
    made.set_url(target.parse(url).url("psycopg"))

    runs = itertools.count()

    def empty() -> None:
        # A database of its own for each run: in one that was emptied, the catalogs still hold the
        # dead rows of the run before.
        with server18.connect() as connection:
            owner = connection.execute(
                "select pg_get_userbyid(datdba) from pg_database where datname = %s", [name]
            ).fetchone()
            assert owner is not None
            # Aside, not dropped: that would begin with a checkpoint, whose price the next run pays.
            connection.execute(f'alter database "{name}" rename to "{name}_{next(runs)}"')
            connection.execute(f'create database "{name}" owner "{owner[0]}"')
        shutil.rmtree(made.path / ".bootstrapd", ignore_errors=True)

    env = measure.environment(command, DATABASE_URL=url)
    alembic = Path(sys.executable).with_name("alembic")
    ours = measure.Call(measure.bootstrapd("run", "-q", "--", "true"), made.path, env, empty)
    peer = measure.Call([alembic, "upgrade", "head"], made.path, env, empty)
    return ours, peer, empty


@pytest.mark.parametrize("alike", [False, True], ids=["as_it_is", "a_transaction_each"])
def test_from_empty(
    calls: tuple[measure.Call, measure.Call, Callable[[], None]], alike: bool
) -> None:
    ours, peer, _ = calls
    title = "1,000 revisions to alembic, which has one transaction around all"
    if alike:
        title = "1,000 revisions to alembic, told to have a transaction each as bootstrapd has"
        env = ours.cwd / "alembic" / "env.py"
        plain, made = (
            "connection=connection,",
            "connection=connection, transaction_per_migration=True,",
        )
        assert plain in env.read_text()
        env.write_text(env.read_text().replace(plain, made))
    assert measure.ratio(title, ours, peer, runs=5, wanted=1.15) > 0


def test_nothing_to_do(calls: tuple[measure.Call, measure.Call, Callable[[], None]]) -> None:
    ours, peer, empty = calls
    empty()
    measure.Call(ours.argv, ours.cwd, ours.env).seconds()
    found = measure.ratio(
        "no-op on 1,000 revisions to alembic",
        measure.Call(ours.argv, ours.cwd, ours.env),
        measure.Call(peer.argv, peer.cwd, peer.env),
        runs=9,
        wanted=0.5,
    )
    assert found > 0
