"""One run at a time on real databases: waiting, crowds, killed runs, lost connections."""

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest

from bootstrap import app, libpq, postgres, target
from bootstrap.settings import Settings
from tests.support import look
from tests.support.cli import Result, Running
from tests.support.postgres import Server
from tests.support.projects import Project

Run = Callable[..., Result]
Start = Callable[..., Running]
MakeProject = Callable[..., Project]

# Makes a table, says that it is under way, and stays there when it runs for the first time.
SLOW = """
import pathlib
import time

op.create_table("half", sa.Column("id", sa.Integer))
mark = pathlib.Path("under-way")
first = not mark.exists()
mark.touch()
if first and op.get_bind().dialect.name == "sqlite":
    time.sleep(100)
elif first:
    op.execute("select pg_sleep(100)")
"""
ONE = 'op.create_table("one", sa.Column("id", sa.Integer))'
BUILDS = """
op.create_table("big", sa.Column("id", sa.Integer))
op.execute("insert into big select generate_series(1, 5000)")
with op.get_context().autocommit_block():
    op.create_index("big_id", "big", ["id"], postgresql_concurrently=True)
"""


@pytest.fixture
def half_way(project: MakeProject, start: Start, either_url: str) -> tuple[Project, Running]:
    """A run in the middle of its second revision, and the project."""
    shop = project(revisions=[ONE, SLOW], models=False)
    running = start("run", env={"DATABASE_URL": either_url}, cwd=shop.path)
    look.until((shop.path / "under-way").exists, running)
    look.until(lambda: under_way(either_url), running)
    return shop, running


def under_way(url: str) -> list[tuple[object, ...]]:
    """The attempts in bootstrapd's own record that have no end."""
    if url.startswith("sqlite"):
        return look.query(f"{url}-bootstrapd", "select * from attempt where result = 'running'")
    return look.query(url, "select * from bootstrapd.attempt where result = 'running'")


def worker_of(running: Running) -> int:
    tasks = Path(f"/proc/{running.pid}/task").iterdir()
    children = [int(pid) for task in tasks for pid in (task / "children").read_text().split()]
    assert len(children) == 1
    return children[0]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    # Its parent is gone, so who inherits it may be slow to fetch its exit code.
    return state != "Z"


def sessions(url: str) -> list[tuple[int, str]]:
    """What bootstrapd has open on the server."""
    return look.query(
        url,
        "select pid, application_name from pg_stat_activity"
        " where datname = current_database() and application_name like 'bootstrapd%'",
    )


def holder(url: str) -> int:
    ((pid,),) = look.query(url, "select pid from pg_locks where locktype = 'advisory' and granted")
    return int(pid)


# -- waiting --------------------------------------------------------------------------------------


def test_a_bounded_wait_ends_with_the_holder(
    half_way: tuple[Project, Running], run: Run, either_url: str
) -> None:
    shop, running = half_way
    ended = run(
        "run --json",
        env={"DATABASE_URL": either_url, "BOOTSTRAPD_LOCK_WAIT_S": "0.5"},
        cwd=shop.path,
    ).expect(9)
    error = ended.json()["error"]
    who = (
        rf"process {running.pid} \(app shop, on {re.escape(os.uname().nodename)}, for \d+ s\)"
        if either_url.startswith("sqlite")
        else rf"process {holder(either_url)} \(bootstrapd, user \w+, from 127\.0\.0\.1, "
        r"connected for \d+ s\)"
    )
    assert re.fullmatch(
        rf"the migration lock of {re.escape(look.identity(either_url))} was not got in 0\.5 s; "
        rf"it is held by {who}; wait for that run to end, or end it",
        error["message"],
    ), error["message"]
    assert error["runbook"] == "lock"
    assert re.fullmatch(who, error["holder"])


def test_a_holder_of_another_role_is_named_as_far_as_the_server_tells(
    database18: str, server18: Server, project: MakeProject, run: Run
) -> None:
    shop = project()
    database = look.identity(database18).rpartition("/")[2]
    with closing(server18.connect(database)) as other:
        other.execute("set application_name = 'deploy'")
        other.execute("select pg_advisory_lock(%s)", [postgres.LOCK_KEY])
        env = {"DATABASE_URL": database18, "BOOTSTRAPD_LOCK_WAIT_S": "0"}
        ended = run("run --json", env=env, cwd=shop.path).expect(9)
        assert ended.json()["error"]["message"] == (
            f"the migration lock of {look.identity(database18)} was not got in 0 s; it is held by "
            f"process {other.info.backend_pid} (deploy, user postgres); wait for that run to end, "
            "or end it"
        )


