"""An applied revision that was edited since: told where it is harmless, refused where it is not."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support import look
from tests.support.cli import Result
from tests.support.projects import Project

Run = Callable[..., Result]
MakeProject = Callable[..., Project]

FIFTY, SIXTY = "sa.String(50)", "sa.String(60)"
KILLS = "import os, time\nos.kill(os.getppid(), 9); time.sleep(60)"


def edit(path: Path, old: str, new: str) -> None:
    source = path.read_text()
    assert source.count(old) == 1, source
    path.write_text(source.replace(old, new))


def error_of(ended: Result) -> str:
    message: str = ended.json()["error"]["message"]
    return message


def warnings(ended: Result) -> list[str]:
    """What the stage migrate warned of."""
    lines = (line.partition(" warning migrate: ") for line in ended.stderr.splitlines())
    return [said for _, warned, said in lines if warned]


def minute(moment: str) -> str:
    return f"{moment[:10]} {moment[11:16]} UTC"


def test_a_real_edit_stops_before_anything_runs_until_it_is_allowed_by_name(
    either_url: str, project: MakeProject, run: Run
) -> None:
    shop = project(revisions=2, declare={"release": "1.4.0"})
    env = {"DATABASE_URL": either_url}
    run("run", env=env, cwd=shop.path).expect(0)
    edit(shop.versions / "0002_step.py", FIFTY, SIXTY)
    shop.revision("0003", upgrade='op.create_table("later", sa.Column("id", sa.Integer))')
    newer = {**env, "BOOTSTRAPD_RELEASE": "1.5.0"}
    (found,) = run("status --json", env=newer, cwd=shop.path).expect(0).json()["edited"]
    file = "alembic/versions/0002_step.py"
    assert found == {
        "revision": "0002",
        "files": file,
        "origin": "applied",
        "at": found["at"],
        "release": "1.4.0",
    }
    shown = run("status", env=newer, cwd=shop.path).expect(0).stdout
    assert f"edited    0002 in {file}, applied {found['at']} by release 1.4.0\n" in shown
    before = look.tables(either_url)
    for verb in ("run", "migrate", "plan", "validate"):
        ended = run(f"{verb} --json", env=newer, cwd=shop.path).expect(5)
        assert error_of(ended) == (
            "1 applied revision was edited since:\n"
            f"  revision 0002 (step 0002) in {file} was applied on {minute(found['at'])} by "
            "release 1.4.0\n"
            "nothing was changed. Undo the edit and write a new revision for what is to be "
            f"different; or, if {look.identity(either_url)} is already as the new text wants it: "
            "BOOTSTRAPD_ALLOW_EDITED=0002"
        )
        assert ended.json()["error"]["runbook"] == "drift"
        assert ended.json()["error"]["edited"] == [found]
    assert (look.tables(either_url), look.revisions(either_url)) == (before, ["0002"])

    allowed = {**newer, "BOOTSTRAPD_ALLOW_EDITED": "0001, 0002"}
    ended = run("run", env=allowed, cwd=shop.path).expect(0)
    assert warnings(ended) == [
        f"revision 0002 (step 0002) in {file} was applied on {minute(found['at'])} by release "
        "1.4.0; it was edited since, and its new form is remembered, as BOOTSTRAPD_ALLOW_EDITED "
        "says"
    ]
    assert look.revisions(either_url) == ["0003"]
    edit(shop.versions / "0001_step.py", FIFTY, SIXTY)
    edit(shop.versions / "0002_step.py", SIXTY, "sa.String(70)")
    ended = run("run --json", env=env, cwd=shop.path).expect(5)
    assert [each["revision"] for each in ended.json()["error"]["edited"]] == ["0001", "0002"]
    assert error_of(ended).startswith("2 applied revisions were edited since:\n  revision 0001 ")
    assert error_of(ended).endswith("BOOTSTRAPD_ALLOW_EDITED=0001,0002")


def test_an_edit_of_comments_is_told_once(either_url: str, project: MakeProject, run: Run) -> None:
    shop = project(revisions=2, declare={"release": "1.4.0"})
    env = {"DATABASE_URL": either_url}
    run("run", env=env, cwd=shop.path).expect(0)
    path = shop.versions / "0002_step.py"
    edit(path, "import sqlalchemy as sa\n", "import sqlalchemy as sa  # licence\n")
    edit(path, "step 0002\n", "The second step.\n")
    edit(path, 'op.drop_table("item_0002")', "raise NotImplementedError")
    (found,) = run("status --json", env=env, cwd=shop.path).expect(0).json()["reworded"]
    said = (
        "revision 0002 (The second step) in alembic/versions/0002_step.py was applied on "
        f"{minute(found['at'])} by release 1.4.0; only comments, layout or the way back have "
        "changed since, which is remembered"
    )
    assert warnings(run("run", env=env, cwd=shop.path).expect(0)) == [said]
    assert warnings(run("run", env=env, cwd=shop.path).expect(0)) == []
    assert run("status --json", env=env, cwd=shop.path).expect(0).json()["reworded"] == []
    path.write_text(path.read_text().replace("\n", "\r\n"))
    path.rename(path.with_name("0002_second.py"))
    assert warnings(run("run", env=env, cwd=shop.path).expect(0)) == []
    edit(shop.versions / "0002_second.py", "def upgrade():\n", "def upgrade():\n\n    # Up.\n")
    (line,) = warnings(run("migrate", env=env, cwd=shop.path).expect(0))
    assert "in alembic/versions/0002_second.py was applied on" in line
    assert warnings(run("migrate", env=env, cwd=shop.path).expect(0)) == []


def test_what_was_applied_without_bootstrapd_is_remembered_when_it_is_first_seen(
    either_url: str, project: MakeProject, run: Run
) -> None:
    shop = project(revisions=2, models=False)
    shop.set_url(either_url.replace("postgresql://", "postgresql+psycopg://"))
    alembic = [sys.executable, "-m", "alembic", "upgrade", "0001"]
    subprocess.run(alembic, cwd=shop.path, check=True, capture_output=True)
    env = {"DATABASE_URL": either_url}
    edit(shop.versions / "0001_step.py", FIFTY, SIXTY)
    run("migrate", env={**env, "BOOTSTRAPD_RELEASE": "2.0"}, cwd=shop.path).expect(0)
    edit(shop.versions / "0001_step.py", SIXTY, FIFTY)
    edit(shop.versions / "0002_step.py", FIFTY, SIXTY)
    ended = run("run --json", env=env, cwd=shop.path).expect(5)
    first, second = error_of(ended).splitlines()[1:3]
    assert first.startswith(
        "  revision 0001 (step 0001) in alembic/versions/0001_step.py was first"
    )
    assert first.partition(" first seen on ")[2].partition(" UTC ")[2] == "by release 2.0"
    assert second.partition(" was applied on ")[2].partition(" UTC ")[2] == "by release 2.0"


def test_a_run_that_is_killed_right_after_a_revision_remembers_it(
    either_url: str, project: MakeProject, run: Run
) -> None:
    shop = project(revisions=2)
    third = shop.revision("0003", upgrade=KILLS)
    env = {"DATABASE_URL": either_url}
    assert run("run", env=env, cwd=shop.path).exit_code == -9
    look.until(lambda: look.revisions(either_url) == ["0002"])
    edit(third, KILLS.splitlines()[1], "pass")
    edit(shop.versions / "0002_step.py", FIFTY, SIXTY)
    ended = run("run --json", env=env, cwd=shop.path).expect(5)
    assert [each["revision"] for each in ended.json()["error"]["edited"]] == ["0002"]
    edit(shop.versions / "0002_step.py", SIXTY, FIFTY)
    ended = run("run", env=env, cwd=shop.path).expect(0)
    assert [line for line in warnings(ended) if "revision" in line] == []
    assert look.revisions(either_url) == ["0003"]
    assert run("run --json", env=env, cwd=shop.path).expect(0).json()["changed"] is False


def test_a_run_that_failed_remembers_what_it_applied(
    either_url: str, project: MakeProject, run: Run
) -> None:
    shop = project(revisions=1)
    second = shop.revision("0002", upgrade='op.execute("no such statement")')
    env = {"DATABASE_URL": either_url}
    run("run", env=env, cwd=shop.path).expect(4)
    edit(shop.versions / "0001_step.py", FIFTY, SIXTY)
    run("run", env=env, cwd=shop.path).expect(5)
    edit(shop.versions / "0001_step.py", SIXTY, FIFTY)
    edit(second, "no such statement", "select 1")
    assert warnings(run("run", env=env, cwd=shop.path).expect(0)) == []
    assert look.revisions(either_url) == ["0002"]


def test_a_start_with_nothing_to_do_compares_nothing(
    sqlite_url: str, project: MakeProject, run: Run
) -> None:
    shop = project(revisions=1)
    env = {"DATABASE_URL": sqlite_url}
    listing = (sys.executable, "-X", "importtime", "-m", "bootstrap")
    comparing = {f"bootstrap.{each}" for each in ("edits", "history", "ledger")}
    first = run("run", env=env, cwd=shop.path, python=listing).expect(0)
    second = run("run", env=env, cwd=shop.path, python=listing).expect(0)
    assert {line.rpartition("| ")[2].strip() for line in first.stderr.splitlines()} >= comparing
    assert not {line.rpartition("| ")[2].strip() for line in second.stderr.splitlines()} & comparing


def test_what_was_taken_back_may_be_edited(sqlite_url: str, project: MakeProject, run: Run) -> None:
    shop = project(revisions=2)
    env = {"DATABASE_URL": sqlite_url}
    run("run", env=env, cwd=shop.path).expect(0)
    run("rollback 0001", env=env, cwd=shop.path).expect(0)
    edit(shop.versions / "0002_step.py", FIFTY, SIXTY)
    assert warnings(run("migrate", env=env, cwd=shop.path).expect(0)) == []
    edit(shop.versions / "0002_step.py", SIXTY, FIFTY)
    run("run", env=env, cwd=shop.path).expect(5)


def test_a_revision_that_was_marked_as_applied_is_remembered_too(
    sqlite_url: str, project: MakeProject, run: Run
) -> None:
    shop = project(revisions=1)
    shop.revision("0002", upgrade='op.execute("create table by_hand (id integer)")')
    env = {"DATABASE_URL": sqlite_url}
    run("migrate 0001", env=env, cwd=shop.path).expect(0)
    run("migrate 0002 --mark-applied", env=env, cwd=shop.path).expect(0)
    edit(shop.versions / "0002_step.py", "by_hand", "by_foot")
    ended = run("run --json", env=env, cwd=shop.path).expect(5)
    assert " was marked as applied on " in error_of(ended)
    assert "by_foot" not in look.tables(sqlite_url)


def test_a_sql_file_beside_a_revision_counts(
    sqlite_url: str, project: MakeProject, run: Run
) -> None:
    reads = (
        "from pathlib import Path\n"
        'op.execute((Path(__file__).parents[1] / "sql" / "0001.sql").read_text())'
    )
    shop = project(revisions=[reads], models=False)
    statements = shop.path / "alembic" / "sql" / "0001.sql"
    statements.parent.mkdir()
    statements.write_text("create table one (id integer) -- the first\n")
    env = {"DATABASE_URL": sqlite_url}
    run("run", env=env, cwd=shop.path).expect(0)
    assert "one" in look.tables(sqlite_url)
    statements.write_text("create table one (\n  id integer\n)\n")
    (line,) = warnings(run("run", env=env, cwd=shop.path).expect(0))
    assert "in alembic/versions/0001_step.py, alembic/sql/0001.sql was applied on " in line
    statements.write_text("create table one (id bigint)\n")
    ended = run("run --json", env=env, cwd=shop.path).expect(5)
    assert "in alembic/versions/0001_step.py, alembic/sql/0001.sql was" in error_of(ended)


def test_revisions_that_only_alembic_can_read_are_remembered(
    sqlite_url: str, project: MakeProject, run: Run
) -> None:
    shop = project(revisions=1)
    path = shop.versions / "0001_step.py"
    edit(path, "revision = '0001'\n", "revision = f'{1:04}'\n")
    env = {"DATABASE_URL": sqlite_url}
    run("run", env=env, cwd=shop.path).expect(0)
    edit(path, "def upgrade():\n", "def upgrade():\n    # Up.\n")
    (line,) = warnings(run("run", env=env, cwd=shop.path).expect(0))
    assert line.startswith("revision 0001 (step 0001) in alembic/versions/0001_step.py was")
    edit(path, FIFTY, SIXTY)
    run("run", env=env, cwd=shop.path).expect(5)


def test_two_apps_in_one_database_are_kept_apart(
    either_url: str, project: MakeProject, run: Run
) -> None:
    shops = [
        project(
            revisions=[f'op.execute("create table {name} (id integer)")'],
            models=False,
            name=name,
            declare={"version_table": f"{name}_version"},
        )
        for name in ("shop", "depot")
    ]
    env = {"DATABASE_URL": either_url}
    for shop in shops:
        edit(
            shop.path / "alembic" / "env.py",
            "context.configure(\n            connection=connection,",
            f'context.configure(\n            version_table="{shop.name}_version",\n'
            "            connection=connection,",
        )
    run("run", env=env, cwd=shops[0].path).expect(0)
    run("run --accept-identity new", env=env, cwd=shops[1].path).expect(0)
    edit(shops[0].versions / "0001_step.py", "table shop", "table store")
    run("run", env=env, cwd=shops[0].path).expect(5)
    ended = run("status --json", env=env, cwd=shops[1].path).expect(0)
    assert (ended.json()["edited"], ended.json()["state"]) == ([], "current")
