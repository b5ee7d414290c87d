"""Where a database is in its history: branches, ways back, and what does not fit together."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import look
from tests.support.cli import Result
from tests.support.projects import Project

Run = Callable[..., Result]
MakeProject = Callable[..., Project]


def error_of(ended: Result) -> str:
    message: str = ended.json()["error"]["message"]
    return message


def table(name: str) -> str:
    return f'op.create_table("{name}", sa.Column("id", sa.Integer, primary_key=True))'


def label(path: Path, name: str) -> None:
    source = path.read_text()
    assert source.count("branch_labels = None") == 1
    path.write_text(source.replace("branch_labels = None", f"branch_labels = {name!r}"))


# -- several heads --------------------------------------------------------------------------------


def test_two_heads_from_one_parent_are_refused_by_name(
    sqlite_url: str, project: MakeProject, run: Run
) -> None:
    shop = project(revisions=2)
    shop.revision("0002b", upgrade=table("other"), down="0001")
    env = {"DATABASE_URL": sqlite_url}
    for verb in ("run", "migrate", "plan"):
        ended = run(f"{verb} --json", env=env, cwd=shop.path).expect(4)
        assert error_of(ended) == (
            "the revisions of shop have 2 heads that fork from one parent: 0002, 0002b; join them: "
            "alembic merge -m join 0002 0002b"
        )
        assert ended.json()["error"]["heads"] == ["0002", "0002b"]
    assert look.tables(sqlite_url) == set()
    shop.revision("0003", down=("0002", "0002b"))
    run("run", env=env, cwd=shop.path).expect(0)
    assert look.revisions(sqlite_url) == ["0003"]


def test_labelled_branches_and_independent_ones_go_up_together(
    either_url: str, project: MakeProject, run: Run
) -> None:
    shop = project(revisions=[table("one")], models=False)
    label(shop.revision("web1", upgrade=table("web"), down="0001"), "web")
    label(shop.revision("jobs1", upgrade=table("jobs"), down="0001"), "jobs")
    shop.revision("apart", upgrade=table("apart"), down=None)
    env = {"DATABASE_URL": either_url}
    ended = run("run --json", env=env, cwd=shop.path).expect(0)
    heads = ["apart", "jobs1", "web1"]
    assert ended.json()["status"]["revisions"] == heads
    assert look.revisions(either_url) == heads
    assert look.tables(either_url) == {"alembic_version", "one", "web", "jobs", "apart"}
    assert run("run --json", env=env, cwd=shop.path).expect(0).json()["changed"] is False
    shop.revision("web2", upgrade=table("web_two"), down="web1")
    shop.revision("apart2", upgrade=table("apart_two"), down="apart")
    planned = run("plan --json", env=env, cwd=shop.path).expect(0).json()
    assert sorted(planned["pending"]) == ["apart2", "web2"]
    run("run", env=env, cwd=shop.path).expect(0)
    assert look.revisions(either_url) == ["apart2", "jobs1", "web2"]


# -- ways back ------------------------------------------------------------------------------------


def test_up_down_up_comes_to_the_same_schema(
    either_url: str, project: MakeProject, run: Run
) -> None:
    shop = project(revisions=3)
    env = {"DATABASE_URL": either_url}
    run("run", env=env, cwd=shop.path).expect(0)
    there = look.tables(either_url)
    ended = run("rollback 0001 --json", env=env, cwd=shop.path).expect(0)
    assert ended.json()["steps"] == ["0003", "0002"]
    assert "revision 0002 (step 0002) taken back in " in ended.stderr
    assert "(2 of 2)" in ended.stderr
    assert look.revisions(either_url) == ["0001"]
    assert look.tables(either_url) == {"alembic_version", "item_0001"}
    ended = run("rollback base --json", env=env, cwd=shop.path).expect(0)
    assert (ended.json()["steps"], ended.json()["current"]) == (["0001"], [])
    assert look.tables(either_url) == {"alembic_version"}
    assert run("rollback base --json", env=env, cwd=shop.path).expect(0).json()["changed"] is False
    run("run", env=env, cwd=shop.path).expect(0)
    assert look.tables(either_url) == there
    run("validate", env=env, cwd=shop.path).expect(0)


def test_a_way_back_that_fails_leaves_its_revision_whole(
    either_url: str, project: MakeProject, run: Run
) -> None:
    shop = project(revisions=[table("one")], models=False)
    shop.revision(
        "0002",
        upgrade=table("two"),
        downgrade='op.drop_table("two")\nop.execute("drop table nowhere")',
    )
    env = {"DATABASE_URL": either_url}
    run("run", env=env, cwd=shop.path).expect(0)
    ended = run("rollback base --json", env=env, cwd=shop.path).expect(4)
    assert error_of(ended).startswith("revision 0002 (step 0002) failed and was rolled back: ")
    assert error_of(ended).endswith(
        f"; {look.identity(either_url)} is at 0002, with 0 revisions taken back in this run; mend "
        "it, then run: bootstrapd rollback base"
    )
    assert look.tables(either_url) == {"alembic_version", "one", "two"}


def test_back_to_where_it_never_was(sqlite_url: str, project: MakeProject, run: Run) -> None:
    shop = project(revisions=3)
    env = {"DATABASE_URL": sqlite_url}
    run("migrate 0001", env=env, cwd=shop.path).expect(0)
    ended = run("rollback 0002 --json", env=env, cwd=shop.path).expect(2)
    assert error_of(ended) == (
        f"{look.identity(sqlite_url)} is at 0001 and cannot go back to 0002, which is not below it"
    )
    assert look.revisions(sqlite_url) == ["0001"]


# -- what does not fit ----------------------------------------------------------------------------


def test_a_database_ahead_of_the_release(sqlite_url: str, project: MakeProject, run: Run) -> None:
    shop = project(revisions=3)
    env = {"DATABASE_URL": sqlite_url}
    run("run", env=env, cwd=shop.path).expect(0)
    (shop.versions / "0003_step.py").unlink()
    look.forget(sqlite_url)
    for verb in ("run", "migrate", "rollback base", "plan", "validate", "wait --revision head"):
        ended = run(f"{verb} --json", env=env, cwd=shop.path).expect(8)
        assert error_of(ended) == (
            f"{look.identity(sqlite_url)} is at 0003, which this release of shop does not have "
            "(its newest is 0002); start the release that brought it, or restore the backup from "
            "before"
        )
    status = run("status --json", env=env, cwd=shop.path).expect(0).json()
    assert (status["state"], status["unknown"]) == ("ahead", ["0003"])


def test_tables_without_history_are_refused(
    either_url: str, project: MakeProject, run: Run
) -> None:
    shop = project()
    look.query(either_url, "create table customer (id integer)")
    look.query(either_url, "insert into customer values (1)")
    env = {"DATABASE_URL": either_url}
    for verb in ("run", "migrate", "plan"):
        ended = run(f"{verb} --json", env=env, cwd=shop.path).expect(5)
        assert error_of(ended) == (
            f"{look.identity(either_url)} holds 1 table but no record of revisions; nothing was "
            "changed. If it is another application's database, point the settings elsewhere; if "
            "it is this one's, record where it is: bootstrapd adopt REV"
        )
    assert look.tables(either_url) == {"customer"}
    assert look.query(either_url, "select * from customer") == [(1,)]
    assert run("status --json", env=env, cwd=shop.path).json()["state"] == "unmanaged"


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("def upgrade(:", "SyntaxError: invalid syntax (0002_step.py, line 22)"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    ],
)
def test_a_broken_revision_file_stops_before_anything_is_done(
    sqlite_url: str, project: MakeProject, run: Run, broken: str, said: str
) -> None:
    shop = project(revisions=1)
    path = shop.revision("0002")
    path.write_text(f"{path.read_text()}{broken}\n")
    ended = run("run --json", env={"DATABASE_URL": sqlite_url}, cwd=shop.path).expect(4)
    assert error_of(ended) == (
        f"the migration of {look.identity(sqlite_url)} could not start: {said}; nothing was changed"
    )
    assert look.tables(sqlite_url) == set()


def test_a_revision_whose_parent_is_missing(
    sqlite_url: str, project: MakeProject, run: Run
) -> None:
    shop = project(revisions=1)
    shop.revision("0003", down="0002")
    ended = run("run --json", env={"DATABASE_URL": sqlite_url}, cwd=shop.path).expect(4)
    assert error_of(ended) == (
        f"the revisions of app shop ({shop.alembic}) cannot be read: there is no '0002'; mend the "
        f"revision files or `alembic` in bootstrapd.toml"
    )


def test_revision_ids_that_are_computed_are_asked_of_alembic(
    sqlite_url: str, project: MakeProject, run: Run
) -> None:
    shop = project(revisions=2)
    path = shop.versions / "0002_step.py"
    source = path.read_text()
    assert source.count("revision = '0002'\n") == 1
    path.write_text(source.replace("revision = '0002'\n", "revision = f'{2:04}'\n"))
    env = {"DATABASE_URL": sqlite_url}
    ended = run("run -v", env=env, cwd=shop.path).expect(0)
    assert f"revisions are read by Alembic: {path}: revision is computed" in ended.stderr
    assert look.revisions(sqlite_url) == ["0002"]
    assert run("run --json", env=env, cwd=shop.path).expect(0).json()["changed"] is False
