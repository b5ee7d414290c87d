"""Invalid indexes that no pending revision makes anew are rebuilt by the next run."""

import contextlib
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.support import look
from tests.support.cli import Result, Running
from tests.support.projects import Project

Run = Callable[..., Result]
Start = Callable[..., Running]
MakeProject = Callable[..., Project]

ITEMS = """
op.create_table("item", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))
"""
BUILDS = """
with op.get_context().autocommit_block():
    op.create_index("item_name", "item", ["name"], unique=True, postgresql_concurrently=True)
"""
VALID = """
select indexrelid::regclass::text, indisvalid from pg_index
where indrelid = 'item'::regclass and not indisprimary order by 1
"""
WORKING = "select pid from pg_stat_activity where query like 'reindex%' and state = 'active'"


@pytest.fixture
def shop(project: MakeProject, database18: str, run: Run) -> Project:
    """A project that is at head."""
    made = project(revisions=[ITEMS, BUILDS], models=False)
    run("run", env={"DATABASE_URL": database18}, cwd=made.path).expect(0)
    return made


def break_index(url: str) -> None:
    """Leave `item_name` invalid behind, as a concurrent build of it does that meets twins."""
    look.query(url, "insert into item values (1, 'twin'), (2, 'other')")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("drop index item_name")
        connection.execute("insert into item values (3, 'twin')")
        with contextlib.suppress(psycopg.errors.UniqueViolation):
            connection.execute("create unique index concurrently item_name on item (name)")
    assert look.query(url, VALID) == [("item_name", False)]


def attempts(run: Run, shop: Project, url: str) -> list[tuple[str, str, str]]:
    found = run("status --json", env={"DATABASE_URL": url}, cwd=shop.path).expect(0).json()
    return [(each["direction"], each["revision"], each["result"]) for each in found["attempts"]]


def test_it_is_rebuilt_told_and_recorded_and_then_costs_nothing(
    database18: str, shop: Project, run: Run
) -> None:
    env = {"DATABASE_URL": database18}
    break_index(database18)
    look.query(database18, "delete from item where id = 3")
    ended = run("run", env=env, cwd=shop.path).expect(0)
    assert "the invalid index item_name of item was rebuilt in " in ended.stderr
    assert look.query(database18, VALID) == [("item_name", True)]
    assert attempts(run, shop, database18)[0] == ("rebuild", "item_name", "done")
    again = run("run -v", env=env, cwd=shop.path).expect(0)
    assert "lock: " not in again.stderr


def test_before_pending_revisions_it_is_rebuilt_too(
    database18: str, shop: Project, run: Run
) -> None:
    break_index(database18)
    look.query(database18, "delete from item where id = 3")
    shop.revision("0003", upgrade='op.add_column("item", sa.Column("color", sa.Text))')
    run("migrate", env={"DATABASE_URL": database18}, cwd=shop.path).expect(0)
    assert look.query(database18, VALID) == [("item_name", True)]
    assert look.revisions(database18) == ["0003"]


def test_rows_that_stand_in_the_way_are_told_by_their_query(
    database18: str, shop: Project, run: Run
) -> None:
    env = {"DATABASE_URL": database18, "BOOTSTRAPD_VALIDATE": "none"}
    break_index(database18)
    ended = run("run", env=env, cwd=shop.path).expect(0)
    query = (
        "select name, count(*) from item where name is not null group by name having count(*) > 1"
    )
    assert (
        "the invalid index item_name of item could not be rebuilt: could not create unique index "
        '"item_name_ccnew" (Key (name)=(twin) is duplicated.); the rows that stand in its way: '
        f"{query}; mend them, then run: bootstrapd migrate\n" in ended.stderr
    )
    assert look.query(database18, query) == [("twin", 2)]
    # Nothing more than before is left behind.
    assert look.query(database18, VALID) == [("item_name", False)]
    assert attempts(run, shop, database18)[0] == ("rebuild", "item_name", "failed")
    # Starts do not read the whole table again and again in vain.
    assert "lock: " not in run("run -v", env=env, cwd=shop.path).expect(0).stderr
    look.query(database18, "delete from item where id = 3")
    run("migrate", env=env, cwd=shop.path).expect(0)
    assert look.query(database18, VALID) == [("item_name", True)]


