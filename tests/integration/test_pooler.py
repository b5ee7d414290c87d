"""Migrations where the app reaches its database through a pooler."""

from collections.abc import Callable

from tests.support import look
from tests.support.cli import Result
from tests.support.pgbouncer import PgBouncer
from tests.support.projects import Project

Run = Callable[..., Result]
MakeProject = Callable[..., Project]
MakeBouncer = Callable[..., PgBouncer]


def test_transaction_mode_is_refused_before_anything_is_done(
    bouncer: MakeBouncer, database: str, project: MakeProject, run: Run
) -> None:
    pooled = bouncer(database, mode="transaction").url
    shop = project()
    for verb in ("run", "migrate", "rollback base"):
        ended = run(f"{verb} --json", env={"DATABASE_URL": pooled}, cwd=shop.path).expect(2)
        assert ended.json()["error"]["message"] == (
            f"{look.identity(pooled)} goes through a pooler in transaction mode, where a migration "
            "lock is lost after each statement; set BOOTSTRAPD_DIRECT_URL to the server itself"
        )
    assert look.tables(database) == set()
    assert look.query(database, "select 1 from pg_namespace where nspname = 'bootstrapd'") == []


def test_the_direct_url_leads_past_it_and_the_app_gets_its_own(
    bouncer: MakeBouncer, database: str, project: MakeProject, run: Run
) -> None:
    pooled = bouncer(database, mode="transaction").url
    shop = project()
    env = {"DATABASE_URL": pooled, "BOOTSTRAPD_DIRECT_URL": database}
    ended = run(["run", "--", "env"], env=env, cwd=shop.path).expect(0)
    assert f"{look.identity(database)} is ready at 0001 (1 applied)" in ended.stderr
    assert f"DATABASE_URL={pooled}\n" in ended.stdout
    assert "BOOTSTRAPD_DIRECT_URL" not in ended.stdout
    assert look.revisions(database) == ["0001"]


def test_a_start_with_nothing_to_do_needs_no_other_road(
    bouncer: MakeBouncer, database: str, project: MakeProject, run: Run
) -> None:
    shop = project()
    run("run", env={"DATABASE_URL": database}, cwd=shop.path).expect(0)
    pooled = bouncer(database, mode="transaction").url
    for _ in range(3):
        ended = run("run --json", env={"DATABASE_URL": pooled}, cwd=shop.path).expect(0)
        assert ended.json()["changed"] is False
    run("wait --revision head", env={"DATABASE_URL": pooled}, cwd=shop.path).expect(0)
    run("status", env={"DATABASE_URL": pooled}, cwd=shop.path).expect(0)


def test_session_mode_holds_a_lock(
    bouncer: MakeBouncer, database: str, project: MakeProject, run: Run
) -> None:
    pooled = bouncer(database, mode="session").url
    shop = project(revisions=2)
    ended = run("run --json", env={"DATABASE_URL": pooled}, cwd=shop.path).expect(0)
    assert ended.json()["changed"] is True
    run("rollback base", env={"DATABASE_URL": pooled}, cwd=shop.path).expect(0)
    assert look.tables(database) == {"alembic_version"}


def test_the_direct_url_must_lead_to_the_same_kind_of_database(
    database18: str, project: MakeProject, run: Run
) -> None:
    env = {"DATABASE_URL": database18, "BOOTSTRAPD_DIRECT_URL": "sqlite:///x.db"}
    ended = run("run --json", env=env, cwd=project().path).expect(2)
    assert ended.json()["error"]["problems"] == [
        "BOOTSTRAPD_DIRECT_URL: wanted a postgresql URL, found sqlite"
    ]
