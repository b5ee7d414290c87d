"""Revisions one by one on real databases: all of it or nothing, with a limit to every wait."""

import json
import re
import signal
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


def table(name: str) -> str:
    return f'op.create_table("{name}", sa.Column("id", sa.Integer, primary_key=True))'


BREAKS = f"""
{table("half")}
op.execute("insert into half (id) values (1)")
op.execute("insert into nowhere (id) values (1)")
"""
NOWHERE = {
    "sqlite": "no such table: nowhere",
    "postgresql": 'relation "nowhere" does not exist',
}


def dialect(url: str) -> str:
    return url.partition(":")[0]


def error_of(ended: Result) -> str:
    message: str = ended.json()["error"]["message"]
    return message


# -- one revision, one transaction ----------------------------------------------------------------


def test_a_failure_in_the_middle_keeps_what_was_before_and_nothing_of_itself(
    database_url: str, project: MakeProject, run: Run
) -> None:
    shop = project(revisions=[table("one"), table("two"), BREAKS, table("four")], models=False)
    env = {"DATABASE_URL": database_url}
    ended = run("run --json", env=env, cwd=shop.path).expect(4)
    place = look.identity(database_url)
    assert error_of(ended) == (
        f"revision 0003 (step 0003) failed and was rolled back: {NOWHERE[dialect(database_url)]}; "
        f"{place} is at 0002, with 2 revisions applied in this run; mend it, then run: "
        "bootstrapd migrate"
    )
    error = ended.json()["error"]
    assert (error["revision"], error["statement"]) == (
        "0003",
        "insert into nowhere (id) values (1)",
    )
    assert "0003 (step 0003) applied" not in ended.stderr
    assert look.tables(database_url) == {"alembic_version", "one", "two"}
    assert look.revisions(database_url) == ["0002"]

    shop.revision("0003", upgrade=BREAKS.replace("nowhere", "two"), down="0002")
    ended = run("migrate --json", env=env, cwd=shop.path).expect(0)
    assert ended.json()["steps"] == ["0003", "0004"]
    assert look.query(database_url, "select id from half") == [(1,)]


def test_what_was_done_is_on_record_whatever_env_py_does_afterwards(
    database_url: str, project: MakeProject, run: Run
) -> None:
    shop = project(revisions=[table("one"), table("two")], models=False)
    env_py = shop.path / "alembic" / "env.py"
    plain = env_py.read_text()
    env_py.write_text(f"{plain}\nimport os\n\nos.kill(os.getpid(), 9)\n")
    env = {"DATABASE_URL": database_url}
    run("migrate", env=env, cwd=shop.path).expect(4)
    env_py.write_text(plain)
    attempts = run("status --json", env=env, cwd=shop.path).expect(0).json()["attempts"]
    assert [(each["revision"], each["result"]) for each in attempts] == [
        ("0002", "done"),
        ("0001", "done"),
    ]
    assert look.revisions(database_url) == ["0002"]


def test_a_revision_with_data_and_schema_is_one_whole_on_sqlite(
    tmp_path_factory: pytest.TempPathFactory, project: MakeProject, run: Run
) -> None:
    url = f"sqlite:///{tmp_path_factory.mktemp('db')}/shop.db"
    mixed = f"""
    op.execute("update one set id = id + 1")
    op.add_column("one", sa.Column("name", sa.String))
    {table("half")}
    op.drop_table("two")
    raise ValueError("a fault of the revision's own")
    """
    first = f'{table("one")}\n{table("two")}\nop.execute("insert into one (id) values (1)")'
    shop = project(revisions=[first, mixed], models=False)
    ended = run("run --json", env={"DATABASE_URL": url}, cwd=shop.path).expect(4)
    assert "rolled back: ValueError: a fault of the revision's own; " in error_of(ended)
    assert look.tables(url) == {"alembic_version", "one", "two"}
    assert look.query(url, "select * from one") == [(1,)]


def test_a_revision_may_leave_its_transaction_and_is_still_recorded(
    database: str, project: MakeProject, run: Run
) -> None:
    leaves = """
    with op.get_context().autocommit_block():
        op.create_index("one_id", "one", ["id"], postgresql_concurrently=True)
        op.execute(
            "create table lock as select count(*) as held from pg_locks"
            " where locktype = 'advisory' and granted and mode = 'ExclusiveLock'"
        )
    """
    shop = project(revisions=[table("one"), leaves, table("three")], models=False)
    env = {"DATABASE_URL": database}
    run("run", env=env, cwd=shop.path).expect(0)
    assert look.revisions(database) == ["0003"]
    assert look.query(database, "select held from lock") == [(1,)]
    attempts = run("status --json", env=env, cwd=shop.path).expect(0).json()["attempts"]
    assert [(each["revision"], each["transactional"], each["result"]) for each in attempts] == [
        ("0003", True, "done"),
        ("0002", False, "done"),
        ("0001", True, "done"),
    ]


