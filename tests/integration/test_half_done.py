"""Revisions that were stopped outside their transaction: run again, or left to a person."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from tests.support import look
from tests.support.cli import Result, Running
from tests.support.projects import Project

Run = Callable[..., Result]
Start = Callable[..., Running]
MakeProject = Callable[..., Project]

ONE = """
op.create_table("one", sa.Column("id", sa.Integer, primary_key=True))
op.execute("insert into one (id) values (1)")
"""
BUILDS = """
with op.get_context().autocommit_block():
    op.create_index("one_id", "one", ["id"], postgresql_concurrently=True)
"""
MAKES_AND_FAILS = """
op.create_table("two", sa.Column("id", sa.Integer))
with op.get_context().autocommit_block():
    op.execute("select * from nowhere")
"""
LEFT = """
select pid from pg_stat_activity where datname = current_database()
and application_name like 'bootstrapd migrate%'
"""
STOPPED = (
    r"revision 0002 \(step 0002\) was stopped outside a transaction at [\d-]+T[\d:.]+Z \((.*)\) "
    r"and has changed (data|the schema); only you can tell how far it came\. Finish it by hand and "
    r"run: bootstrapd migrate --mark-applied 0002; or undo it by hand and run: bootstrapd migrate "
    r"--retry"
)


def error_of(ended: Result) -> str:
    message: str = ended.json()["error"]["message"]
    return message


def results(run: Run, shop: Project, url: str) -> list[tuple[str, str, str]]:
    status = run("status --json", env={"DATABASE_URL": url}, cwd=shop.path).expect(0).json()
    return [(each["direction"], each["revision"], each["result"]) for each in status["attempts"]]


def test_killed_while_an_index_was_built_the_next_run_builds_it_anew(
    database: str, project: MakeProject, start: Start, run: Run
) -> None:
    shop = project(revisions=[ONE, BUILDS], models=False)
    env = {"DATABASE_URL": database, "BOOTSTRAPD_LOCK_TIMEOUT_MS": "60000"}
    run("migrate 0001", env=env, cwd=shop.path).expect(0)
    invalid = "select indexrelid::regclass::text from pg_index where not indisvalid"
    with psycopg.connect(database) as other:
        other.execute("insert into one (id) values (2)")
        running = start("run", env=env, cwd=shop.path)
        look.until(lambda: look.query(database, invalid) == [("one_id",)])
        running.kill()
        # Else it would go on building as soon as nobody stands in its way.
        look.until(lambda: not look.query(database, LEFT))
    ended = run("run --json", env=env, cwd=shop.path, timeout=30).expect(0)
    assert ended.json()["changed"]
    assert (
        "dropped the invalid index one_id, which revision 0002 (step 0002) left behind"
        in ended.stderr
    )
    assert look.query(database, invalid) == []
    assert look.query(
        database, "select indisvalid from pg_index where indexrelid = 'one_id'::regclass"
    ) == [(True,)]
    assert results(run, shop, database)[:2] == [
        ("upgrade", "0002", "done"),
        ("upgrade", "0002", "interrupted"),
    ]


@pytest.fixture
def written_to(
    database18: str, project: MakeProject, run: Run
) -> Iterator[tuple[Project, "psycopg.Connection[Any]"]]:
    """A project that wants to build an index on a table that somebody else is writing to."""
    shop = project(revisions=[ONE, BUILDS], models=False)
    run("migrate 0001", env={"DATABASE_URL": database18}, cwd=shop.path).expect(0)
    with psycopg.connect(database18) as other:
        other.execute("insert into one (id) values (2)")
        yield shop, other


def test_an_index_that_waits_too_long_for_others_is_tried_again(
    written_to: tuple[Project, "psycopg.Connection[Any]"], database18: str, start: Start
) -> None:
    shop, other = written_to
    env = {"DATABASE_URL": database18, "BOOTSTRAPD_LOCK_TIMEOUT_MS": "100"}
    running = start("run", env=env, cwd=shop.path)
    running.wait_for(
        "the invalid index one_id, which revision 0002 (step 0002) left behind, cannot be dropped "
        "yet; retry 1 of 5 in "
    )
    other.commit()
    ended = running.wait(timeout=30).expect(0)
    assert (
        "revision 0002 (step 0002) did not get through and left nothing behind: canceling "
        "statement due to lock timeout; retry 1 of 5 in " in ended.stderr
    )
    assert look.query(database18, "select count(*) from pg_index where not indisvalid") == [(0,)]


def test_others_who_stay_are_not_waited_for_without_end(
    written_to: tuple[Project, "psycopg.Connection[Any]"], database18: str, run: Run
) -> None:
    shop, other = written_to
    env = {
        "DATABASE_URL": database18,
        "BOOTSTRAPD_LOCK_TIMEOUT_MS": "100",
        "BOOTSTRAPD_MIGRATE_RETRIES": "1",
    }
    ended = run("run --json", env=env, cwd=shop.path).expect(4)
    assert error_of(ended) == (
        "the invalid index one_id, which revision 0002 (step 0002) left behind, cannot be dropped "
        "while others hold its table; end what stands in the way, then run: bootstrapd migrate"
    )
    other.rollback()
    run("run", env=env, cwd=shop.path).expect(0)


def test_a_failure_that_left_nothing_is_just_run_again(
    database18: str, project: MakeProject, run: Run
) -> None:
    fails = 'with op.get_context().autocommit_block():\n    op.execute("select * from nowhere")'
    shop = project(revisions=[ONE, fails], models=False)
    env = {"DATABASE_URL": database18}
    ended = run("run --json", env=env, cwd=shop.path).expect(4)
    assert error_of(ended).startswith(
        "revision 0002 (step 0002) failed outside a transaction and may be half done: "
    )
    assert error_of(ended).endswith(
        f"; {look.identity(database18)} is at 0001; mend the cause, then run: bootstrapd migrate"
    )
    shop.revision("0002", upgrade=fails.replace("nowhere", "one"), down="0001")
    run("run", env=env, cwd=shop.path).expect(0)


def test_a_failure_that_changed_the_schema_stops_until_somebody_finished_it(
    either_url: str, project: MakeProject, run: Run
) -> None:
    shop = project(revisions=[ONE, MAKES_AND_FAILS, "pass"], models=False)
    env = {"DATABASE_URL": either_url}
    run("run", env=env, cwd=shop.path).expect(4)
    assert "two" in look.tables(either_url)
    for _ in range(2):
        ended = run("run --json", env=env, cwd=shop.path).expect(4)
        match = re.fullmatch(STOPPED, error_of(ended))
        assert match, ended
        assert "nowhere" in match[1]
        assert match[2] == "the schema"
    ended = run("migrate --mark-applied 0002 --json", env=env, cwd=shop.path).expect(0)
    assert ended.json()["changed"]
    assert "revision 0002 (step 0002) marked as applied in " in ended.stderr
    assert look.revisions(either_url) == ["0002"]
    run("run", env=env, cwd=shop.path).expect(0)
    assert look.revisions(either_url) == ["0003"]
    assert results(run, shop, either_url) == [
        ("upgrade", "0003", "done"),
        ("stamp", "0002", "done"),
        ("upgrade", "0002", "failed"),
        ("upgrade", "0001", "done"),
    ]


def test_or_until_somebody_undid_it_and_it_is_run_again_once(
    sqlite_url: str, project: MakeProject, run: Run
) -> None:
    shop = project(revisions=[ONE, MAKES_AND_FAILS], models=False)
    env = {"DATABASE_URL": sqlite_url}
    run("run", env=env, cwd=shop.path).expect(4)
    look.query(sqlite_url, "drop table two")
    look.query(sqlite_url, "create table mended (id int)")
    run("run", env=env, cwd=shop.path).expect(4)
    # It fails again, so that it counts as half done again.
    run("migrate --retry", env=env, cwd=shop.path).expect(4)
    assert re.fullmatch(STOPPED, error_of(run("run --json", env=env, cwd=shop.path).expect(4)))
    look.query(sqlite_url, "drop table two")
    shop.revision("0002", upgrade=MAKES_AND_FAILS.replace("nowhere", "one"), down="0001")
    run("migrate --retry", env=env, cwd=shop.path).expect(0)
    assert look.revisions(sqlite_url) == ["0002"]


@pytest.mark.parametrize(
    "changes",
    [
        """
        with op.get_context().autocommit_block():
            op.execute("update one set id = id + 100")
            op.execute("select * from nowhere")
        """,
        """
        op.execute("update one set id = id + 100")
        with op.get_context().autocommit_block():
            op.execute("select * from nowhere")
        """,
    ],
    ids=["outside", "before"],
)
def test_a_failure_that_changed_data_is_never_run_twice(
    database18: str, project: MakeProject, run: Run, changes: str
) -> None:
    shop = project(revisions=[ONE, changes], models=False)
    env = {"DATABASE_URL": database18}
    run("run", env=env, cwd=shop.path).expect(4)
    ended = run("run --json", env=env, cwd=shop.path).expect(4)
    match = re.fullmatch(STOPPED, error_of(ended))
    assert match, ended
    assert match[2] == "data"
    assert look.query(database18, "select id from one") == [(101,)]


def test_killed_after_a_visible_change_it_stops_too(
    either_url: str, project: MakeProject, start: Start, run: Run
) -> None:
    hangs = """
    import pathlib
    import time

    with op.get_context().autocommit_block():
        op.create_table("two", sa.Column("id", sa.Integer))
        pathlib.Path("under-way").touch()
        time.sleep(100)
    """
    shop = project(revisions=[ONE, hangs], models=False)
    env = {"DATABASE_URL": either_url}
    running = start("run", env=env, cwd=shop.path)
    look.until((shop.path / "under-way").exists)
    running.kill()
    match = re.fullmatch(STOPPED, error_of(run("run --json", env=env, cwd=shop.path).expect(4)))
    assert match
    assert match.groups() == ("the run was killed", "the schema")


def test_a_connection_that_commits_by_itself_is_taken_for_what_it_is(
    database18: str, project: MakeProject, run: Run
) -> None:
    fails = 'op.create_table("two", sa.Column("id", sa.Integer))\nop.execute("select 1/0")'
    shop = project(env="own_engine", revisions=[ONE, fails], models=False)
    path = shop.path / "alembic" / "env.py"
    source = path.read_text()
    assert source.count("poolclass=pool.NullPool") == 1
    path.write_text(
        source.replace(
            "poolclass=pool.NullPool", "poolclass=pool.NullPool, isolation_level='AUTOCOMMIT'"
        )
    )
    env = {"DATABASE_URL": database18}
    ended = run("run --json", env=env, cwd=shop.path).expect(4)
    assert error_of(ended) == (
        "revision 0002 (step 0002) failed outside a transaction and may be half done: division by "
        f"zero; {look.identity(database18)} is at 0001; mend the cause, then run: "
        "bootstrapd migrate"
    )
    match = re.fullmatch(STOPPED, error_of(run("run --json", env=env, cwd=shop.path).expect(4)))
    assert match
    assert match[2] == "the schema"


def test_only_the_next_revision_can_be_marked(
    sqlite_url: str, project: MakeProject, run: Run
) -> None:
    shop = project(revisions=["pass", "pass", "pass"], models=False)
    env = {"DATABASE_URL": sqlite_url}
    run("migrate 0001", env=env, cwd=shop.path).expect(0)
    ended = run("migrate --mark-applied --json", env=env, cwd=shop.path).expect(2)
    assert error_of(ended) == (
        "wanted the one revision that was finished by hand, found 'heads'; name it: "
        "bootstrapd migrate --mark-applied REV"
    )
    ended = run("migrate --mark-applied 0003 --json", env=env, cwd=shop.path).expect(2)
    assert error_of(ended) == (
        "revision 0003 builds on 0002, not applied yet; apply or mark 0002 first"
    )
    ended = run("migrate --mark-applied 0001 --json", env=env, cwd=shop.path).expect(0)
    assert ended.json()["changed"] is False
    assert look.revisions(sqlite_url) == ["0001"]
