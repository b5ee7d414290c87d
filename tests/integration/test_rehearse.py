"""What is pending is run on a restored backup; the live database stays as it is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import look
from tests.support.cli import Result
from tests.support.postgres import Server
from tests.support.projects import Project

Run = Callable[..., Result]
MakeProject = Callable[..., Project]

BASE = """
op.execute("create table item (id int primary key, name text, price int)")
op.execute("create table plain (id int)")
op.execute("insert into item select n, 'item ' || n, n from generate_series(1, 100000) n")
"""
REWRITES = 'op.execute("alter table item alter column price type bigint")'
INDEXES = 'op.execute("create index item_name on item (name)")'
CONCURRENT = """
op.execute("update plain set id = 1")
with op.get_context().autocommit_block():
    op.execute("create index concurrently item_price on item (price)")
    op.execute("alter table plain add column note text")
"""
# The lock is held for a moment that no sampling would meet.
SHORT = """
op.execute("alter table item add column color text")
op.execute("update item set color = 'red' where id <= 7")
"""
ONLY_NEW = """
op.execute("create table fresh (id int primary key)")
op.execute("alter table fresh add column name text")
"""
FAILS = 'op.execute("alter table item drop column nowhere")'


def error_of(ended: Result) -> dict[str, Any]:
    error: dict[str, Any] = ended.json()["error"]
    return error


def tables(rehearsed: dict[str, Any]) -> list[dict[str, dict[str, Any]]]:
    """What was found for each revision, by table."""
    return [
        {table.pop("table"): table for table in each["tables"]} for each in rehearsed["revisions"]
    ]


def touched(
    lock: str | None, blocks: str, rows: int = 0, rewritten: bool = False
) -> dict[str, Any]:
    return {"lock": lock, "blocks": blocks, "rows": rows, "rewritten": rewritten}


def scratches(server: Server) -> list[Any]:
    return server.admin("select datname from pg_database where datname like 'bootstrapd_scratch%'")


@pytest.fixture
def shop(project: MakeProject) -> Project:
    """A project with revisions of every kind."""
    bodies = [BASE, REWRITES, INDEXES, CONCURRENT, SHORT, ONLY_NEW]
    return project(revisions=bodies, models=False)


@pytest.fixture
def behind(database: str, server: Server, shop: Project, run: Run) -> dict[str, str]:
    """The settings of a database with 100,000 rows, five revisions behind."""
    env = {"DATABASE_URL": database}
    run("migrate 0001", env=env, cwd=shop.path).expect(0)
    role = look.query(database, "select current_user")[0][0]
    server.admin(f"alter role {role} createdb")
    return env


def test_each_revision_is_reported_with_its_locks_and_rewrites(
    behind: dict[str, str], database: str, server: Server, shop: Project, run: Run
) -> None:
    before = look.query(database, "select relname, relfilenode from pg_class order by oid")
    ended = run("rehearse --fresh --json", env=behind, cwd=shop.path).expect(0)
    rehearsed = ended.json()["rehearsal"]
    assert [each["revision"] for each in rehearsed["revisions"]] == [
        "0002",
        "0003",
        "0004",
        "0005",
        "0006",
    ]
    assert [each["exact"] for each in rehearsed["revisions"]] == [True, True, False, True, True]
    assert all(each["seconds"] > 0 for each in rehearsed["revisions"])
    assert tables(rehearsed) == [
        {"item": touched("AccessExclusiveLock", "reads and writes", rewritten=True)},
        {"item": touched("ShareLock", "writes")},
        {
            "item": touched("ShareUpdateExclusiveLock", "nothing"),
            "plain": touched("AccessExclusiveLock", "reads and writes"),
        },
        {"item": touched("AccessExclusiveLock", "reads and writes", rows=7)},
        {},
    ]
    assert rehearsed["backup"] == "a fresh copy"
    assert rehearsed["before"] == ["0001"]
    assert (
        "rehearsal: revision 0002 (step 0002): item: AccessExclusiveLock, rewritten; reads and "
        "writes wait" in ended.stderr
    )
    # The live database is as it was, and the copy is gone.
    assert look.query(database, "select relname, relfilenode from pg_class order by oid") == before
    assert look.revisions(database) == ["0001"]
    assert scratches(server) == []


def test_the_newest_backup_is_restored_for_it(
    behind: dict[str, str], database: str, shop: Project, run: Run, tmp_path: Path
) -> None:
    env = {**behind, "BOOTSTRAPD_BACKUP_DIR": str(tmp_path / "backups")}
    run("migrate 0002", env=env, cwd=shop.path).expect(0)
    run("migrate 0003", env=env, cwd=shop.path).expect(0)
    ended = run("rehearse 0004", env=env, cwd=shop.path).expect(0)
    (_, manifest) = sorted((tmp_path / "backups").glob("*.json"))
    facts = json.loads(manifest.read_text())
    first, second, *rest = ended.stdout.splitlines()
    assert first.startswith(f"copy      {facts['file']} of {facts['taken_at']}, restored in ")
    assert second == "current   0002"
    assert rest[0].startswith("revision  0003 (step 0003): ")
    assert rest[1] == "          item: ShareLock; writes wait"
    assert rest[2].startswith("revision  0004 (step 0004): ")
    assert rest[2].endswith(" s, partly outside a transaction")
    assert f"{facts['file']} is of 0002, and {look.identity(database)} is at 0003 by now" in (
        ended.stderr
    )

    # Its first byte too many makes it another file than the one that was written.
    backup = tmp_path / "backups" / facts["file"]
    content = backup.read_bytes()
    backup.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    ended = run("rehearse --json", env=env, cwd=shop.path).expect(4)
    assert error_of(ended)["message"].startswith(
        f"the backup {backup} is not what was written: its SHA-256 is "
    )


def test_a_revision_that_fails_is_told_and_the_live_database_left_alone(
    behind: dict[str, str], database: str, server: Server, shop: Project, run: Run
) -> None:
    shop.revision("0007", upgrade=FAILS)
    ended = run("rehearse --fresh --json", env=behind, cwd=shop.path).expect(4)
    error = error_of(ended)
    assert error["message"] == (
        'revision 0007 (step 0007) failed and was rolled back: column "nowhere" of relation "item" '
        f"does not exist; the copy of {look.identity(database)} is at 0006, with 5 revisions "
        "applied in this run; mend it, then run: bootstrapd rehearse"
    )
    assert [each["revision"] for each in error["rehearsal"]["revisions"]][-1] == "0006"
    assert look.revisions(database) == ["0001"]
    assert run("status --json", env=behind, cwd=shop.path).json()["attempts"][0]["revision"] == (
        "0001"
    )
    assert scratches(server) == []


def test_what_breaks_a_limit_is_refused(
    behind: dict[str, str], database: str, shop: Project, run: Run
) -> None:
    limits = "--max-lock 'share update exclusive' --max-seconds 0 --refuse-rewrites"
    ended = run(f"rehearse 0002 --fresh --json {limits}", env=behind, cwd=shop.path).expect(4)
    error = error_of(ended)
    took = error["rehearsal"]["revisions"][0]["seconds"]
    broken = [
        f"revision 0002 (step 0002) takes {took:.2f} s, over 0 s",
        "revision 0002 (step 0002) takes AccessExclusiveLock on item, over "
        "ShareUpdateExclusiveLock",
        "revision 0002 (step 0002) rewrites item",
    ]
    assert error["broken"] == broken
    assert error["message"] == (
        f"the rehearsal for {look.identity(database)} breaks the limits that are set: "
        f"{'; '.join(broken)}; write these revisions in another way, or raise the limits"
    )
    limits = "--max-lock AccessExclusiveLock --max-seconds 600"
    run(f"rehearse 0002 --fresh {limits}", env=behind, cwd=shop.path).expect(0)


def test_sqlite_tells_times_and_which_tables_were_rebuilt(
    sqlite_url: str, project: MakeProject, run: Run
) -> None:
    base = """
    op.create_table("item", sa.Column("id", sa.Integer, primary_key=True), sa.Column("a", sa.Text))
    op.create_table("other", sa.Column("id", sa.Integer))
    """
    rebuilds = """
    with op.batch_alter_table("item", recreate="always") as batch:
        batch.alter_column("a", nullable=False)
    """
    adds = 'op.add_column("other", sa.Column("b", sa.Text))'
    shop = project(revisions=[base, rebuilds, adds], models=False)
    env = {"DATABASE_URL": sqlite_url}
    run("migrate 0001", env=env, cwd=shop.path).expect(0)
    ended = run("rehearse --fresh --json", env=env, cwd=shop.path).expect(0)
    assert tables(ended.json()["rehearsal"]) == [
        {"item": touched(None, "nothing", rewritten=True)},
        {},
    ]
    assert look.revisions(sqlite_url) == ["0001"]


def test_without_a_backup_it_says_how_to_get_one(
    sqlite_url: str, project: MakeProject, run: Run, tmp_path: Path
) -> None:
    shop = project(revisions=["pass"], models=False)
    env = {"DATABASE_URL": sqlite_url}
    run("migrate", env=env, cwd=shop.path).expect(0)
    place = look.identity(sqlite_url)
    ended = run("rehearse --json", env=env, cwd=shop.path).expect(2)
    assert error_of(ended)["message"] == (
        "no backup is named: bootstrapd rehearse --backup FILE (or the folder of backups); or copy "
        f"{place} as it is now: bootstrapd rehearse --fresh"
    )
    ended = run(f"rehearse --json --backup {tmp_path}", env=env, cwd=shop.path).expect(2)
    assert error_of(ended)["message"] == (
        f"there is no backup of {place} in {tmp_path}; take one with the next migration, or copy "
        "the database as it is now: bootstrapd rehearse --fresh"
    )
    gone = tmp_path / "gone.sqlite"
    ended = run(f"rehearse --json --backup {gone}", env=env, cwd=shop.path).expect(2)
    assert error_of(ended)["message"] == f"there is no backup '{gone}'"
