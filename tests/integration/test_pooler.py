"""Migrations where the app reaches its database through a pooler."""

import re
from collections.abc import Callable

import pytest

from tests.support import look, processes
from tests.support.cli import Result
from tests.support.pgbouncer import PgBouncer
from tests.support.postgres import Server
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


@pytest.mark.parametrize("known", ["neither", "one", "both"])
def test_the_direct_url_must_lead_to_the_same_database(
    server18: Server, database18: str, project: MakeProject, run: Run, known: str
) -> None:
    shop = project()
    other = server18.create_database()
    if known in ("one", "both"):
        run("run", env={"DATABASE_URL": other}, cwd=shop.path).expect(0)
    if known == "both":
        run("run", env={"DATABASE_URL": database18}, cwd=shop.path).expect(0)
    env = {"DATABASE_URL": database18, "BOOTSTRAPD_DIRECT_URL": other}
    ended = run(["run", "--json", "--", "echo", "handed over"], env=env, cwd=shop.path).expect(2)
    message = ended.json()["error"]["message"]
    assert re.fullmatch(
        "BOOTSTRAPD_DIRECT_URL leads to another database than DATABASE_URL: "
        rf"{look.identity(other)} is [0-9a-f-]{{36}}, {look.identity(database18)} is "
        rf"{'[0-9a-f-]{36}' if known == 'both' else 'without one'}; let both lead to the same",
        message,
    ), message
    server18.drop_database(other)


def test_the_direct_url_must_lead_to_the_same_kind_of_database(
    database18: str, project: MakeProject, run: Run
) -> None:
    env = {"DATABASE_URL": database18, "BOOTSTRAPD_DIRECT_URL": "sqlite:///x.db"}
    ended = run("run --json", env=env, cwd=project().path).expect(2)
    assert ended.json()["error"]["problems"] == [
        "BOOTSTRAPD_DIRECT_URL: wanted a postgresql URL, found sqlite"
    ]


def test_storage_auto_that_falls_back_leaves_the_direct_road_too(
    project: MakeProject, run: Run
) -> None:
    shop = project()
    url = f"postgresql://shop@127.0.0.1:{processes.free_port()}/shop"
    env = {
        "DATABASE_URL": url,
        "BOOTSTRAPD_DIRECT_URL": url,
        "BOOTSTRAPD_STORAGE": "auto",
        "BOOTSTRAPD_AUTO_TIMEOUT_S": "0.2",
    }
    ended = run("run --json", env=env, cwd=shop.path).expect(0)
    assert ended.json()["status"]["target"] == str(shop.path / "shop.db")
