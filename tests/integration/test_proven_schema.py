"""The schema beside its revisions: snapshots, validation by them, adopting, changes by hand."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo

from bootstrap import target
from tests.support import look
from tests.support.cli import Result
from tests.support.projects import Project

Run = Callable[..., Result]
MakeProject = Callable[..., Project]

ITEM = """
op.create_table(
    "item",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
)
"""
INDEX = 'op.create_index("item_name", "item", ["name"])'
VIEW = 'op.execute("create view named as select id from item")'
MORE = 'op.create_table("more", sa.Column("id", sa.Integer, primary_key=True))'
UNDO = "undo what was changed by hand; the statements for it: bootstrapd validate --fix-sql"


@pytest.fixture
def shop(project: MakeProject) -> Project:
    return project(revisions=[ITEM, INDEX, VIEW], models=False)


def dialect(url: str) -> str:
    return target.parse(url).dialect


def snapshot(run: Run, shop: Project, url: str) -> Path:
    run(f"snapshot --dialect {dialect(url)}", env={"DATABASE_URL": url}, cwd=shop.path).expect(0)
    return shop.path / "alembic" / "snapshots" / f"{dialect(url)}.txt"


def execute(url: str, script: str) -> None:
    """Run it as psql and sqlite3 do: one statement after the other, each by itself."""
    where = target.parse(url)
    if where.path is not None:
        with closing(sqlite3.connect(where.path)) as file:
            file.executescript(script)
        return
    with psycopg.connect(conninfo.make_conninfo(**where.conninfo()), autocommit=True) as server:
        for statement in script.split(";\n"):
            server.execute(statement.encode())


# -- snapshots ------------------------------------------------------------------------------------


def test_a_snapshot_is_a_file_that_is_read_in_a_diff(
    run: Run, shop: Project, database_url: str
) -> None:
    file = snapshot(run, shop, database_url)
    text = file.read_text()
    assert text.startswith(
        "# What an empty database becomes by the revisions up to these heads. Made by bootstrapd.\n"
        f"format: 1\ndialect: {dialect(database_url)}\n"
    )
    assert "heads: 0003\n" in text
    assert "\ntable item\n" in text
    assert "  index item_name\n" in text
    assert look.tables(database_url) == set()

    env = {"DATABASE_URL": database_url}
    again = run("snapshot --json", env=env, cwd=shop.path).expect(0).json()
    assert (again["changed"], again["paths"]) == (False, [])
    assert file.read_text() == text


def test_a_snapshot_that_is_not_up_to_date_is_found_by_check(
    run: Run, shop: Project, tmp_path: Path
) -> None:
    env = {"DATABASE_URL": f"sqlite:///{tmp_path}/any.db"}
    missing = run("snapshot --check --json", env=env, cwd=shop.path).expect(5).json()
    file = shop.path / "alembic" / "snapshots" / "sqlite.txt"
    make = "run: bootstrapd snapshot --app shop, and commit what it writes"
    assert missing["error"]["message"] == f"there is no snapshot {file}; {make}"

    snapshot(run, shop, env["DATABASE_URL"])
    run("snapshot --check", env=env, cwd=shop.path).expect(0)
    before = file.read_text()

    shop.revision("0004", upgrade=MORE)
    behind = run("snapshot --check --json", env=env, cwd=shop.path).expect(5).json()
    assert behind["error"]["message"] == (
        f"{file} is of 0003, and the revisions' heads are 0004; {make}"
    )
    (shop.versions / "0004_step.py").unlink()
    (shop.versions / "0002_step.py").write_text(
        (shop.versions / "0002_step.py").read_text().replace('["name"]', '["id"]')
    )
    edited = run("snapshot --check --json", env=env, cwd=shop.path).expect(5).json()
    assert edited["error"]["message"] == (
        f"1 difference between the revisions of app shop and {file}:\n"
        "  index item_name on item: wanted CREATE INDEX item_name ON item(id), found "
        "CREATE INDEX item_name ON item(name)\n"
        f"was an applied revision edited? if this is as it should be, {make}"
    )
    assert file.read_text() == before


def test_revisions_that_need_more_than_each_other_have_no_snapshot(
    run: Run, project: MakeProject, database18: str
) -> None:
    shop = project(revisions=['op.execute("alter table made_elsewhere add x int")'], models=False)
    env = {"DATABASE_URL": database18}
    error = run("snapshot --json", env=env, cwd=shop.path).expect(4).json()["error"]
    assert error["revision"] == "0001"
    assert error["message"].startswith(
        "revision 0001 (step 0001) cannot be replayed on the scratch"
    )
    assert error["message"].endswith(
        'relation "made_elsewhere" does not exist; on an empty database the revisions must need '
        "nothing but each other, and what only one dialect has stands under if dialect.name == ..."
    )
    assert not (shop.path / "alembic" / "snapshots").exists()


def test_a_server_that_goes_away_is_no_fault_of_the_revision(
    run: Run, project: MakeProject, database18: str
) -> None:
    gone = 'op.execute("select pg_terminate_backend(pg_backend_pid())")'
    shop = project(revisions=[gone], models=False)
    error = run("snapshot --json", env={"DATABASE_URL": database18}, cwd=shop.path).expect(3)
    message = error.json()["error"]["message"]
    assert message.startswith("the scratch database bootstrapd_scratch_")
    assert message.endswith(
        " failed while revisions were tried on it: terminating connection due to administrator "
        "command; nothing half done is left, run again when the cause is mended"
    )


def test_a_damaged_snapshot_is_an_error_that_names_it(
    run: Run, shop: Project, tmp_path: Path
) -> None:
    env = {"DATABASE_URL": f"sqlite:///{tmp_path}/shop.db"}
    file = snapshot(run, shop, env["DATABASE_URL"])
    file.write_text(file.read_text().replace("table item", "tabel item"))
    error = run("run --json", env=env, cwd=shop.path).expect(5).json()["error"]
    assert error["message"].startswith(f"the snapshot {file} cannot be used: ")
    assert error["message"].endswith("; make it anew: bootstrapd snapshot")


# -- validation -----------------------------------------------------------------------------------


def test_what_no_model_shows_is_found_and_mended_by_the_statements_given(
    run: Run, shop: Project, database_url: str
) -> None:
    env = {"DATABASE_URL": database_url}
    snapshot(run, shop, database_url)
    run("run", env=env, cwd=shop.path).expect(0)
    sound = run("validate --json", env=env, cwd=shop.path).expect(0).json()["validated"]
    assert sound == {"means": "snapshot", "tables": 1, "findings": []}

    look.query(database_url, "drop view named")
    look.query(database_url, "drop index item_name")
    stopped = run("run --json -- echo app-is-up", env=env, cwd=shop.path).expect(5)
    error = stopped.json()["error"]
    assert [(each["kind"], each["object"]) for each in error["findings"]] == [
        ("index", "index item_name on item"),
        ("view", "view named"),
    ]
    place = look.identity(database_url)
    message = error["message"]
    assert message.startswith(f"2 differences between the snapshot of app shop and {place}:\n")
    assert message.endswith(f"\n{UNDO}")
    assert "app-is-up" not in stopped.stdout

    mended = run("validate --fix-sql -q", env=env, cwd=shop.path).expect(5).stdout
    execute(database_url, mended)
    run("validate", env=env, cwd=shop.path).expect(0)
    assert "app-is-up" in run("run -- echo app-is-up", env=env, cwd=shop.path).expect(0).stdout


def test_what_somebody_has_added_is_reported_and_its_removal_is_commented_out(
    run: Run, shop: Project, database_url: str
) -> None:
    env = {"DATABASE_URL": database_url}
    snapshot(run, shop, database_url)
    run("run", env=env, cwd=shop.path).expect(0)
    look.query(database_url, "create table by_hand (id integer)")

    tolerated = run("run", env=env, cwd=shop.path).expect(0)
    place = look.identity(database_url)
    assert (
        f"1 difference between the snapshot of app shop and {place} (tolerated: "
        "BOOTSTRAPD_VALIDATE=auto):\n  table by_hand: wanted nothing, found "
    ) in tolerated.stderr
    fix = run("validate --fix-sql -q", env=env, cwd=shop.path).expect(5).stdout
    drop = next(line for line in fix.splitlines() if "drop table" in line.lower())
    assert drop.startswith("-- ")

    def rule(severity: str) -> dict[str, str]:
        return {**env, "BOOTSTRAPD_FINDINGS": f"extra-table={severity}"}

    run("run", env=rule("stop"), cwd=shop.path).expect(5)
    ignored = run("run", env=rule("ignore"), cwd=shop.path).expect(0)
    assert "by_hand" not in ignored.stderr
    run("validate", env=rule("ignore"), cwd=shop.path).expect(0)
    run("run", env={**env, "BOOTSTRAPD_VALIDATE": "any"}, cwd=shop.path).expect(5)


def test_flaws_that_no_schema_shows_are_reported_with_what_mends_them(
    run: Run, shop: Project, database18: str
) -> None:
    env = {"DATABASE_URL": database18}
    snapshot(run, shop, database18)
    run("run", env=env, cwd=shop.path).expect(0)
    look.query(database18, "insert into item values (7, 'from elsewhere')")
    look.query(database18, "create table more (id int)")

    tolerated = run("run", env=env, cwd=shop.path).expect(0)
    assert "sequence item_id_seq: wanted " in tolerated.stderr
    error = run("validate --json", env=env, cwd=shop.path).expect(5).json()["error"]
    found = {each["kind"]: each for each in error["findings"]}
    assert set(found) == {"extra-table", "sequence-behind"}
    for statement in found["sequence-behind"]["fix"]:
        look.query(database18, statement)
    look.query(database18, "insert into item (name) values ('the next one')")
    assert look.query(database18, "select max(id) from item") == [(8,)]


def test_a_rule_for_findings_that_cannot_be_is_a_settings_problem(
    run: Run, shop: Project, tmp_path: Path
) -> None:
    env = {"DATABASE_URL": f"sqlite:///{tmp_path}/shop.db", "BOOTSTRAPD_FINDINGS": "colour=stop"}
    shop.declare(findings={})
    config = shop.path / "bootstrapd.toml"
    config.write_text(config.read_text().replace("findings = {}", 'findings = {index = "maybe"}'))
    error = run("run --json", env=env, cwd=shop.path).expect(2).json()["error"]
    assert error["problems"] == [
        "bootstrapd.toml: [apps.shop]: findings: index: wanted stop, report, ignore, found 'maybe'",
        "BOOTSTRAPD_FINDINGS: wanted class=stop|report|ignore, separated by commas, found "
        "'colour=stop'",
    ]


def test_without_a_snapshot_revisions_are_replayed_where_that_is_allowed(
    run: Run, shop: Project, database_url: str
) -> None:
    env = {"DATABASE_URL": database_url, "BOOTSTRAPD_REPLAY": "true"}
    run("run", env=env, cwd=shop.path).expect(0)
    look.query(database_url, "drop view named")
    error = run("run --json", env=env, cwd=shop.path).expect(5).json()["error"]
    place = look.identity(database_url)
    assert error["message"].startswith(
        f"1 difference between the revisions of app shop and {place}:\n  view named: wanted "
    )
    plain = run("run", env={"DATABASE_URL": database_url}, cwd=shop.path).expect(0)
    assert "declares no models, so only its revisions were checked" in plain.stderr


def test_a_snapshot_of_other_heads_is_not_used(run: Run, shop: Project, tmp_path: Path) -> None:
    env = {"DATABASE_URL": f"sqlite:///{tmp_path}/shop.db"}
    file = snapshot(run, shop, env["DATABASE_URL"])
    shop.revision("0004", upgrade=MORE)
    result = run("run", env=env, cwd=shop.path).expect(0)
    assert (
        f"{file} is of 0003, and this release's heads are 0004: it is not used; run: "
        "bootstrapd snapshot"
    ) in result.stderr


# -- adopting -------------------------------------------------------------------------------------


def made_without_history(shop: Project, url: str, *statements: str) -> None:
    """What the revisions make, made by somebody else, with these statements besides."""
    shop.set_url(target.parse(url).url("psycopg" if dialect(url) == "postgresql" else ""))
    alembic = [sys.executable, "-m", "alembic", "upgrade", "head"]
    subprocess.run(alembic, cwd=shop.path, check=True, capture_output=True)
    look.query(url, "drop table alembic_version")
    for statement in statements:
        look.query(url, statement)


def test_a_database_without_a_history_is_adopted_after_a_proof(
    run: Run, shop: Project, database_url: str
) -> None:
    env = {"DATABASE_URL": database_url}
    made_without_history(shop, database_url, "drop view named")
    place = look.identity(database_url)
    refused = run("run --json", env=env, cwd=shop.path).expect(5).json()["error"]
    assert refused["message"] == (
        f"{place} holds 1 table but no record of revisions; nothing was changed. If it is another "
        "application's database, point the settings elsewhere; if it is this one's, record where "
        "it is: bootstrapd adopt REV"
    )

    wrong = run("adopt 0003 --json", env=env, cwd=shop.path).expect(5).json()["error"]
    assert wrong["message"].startswith(
        f"{place} is not what revision 0003 of app shop makes, so nothing was stamped; 1 difference"
        ":\n  view named: wanted "
    )
    assert wrong["message"].endswith(
        "\nadopt the revision that it equals, or mend it first (the statements are in --json)"
    )
    assert look.tables(database_url) == {"item"}

    right = run("adopt 0002 --json", env=env, cwd=shop.path).expect(0).json()
    assert (right["changed"], right["current"], right["pending"]) == (True, ["0002"], ["0003"])
    assert look.revisions(database_url) == ["0002"]
    again = run("adopt 0002 --json", env=env, cwd=shop.path).expect(0).json()
    assert again["changed"] is False
    run("run", env=env, cwd=shop.path).expect(0)
    assert look.revisions(database_url) == ["0003"]


def test_adopting_the_heads_needs_no_scratch_database_where_there_is_a_snapshot(
    run: Run, shop: Project, database_url: str
) -> None:
    env = {"DATABASE_URL": database_url}
    snapshot(run, shop, database_url)
    made_without_history(shop, database_url)
    done = run("adopt heads", env=env, cwd=shop.path).expect(0)
    assert "replaying" not in done.stderr
    assert look.revisions(database_url) == ["0003"]


def test_there_must_be_something_to_adopt(run: Run, shop: Project, database_url: str) -> None:
    env = {"DATABASE_URL": database_url}
    place = look.identity(database_url)
    empty = run("adopt 0003 --json", env=env, cwd=shop.path).expect(2).json()["error"]
    assert empty["message"] == (
        f"{place} is empty, there is nothing to adopt; run: bootstrapd migrate"
    )
    run("migrate 0002", env=env, cwd=shop.path).expect(0)
    known = run("adopt 0003 --json", env=env, cwd=shop.path).expect(2).json()["error"]
    assert known["message"] == (
        f"{place} has a history already and is at 0002; only a database without one can be adopted"
    )
    unknown = run("adopt 0009 --json", env=env, cwd=shop.path).expect(2).json()["error"]
    assert unknown["message"] == "wanted a revision of this release, found none: '0009'"
    assert look.revisions(database_url) == ["0002"]


# -- changes by hand before a migration -----------------------------------------------------------


def test_revisions_do_not_run_on_a_schema_that_was_changed_by_hand(
    run: Run, shop: Project, database_url: str
) -> None:
    env = {"DATABASE_URL": database_url}
    run("run", env=env, cwd=shop.path).expect(0)
    look.query(database_url, "drop view named")
    shop.revision("0004", upgrade=MORE)

    for verb in ("run", "migrate"):
        error = run(f"{verb} --json", env=env, cwd=shop.path).expect(5).json()["error"]
        assert error["message"].startswith(
            f"{look.identity(database_url)} was changed by hand since it was last brought up, and "
            "revisions are pending; nothing was migrated; 1 difference:\n  view named: wanted "
        )
        assert error["message"].endswith(
            "\nundo what was changed (the statements for it are in --json), or let the revisions "
            "run on it as it is: "
            f"BOOTSTRAPD_ACCEPT_DRIFT={error['accept_drift']}"
        )
        assert look.revisions(database_url) == ["0003"]

    look.query(database_url, "drop index item_name")
    other = f"migrate --accept-drift {error['accept_drift']} --json"
    more = run(other, env=env, cwd=shop.path).expect(5).json()["error"]
    assert [each["object"] for each in more["findings"]] == [
        "index item_name on item",
        "view named",
    ]
    accepted = run(f"migrate --accept-drift {more['accept_drift']}", env=env, cwd=shop.path)
    assert "was changed by hand since it was last brought up (accepted); 2 differences" in (
        accepted.expect(0).stderr
    )
    assert look.revisions(database_url) == ["0004"]
    # What was accepted is how it was left now.
    shop.revision("0005", upgrade="pass")
    run("migrate", env=env, cwd=shop.path).expect(0)


def test_what_was_only_added_does_not_hold_up_a_migration(
    run: Run, shop: Project, database_url: str
) -> None:
    env = {"DATABASE_URL": database_url}
    run("run", env=env, cwd=shop.path).expect(0)
    look.query(database_url, "create index by_hand on item (name, id)")
    shop.revision("0004", upgrade=MORE)
    result = run("run", env=env, cwd=shop.path).expect(0)
    assert (
        f"{look.identity(database_url)} was changed by hand since it was last brought up "
        "(tolerated); 1 difference:\n  index by_hand on item: wanted nothing, found "
    ) in result.stderr
    assert look.revisions(database_url) == ["0004"]