def test_sigterm_while_waiting_ends_at_once(
    half_way: tuple[Project, Running], start: Start, either_url: str
) -> None:
    shop, _ = half_way
    waiting = start("run", env={"DATABASE_URL": either_url}, cwd=shop.path)
    waiting.wait_for("the migration lock is held by")
    waiting.signal(signal.SIGTERM)
    assert waiting.wait(timeout=10).exit_code == 128 + signal.SIGTERM


@pytest.fixture
def bases(database: str) -> Iterator[list[postgres.Postgres]]:
    """Two sessions on one database."""
    where = target.parse(database)
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                closing(
                    postgres.Postgres(libpq.reach(where.conninfo()), where, app.shipped("godel"))
                )
            )
            for _ in range(2)
        ]


def test_a_lock_that_is_given_back_ends_the_sleep_of_who_waits(
    bases: list[postgres.Postgres],
) -> None:
    holding, waiting = bases
    assert holding.try_lock()
    assert not waiting.try_lock()
    giving_back = threading.Timer(0.5, holding.unlock)
    giving_back.start()
    began_s = time.monotonic()
    waiting.await_unlock(60, threading.Event())
    giving_back.join()
    assert 0.5 <= time.monotonic() - began_s < 60
    assert waiting.lock_is_free()
    # What it has heard is used up: the next sleep is as long as it was told.
    began_s = time.monotonic()
    waiting.await_unlock(0.3, threading.Event())
    assert time.monotonic() - began_s >= 0.3


def test_the_sleep_of_who_waits_ends_with_the_connection(
    bases: list[postgres.Postgres], server: Server
) -> None:
    _, waiting = bases
    ending = threading.Timer(
        0.5, server.admin, ["select pg_terminate_backend(%s)", waiting.connection.backend_pid]
    )
    ending.start()
    began_s = time.monotonic()
    waiting.await_unlock(60, threading.Event())
    assert time.monotonic() - began_s < 60
    with pytest.raises(libpq.Error, match="terminating connection due to administrator command"):
        waiting.lock_is_free()
    ending.join()


# -- crowds ---------------------------------------------------------------------------------------


def test_of_eight_runs_at_once_one_applies_and_all_are_ready(
    either_url: str, project: MakeProject, start: Start
) -> None:
    shop = project(revisions=3)
    crowd = [start("run --json", env={"DATABASE_URL": either_url}, cwd=shop.path) for _ in range(8)]
    ended = [each.wait() for each in crowd]
    assert [each.exit_code for each in ended] == [0] * 8, next(
        each for each in ended if each.exit_code
    )
    assert sorted(each.json()["changed"] for each in ended) == [False] * 7 + [True]
    assert look.revisions(either_url) == ["0003"]


def test_three_runs_that_build_indexes_concurrently_do_not_wait_for_each_other(
    database: str, project: MakeProject, start: Start
) -> None:
    again = BUILDS.replace("big", "tall")
    shop = project(revisions=[BUILDS, again], models=False)
    crowd = [start("run", env={"DATABASE_URL": database}, cwd=shop.path) for _ in range(3)]
    for each in crowd:
        each.wait(timeout=60).expect(0)
    indexes = look.query(
        database,
        "select indexrelid::regclass::text, indisvalid from pg_index"
        " where indexrelid::regclass::text like '%\\_id' order by 1",
    )
    assert indexes == [("big_id", True), ("tall_id", True)]


# -- killed runs ----------------------------------------------------------------------------------


def check_next_run(shop: Project, url: str, run: Run) -> None:
    """The next run needs no help and finds no half revision."""
    ended = run("run --json", env={"DATABASE_URL": url}, cwd=shop.path, timeout=30).expect(0)
    assert ended.json()["changed"]
    assert look.tables(url) == {"alembic_version", "one", "half"}
    assert look.revisions(url) == ["0002"]
    status = run("status --json", env={"DATABASE_URL": url}, cwd=shop.path).expect(0).json()
    assert [(each["revision"], each["result"]) for each in status["attempts"]] == [
        ("0002", "done"),
        ("0002", "interrupted"),
        ("0001", "done"),
    ]