def test_the_same_chain_applies_on_both_kinds_of_database(
    database_url: str, project: MakeProject, run: Run
) -> None:
    shop = project(
        revisions=[
            """
            op.create_table(
                "item",
                sa.Column("id", sa.Integer, primary_key=True),
                sa.Column("name", sa.String(20), nullable=False, server_default="none"),
            )
            op.create_index("item_name", "item", ["name"], unique=True)
            """,
            """
            with op.batch_alter_table("item") as batch:
                batch.add_column(sa.Column("price", sa.Numeric(8, 2)))
                batch.alter_column("name", nullable=True)
            """,
            """
            item = sa.table("item", sa.column("name"), sa.column("price"))
            op.bulk_insert(item, [{"name": "a", "price": 1.5}, {"name": None, "price": 2}])
            """,
        ],
        models=False,
    )
    run("run", env={"DATABASE_URL": database_url}, cwd=shop.path).expect(0)
    rows = look.query(database_url, "select name, price from item order by price")
    assert [(name, float(price)) for name, price in rows] == [("a", 1.5), (None, 2.0)]


def test_to_a_revision_and_then_on(sqlite_url: str, project: MakeProject, run: Run) -> None:
    shop = project(revisions=3)
    env = {"DATABASE_URL": sqlite_url}
    ended = run("migrate 0002 --json", env=env, cwd=shop.path).expect(0).json()
    assert (ended["steps"], ended["current"], ended["pending"]) == (
        ["0001", "0002"],
        ["0002"],
        ["0003"],
    )
    assert run("migrate 0001 --json", env=env, cwd=shop.path).expect(0).json()["steps"] == []
    ended = run("migrate --json", env=env, cwd=shop.path).expect(0).json()
    assert (ended["changed"], ended["steps"]) == (True, ["0003"])
    ended = run("migrate --json", env=env, cwd=shop.path).expect(0).json()
    assert (ended["changed"], ended["steps"]) == (False, [])
    ended = run("migrate 7 --json", env=env, cwd=shop.path).expect(2).json()
    assert ended["error"]["message"] == "wanted a revision of this release, found none: '7'"


# -- limits to waiting ----------------------------------------------------------------------------

COPIES = """
op.execute(
    "create table seen as select name, setting, unit from pg_settings where name in"
    " ('lock_timeout', 'statement_timeout', 'application_name', 'client_connection_check_interval')"
)
"""


@pytest.mark.parametrize(
    ("env", "lock_ms", "statement_ms"),
    [
        ({}, "4000", "900000"),
        (
            {
                "BOOTSTRAPD_LOCK_TIMEOUT_MS": "1500",
                "BOOTSTRAPD_STATEMENT_TIMEOUT_MS": "0",
            },
            "1500",
            "0",
        ),
    ],
)
def test_revisions_run_with_timeouts_and_under_a_name(
    database: str,
    project: MakeProject,
    run: Run,
    env: dict[str, str],
    lock_ms: str,
    statement_ms: str,
) -> None:
    shop = project(revisions=[COPIES], models=False)
    run("run", env={"DATABASE_URL": database, **env}, cwd=shop.path).expect(0)
    seen = {name: (value, unit) for name, value, unit in look.query(database, "select * from seen")}
    assert seen["lock_timeout"] == (lock_ms, "ms")
    assert seen["statement_timeout"] == (statement_ms, "ms")
    assert seen["client_connection_check_interval"] == ("2000", "ms")
    assert re.fullmatch(r"bootstrapd migrate [0-9a-f]{12}", seen["application_name"][0])


@pytest.fixture
def busy(
    database18: str, project: MakeProject, run: Run
) -> Iterator[tuple[Project, "psycopg.Connection[Any]"]]:
    """A project whose second revision changes a table that somebody else holds locked."""
    counts = """
    import pathlib
    with pathlib.Path("tries").open("a") as file:
        file.write("x")
    op.add_column("one", sa.Column("name", sa.String))
    """
    shop = project(revisions=[table("one"), counts], models=False)
    run("migrate 0001", env={"DATABASE_URL": database18}, cwd=shop.path).expect(0)
    with psycopg.connect(database18) as other:
        other.execute("lock table one in access share mode")
        yield shop, other


def test_a_table_lock_that_goes_away_is_waited_for(
    busy: tuple[Project, "psycopg.Connection[Any]"], database18: str, start: Start
) -> None:
    shop, other = busy
    env = {"DATABASE_URL": database18, "BOOTSTRAPD_LOCK_TIMEOUT_MS": "200"}
    running = start("run --log-format json", env=env, cwd=shop.path)
    running.wait_for("retry 2 of 5")
    other.rollback()
    ended = running.wait(timeout=30).expect(0)
    told = [json.loads(line) for line in ended.stderr.splitlines()]
    retried = [each for each in told if each["event"] == "revision_retried"]
    assert {each["sqlstate"] for each in retried} == {"55P03"}
    for number, each in enumerate(retried, start=1):
        match = re.fullmatch(
            r"revision 0002 \(step 0002\) did not get through and left nothing behind: canceling "
            rf"statement due to lock timeout; retry {number} of 5 in ([\d.]+) s",
            each["message"],
        )
        assert match, each["message"]
        # 0.5 s doubled each time, of which half is random; shown to a tenth.
        assert 0.25 * 2 ** (number - 1) - 0.05 <= float(match[1]) <= 0.5 * 2 ** (number - 1) + 0.05
    assert look.revisions(database18) == ["0002"]
    assert (shop.path / "tries").read_text() == "x" * (len(retried) + 1)