def test_what_a_stopped_rebuild_left_is_dropped(database18: str, shop: Project, run: Run) -> None:
    look.query(database18, "insert into item values (1, 'twin'), (2, 'other')")
    look.query(database18, "create index by_id on item (id)")
    with psycopg.connect(database18, autocommit=True) as connection:
        connection.execute("drop index item_name")
        connection.execute("update item set name = 'twin'")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("create unique index concurrently by_id_ccold1 on item (name)")
        connection.execute("delete from item where id = 2")
        connection.execute("create unique index item_name on item (name)")
    env = {"DATABASE_URL": database18, "BOOTSTRAPD_VALIDATE": "none"}
    ended = run("run", env=env, cwd=shop.path).expect(0)
    assert "the invalid index by_id_ccold1 of item was dropped in " in ended.stderr
    assert look.query(database18, VALID) == [("by_id", True), ("item_name", True)]


def test_who_uses_the_table_is_not_waited_for_without_end(
    database18: str, shop: Project, run: Run
) -> None:
    break_index(database18)
    look.query(database18, "delete from item where id = 3")
    env = {
        "DATABASE_URL": database18,
        "BOOTSTRAPD_LOCK_TIMEOUT_MS": "100",
        "BOOTSTRAPD_MIGRATE_RETRIES": "1",
        "BOOTSTRAPD_VALIDATE": "none",
    }
    with psycopg.connect(database18) as other:
        other.execute("insert into item values (4, 'four')")
        ended = run("run", env=env, cwd=shop.path).expect(0)
    assert (
        "the invalid index item_name of item could not be rebuilt yet: canceling statement due to "
        "lock timeout; retry 1 of 1 in " in ended.stderr
    )
    assert (
        "the invalid index item_name of item could not be rebuilt: canceling statement due to lock "
        "timeout; end what stands in its way; the next start tries again" in ended.stderr
    )
    run("run", env=env, cwd=shop.path).expect(0)
    assert look.query(database18, VALID) == [("item_name", True)]


def test_killed_at_it_the_next_run_converges(
    database18: str, shop: Project, start: Start, run: Run
) -> None:
    break_index(database18)
    look.query(database18, "delete from item where id = 3")
    env = {"DATABASE_URL": database18, "BOOTSTRAPD_LOCK_TIMEOUT_MS": "60000"}
    with psycopg.connect(database18) as other:
        other.execute("insert into item values (4, 'four')")
        running = start("run", env=env, cwd=shop.path)
        look.until(lambda: look.query(database18, WORKING), running)
        running.kill()
    ended = run("run", env=env, cwd=shop.path).expect(0)
    assert look.query(database18, VALID) == [("item_name", True)], ended
    rows: list[Any] = attempts(run, shop, database18)
    assert ("rebuild", "item_name", "interrupted") in rows


def test_what_a_pending_revision_was_building_is_left_to_it(
    database18: str, project: MakeProject, run: Run
) -> None:
    shop = project(revisions=[ITEMS, BUILDS], models=False)
    env = {"DATABASE_URL": database18}
    run("migrate 0001", env=env, cwd=shop.path).expect(0)
    look.query(database18, "insert into item values (1, 'twin'), (2, 'twin')")
    run("run", env=env, cwd=shop.path).expect(4)
    look.query(database18, "delete from item where id = 2")
    ended = run("run", env=env, cwd=shop.path).expect(0)
    assert "dropped the invalid index item_name, which revision 0002" in ended.stderr
    assert "was rebuilt" not in ended.stderr
    assert look.query(database18, VALID) == [("item_name", True)]