def test_after_kill_9_the_next_run_goes_on(
    half_way: tuple[Project, Running], either_url: str, run: Run
) -> None:
    shop, running = half_way
    running.kill()
    check_next_run(shop, either_url, run)


def test_after_kill_9_of_the_parent_alone_the_worker_ends_too(
    half_way: tuple[Project, Running], either_url: str, run: Run
) -> None:
    shop, running = half_way
    worker = worker_of(running)
    running.signal(signal.SIGKILL)
    check_next_run(shop, either_url, run)
    assert not alive(worker)


def test_after_kill_9_of_the_worker_alone_the_run_says_so(
    half_way: tuple[Project, Running], either_url: str, run: Run
) -> None:
    shop, running = half_way
    os.kill(worker_of(running), signal.SIGKILL)
    ended = running.wait(timeout=10).expect(4)
    message = re.search(r"error +migrate: (.*)\n(.*)\n(.*)", ended.stderr)
    assert message is not None, ended
    assert re.fullmatch(
        r"the worker of app shop \(.*/python3?\) was killed by signal 9: revision 0002 "
        r"\(step 0002\) was stopped and rolled back; run again: bootstrapd migrate",
        message[1],
    ), message[1]
    assert message[2] == "its last lines:"
    assert message[3].startswith("  INFO  [alembic.runtime.migration]")
    check_next_run(shop, either_url, run)


# -- lost connections -----------------------------------------------------------------------------


@pytest.fixture
def half_way18(project: MakeProject, start: Start, database18: str) -> tuple[Project, Running]:
    """The same on PostgreSQL alone."""
    shop = project(revisions=[ONE, SLOW], models=False)
    running = start("run", env={"DATABASE_URL": database18}, cwd=shop.path)
    look.until((shop.path / "under-way").exists, running)
    look.until(lambda: under_way(database18), running)
    return shop, running


def test_when_the_lock_goes_away_the_worker_is_stopped(
    half_way18: tuple[Project, Running], database18: str, run: Run
) -> None:
    shop, running = half_way18
    look.query(database18, f"select pg_terminate_backend({holder(database18)})")
    ended = running.wait(timeout=10).expect(4)
    assert (
        f"the connection that holds the migration lock of {look.identity(database18)} was lost, so "
        "revision 0002 (step 0002) was stopped and rolled back; run again: bootstrapd migrate "
        "(runbook: migrate)" in ended.stderr
    )
    assert look.tables(database18) == {"alembic_version", "one"}
    check_next_run(shop, database18, run)


def test_when_the_server_goes_down_the_lock_went_with_it(
    half_way18: tuple[Project, Running], database18: str, server18: Server, run: Run
) -> None:
    shop, running = half_way18
    server18.stop("immediate")
    ended = running.wait(timeout=10).expect(4)
    assert f"the migration lock of {look.identity(database18)} was lost" in ended.stderr
    server18.start()
    check_next_run(shop, database18, run)


def test_a_session_that_a_killed_run_left_at_work_is_ended(
    database18: str, project: MakeProject, run: Run
) -> None:
    shop = project()
    name = postgres.session(Settings(), "0123456789ab", under_lock=True)["application_name"]
    with (
        ThreadPoolExecutor() as threads,
        psycopg.connect(database18, application_name=name) as left,
    ):
        working = threads.submit(left.execute, "select pg_sleep(100)")
        look.until(lambda: sessions(database18))
        env = {"DATABASE_URL": database18}
        ended = run("run", env=env, cwd=shop.path, timeout=30).expect(0)
        with pytest.raises(psycopg.errors.AdminShutdown):
            working.result(timeout=10)
    assert "ended 1 session of a killed run" in ended.stderr


def test_a_look_beside_a_migration_is_not_taken_for_a_leftover(
    database18: str, project: MakeProject, run: Run
) -> None:
    shop = project()
    name = postgres.session(Settings(), "validate", under_lock=False)["application_name"]
    assert name == "bootstrapd validate"
    with psycopg.connect(database18, application_name=name) as looking:
        run("run", env={"DATABASE_URL": database18}, cwd=shop.path).expect(0)
        assert looking.execute("select 1").fetchone() == (1,)