def test_retries_are_bounded(
    busy: tuple[Project, "psycopg.Connection[Any]"], database18: str, run: Run
) -> None:
    shop, _ = busy
    env = {
        "DATABASE_URL": database18,
        "BOOTSTRAPD_LOCK_TIMEOUT_MS": "50",
        "BOOTSTRAPD_MIGRATE_RETRIES": "1",
    }
    ended = run("run --json", env=env, cwd=shop.path).expect(4)
    assert error_of(ended) == (
        "revision 0002 (step 0002) failed after 2 tries and was rolled back: canceling statement "
        f"due to lock timeout; {look.identity(database18)} is at 0001, with 0 revisions applied in "
        "this run; end what stands in its way, then run: bootstrapd migrate"
    )
    assert (shop.path / "tries").read_text() == "xx"
    attempts = run("status --json", env=env, cwd=shop.path).expect(0).json()["attempts"]
    assert [each["result"] for each in attempts] == ["failed", "failed", "done"]


def test_a_fault_of_the_revision_is_tried_once(
    sqlite_url: str, project: MakeProject, run: Run
) -> None:
    faulty = """
    import pathlib
    with pathlib.Path("tries").open("a") as file:
        file.write("x")
    op.execute("this is no sql")
    """
    shop = project(revisions=[faulty], models=False)
    ended = run("run --json", env={"DATABASE_URL": sqlite_url}, cwd=shop.path).expect(4)
    assert 'near "this": syntax error' in error_of(ended)
    assert (shop.path / "tries").read_text() == "x"


def test_a_statement_that_takes_too_long_is_ended_and_not_tried_again(
    database18: str, project: MakeProject, run: Run
) -> None:
    shop = project(revisions=["op.execute('select pg_sleep(60)')"], models=False)
    env = {"DATABASE_URL": database18, "BOOTSTRAPD_STATEMENT_TIMEOUT_MS": "300"}
    ended = run("run --json", env=env, cwd=shop.path, timeout=30).expect(4)
    assert error_of(ended) == (
        "revision 0001 (step 0001) failed and was rolled back: canceling statement due to "
        f"statement timeout; {look.identity(database18)} is at base, with 0 revisions applied in "
        "this run; mend it, then run: bootstrapd migrate"
    )
    assert "retry" not in ended.stderr


# -- asked to end ---------------------------------------------------------------------------------


def test_sigterm_between_quick_revisions_is_heard(
    either_url: str, project: MakeProject, start: Start, run: Run
) -> None:
    shop = project(
        revisions=[f"import time\ntime.sleep(0.05)\n{table(f't{n}')}" for n in range(40)],
        models=False,
    )
    env = {"DATABASE_URL": either_url}
    running = start("run -v", env=env, cwd=shop.path)
    running.wait_for("revision 0002 (step 0002) applied")
    running.signal(signal.SIGTERM)
    ended = running.wait(timeout=20).expect(128 + signal.SIGTERM)
    (last,) = look.revisions(either_url)
    assert int(last) < 40
    assert f"revision {last} (step {last}) applied" in ended.stderr
    status = run("status --json --attempts 99", env=env, cwd=shop.path).expect(0).json()
    assert {each["result"] for each in status["attempts"]} == {"done"}
    assert status["attempts"][0]["revision"] == last
    run("run", env=env, cwd=shop.path).expect(0)
    assert look.revisions(either_url) == ["0040"]


@pytest.mark.parametrize(("grace_s", "kept"), [("10", True), ("0.3", False)])
def test_sigterm_lets_a_revision_end_within_the_grace_else_it_is_rolled_back(
    either_url: str, project: MakeProject, start: Start, run: Run, grace_s: str, kept: bool
) -> None:
    slow = f"""
    import pathlib
    import time
    {table("slow")}
    pathlib.Path("under-way").touch()
    time.sleep(2)
    """
    shop = project(revisions=[slow, table("next")], models=False)
    env = {"DATABASE_URL": either_url, "BOOTSTRAPD_GRACE_S": grace_s}
    running = start("run", env=env, cwd=shop.path)
    look.until((shop.path / "under-way").exists, running)
    running.signal(signal.SIGTERM)
    running.wait(timeout=20).expect(128 + signal.SIGTERM)
    assert look.tables(either_url) == ({"alembic_version", "slow"} if kept else set())
    status = run("status --json", env=env, cwd=shop.path).expect(0).json()
    assert status["current"] == (["0001"] if kept else [])
    assert [(each["revision"], each["result"], each["error"]) for each in status["attempts"]] == [
        ("0001", "done", None) if kept else ("0001", "interrupted", "ended by a signal")
    ]
