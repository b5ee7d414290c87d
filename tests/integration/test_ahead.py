"""A database that is ahead of the release, or went another way: what is needed, and why."""

import secrets
import shutil
import subprocess
import sys
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


def declare(path: Path, **releases: object) -> None:
    """Let a revision say something of itself."""
    source = path.read_text()
    lines = "".join(f"{name} = {value!r}\n" for name, value in releases.items())
    assert source.count("depends_on = None\n") == 1
    path.write_text(source.replace("depends_on = None\n", f"depends_on = None\n{lines}"))


def error_of(ended: Result) -> str:
    message: str = ended.json()["error"]["message"]
    return message


def warnings(ended: Result) -> list[str]:
    lines = (line.partition(" warning ") for line in ended.stderr.splitlines())
    return [said for _, warned, said in lines if warned]


class Releases:
    """A shop in two releases on one database: 1.5.0 has revision 0003, and older ones do not."""

    def __init__(self, newer: Project, url: str, run: Run, **declared: object) -> None:
        self.url = url
        self._run = run
        self.newer = newer.path
        self.older = newer.path.with_name("older")
        shutil.copytree(self.newer, self.older)
        self.third = newer.revision(
            "0003", upgrade='op.create_table("later", sa.Column("id", sa.Integer))'
        )
        declare(self.third, **declared)
        self.run("run", "1.5.0", self.newer).expect(0)
        self.run("run", "1.5.0", self.newer, BOOTSTRAPD_VALIDATE="none").expect(0)

    def run(self, args: str, release: str, cwd: Path | None = None, **env: str) -> Result:
        env = {"DATABASE_URL": self.url, "BOOTSTRAPD_RELEASE": release, **env}
        return self._run(args, env=env, cwd=cwd or self.older)

    @property
    def when(self) -> str:
        """The minute at which 0003 was applied, as the ledger has it."""
        return look.applied(self.url, "0003")


@pytest.fixture
def releases(project: MakeProject, run: Run, either_url: str) -> Callable[..., Releases]:
    """`releases(compatible_with="1.3.0")`: two releases of a shop, the newer one has run."""

    def make(**declared: object) -> Releases:
        return Releases(project(revisions=2, models=False), either_url, run, **declared)

    return make


def test_a_database_that_is_ahead_names_the_release_that_it_needs(
    releases: Callable[..., Releases],
) -> None:
    shop = releases()
    where, when = look.identity(shop.url), shop.when
    before = look.tables(shop.url)
    for args in (
        "run",
        "migrate",
        "rollback base",
        "plan",
        "validate",
        "seed",
        "wait --revision head",
    ):
        ended = shop.run(f"{args} --json", "1.4.0").expect(8)
        assert error_of(ended) == (
            f"{where} is at 0003, which this release of shop does not have (its newest is 0002), "
            f"applied on {when} by release 1.5.0; start release 1.5.0 or newer, or restore the "
            "backup from before"
        )
        error = ended.json()["error"]
        assert (error["runbook"], error["needs"], error["unknown"], error["lacking"]) == (
            "ahead",
            "1.5.0",
            ["0003"],
            [],
        )
    assert (look.tables(shop.url), look.revisions(shop.url)) == (before, ["0003"])
    status = shop.run("status --json", "1.4.0").expect(0).json()
    assert (status["state"], status["release"], status["needs"]) == ("ahead", "1.4.0", "1.5.0")
    shown = shop.run("status", "1.4.0").expect(0).stdout
    assert "release   1.4.0\nstate     ahead\n" in shown
    assert "needs     release 1.5.0 or newer\n" in shown


def test_a_release_that_is_recent_enough_runs_on_a_database_that_is_ahead(
    releases: Callable[..., Releases],
) -> None:
    shop = releases(compatible_with="1.3.0")
    where, when = look.identity(shop.url), shop.when
    said = (
        "schema is at 0003, ahead of this release (its newest is 0002), applied on "
        f"{when} by release 1.5.0; 1.3.0 can run on it, which 1.3.0 and newer can, so nothing is "
        "migrated"
    )
    before = look.tables(shop.url)
    ended = shop.run("run -- echo started", "1.3.0").expect(0)
    assert ended.stdout == "started\n"
    assert warnings(ended) == [f"pin: {said}"]
    assert f"ready: {where} is ready at 0003 (ahead of this release)\n" in ended.stderr
    ended = shop.run("run --json", "1.3.0", BOOTSTRAPD_MIGRATE="false").expect(0)
    assert (ended.json()["changed"], ended.json()["status"]["ahead"]) == (False, True)
    assert warnings(shop.run("migrate", "1.10").expect(0)) == [
        f"pin: {said.replace('1.3.0 can run', '1.10 can run')}"
    ]
    assert shop.run("plan", "1.3.0").expect(0).stdout == ""
    shop.run("wait --revision head --timeout 0", "1.3.0").expect(0)
    for args in ("rollback 0001", "validate", "seed", "migrate 0002 --mark-applied"):
        assert error_of(shop.run(f"{args} --json", "1.3.0").expect(8)) == (
            f"{where} is at 0003, which this release of shop does not have (its newest is 0002), "
            f"applied on {when} by release 1.5.0; it can run on that but not work on it: use "
            "release 1.5.0 or newer"
        )
    status = shop.run("status --json", "1.3.0").expect(0).json()
    assert (status["state"], status["needs"], status["pending"]) == ("compatible", "1.3.0", [])
    assert (look.tables(shop.url), look.revisions(shop.url)) == (before, ["0003"])
    shop.run("run", "1.5.0", shop.newer).expect(0)


@pytest.mark.parametrize(
    ("release", "because"),
    [
        ("1.2.9", "release 1.3.0 and newer can run on it, this one is 1.2.9"),
        (
            "",
            "release 1.3.0 and newer can run on it, but nobody has named this one: set "
            "BOOTSTRAPD_RELEASE",
        ),
        (
            "blue",
            "release 1.3.0 and newer can run on it, and this one, 'blue', cannot be compared with "
            "that: wanted a version such as '1.4.0'",
        ),
    ],
)
def test_a_release_that_is_not_recent_enough_does_not(
    project: MakeProject, run: Run, sqlite_url: str, release: str, because: str
) -> None:
    shop = Releases(project(revisions=2, models=False), sqlite_url, run, compatible_with="1.3.0")
    ended = shop.run("run --json", release).expect(8)
    assert error_of(ended) == (
        f"{look.identity(sqlite_url)} is at 0003, which this release of shop does not have (its "
        f"newest is 0002), applied on {shop.when} by release 1.5.0; {because}; start release 1.3.0 "
        "or newer, or restore the backup from before"
    )
    assert look.revisions(sqlite_url) == ["0003"]


def test_every_revision_that_is_not_known_must_be_compatible(
    project: MakeProject, run: Run, sqlite_url: str
) -> None:
    newer = project(revisions=2, models=False)
    shop = Releases(newer, sqlite_url, run, compatible_with="1.3.0")
    fourth = newer.revision("0004")
    declare(fourth, compatible_with="1.2")
    shop.run("run", "1.6.0", shop.newer).expect(0)
    assert "; release 1.3.0 and newer can run on it, this one is 1.2; start release 1.3.0 or" in (
        error_of(shop.run("run --json", "1.2").expect(8))
    )
    shop.run("run", "1.3", shop.older).expect(0)
    newer.revision("0005")
    shop.run("run", "1.7.0", shop.newer).expect(0)
    assert error_of(shop.run("run --json", "1.6.0").expect(8)).endswith(
        "by release 1.7.0; start release 1.7.0 or newer, or restore the backup from before"
    )


def test_what_others_have_applied_is_compatible_with_nothing(
    project: MakeProject, run: Run, sqlite_url: str
) -> None:
    shop = Releases(project(revisions=2, models=False), sqlite_url, run, compatible_with="1.3.0")
    look.forget(sqlite_url)
    ended = shop.run("run --json", "1.4.0").expect(8)
    assert error_of(ended) == (
        f"{look.identity(sqlite_url)} is at 0003, which this release of shop does not have (its "
        "newest is 0002); start the release that brought it, or restore the backup from before"
    )


def test_a_role_that_may_only_read_sees_that_it_is_compatible(
    project: MakeProject, run: Run, database18: str, server18: Server
) -> None:
    shop = Releases(project(revisions=2, models=False), database18, run, compatible_with="1.3.0")
    name, reader = look.identity(database18).rpartition("/")[2], f"reader_{secrets.token_hex(4)}"
    server18.admin(f"create role {reader} login password 'only reads'")
    try:
        look.query(database18, f"grant select on alembic_version to {reader}")
        url = server18.url(name, user=reader, password="only reads")
        for args in ("wait --revision head", "run"):
            for release, exit_code in (("1.3.0", 0), ("1.2.0", 8)):
                ended = shop.run(args, release, DATABASE_URL=url, BOOTSTRAPD_MIGRATE="false")
                ended.expect(exit_code)
    finally:
        server18.admin(f"drop owned by {reader}", name=name)
        server18.admin(f"drop role {reader}")


def test_a_database_that_went_another_way(project: MakeProject, run: Run, either_url: str) -> None:
    newer = project(revisions=2, models=False)
    shop = Releases(newer, either_url, run, compatible_with="1.3.0")
    ours = shop.older / "alembic" / "versions" / "other_step.py"
    source = (shop.older / "alembic" / "versions" / "0002_step.py").read_text()
    source = source.replace("'0002'", "'other'").replace("'0001'", "'0002'")
    ours.write_text(source.replace("item_0002", "other"))
    before = look.tables(either_url)
    for args in ("run", "migrate", "plan", "wait --revision head --timeout 0"):
        ended = shop.run(f"{args} --json", "1.4.0").expect(8)
        assert error_of(ended) == (
            f"{look.identity(either_url)} has diverged from this release of shop: it is at 0003, "
            f"which this release does not have, applied on {shop.when} by release 1.5.0, and lacks "
            "other of this release; start release 1.5.0 or newer, or release both lines joined: "
            "alembic merge -m join 0003 other"
        )
        assert ended.json()["error"]["lacking"] == ["other"]
    status = shop.run("status --json", "1.4.0").expect(0).json()
    assert (status["state"], status["unknown"], status["lacking"]) == (
        "diverged",
        ["0003"],
        ["other"],
    )
    assert (look.tables(either_url), look.revisions(either_url)) == (before, ["0003"])


def test_a_database_that_is_behind(sqlite_url: str, project: MakeProject, run: Run) -> None:
    shop = project(revisions=2, models=False)
    env = {"DATABASE_URL": sqlite_url, "BOOTSTRAPD_RELEASE": "1.4.0"}
    run("migrate 0001", env=env, cwd=shop.path).expect(0)
    env["BOOTSTRAPD_WAIT_TIMEOUT_S"] = "0"
    waiting = {**env, "BOOTSTRAPD_MIGRATE": "false"}
    for args, environment in (("wait --revision head", env), ("run", waiting)):
        ended = run(f"{args} --json", env=environment, cwd=shop.path).expect(124)
        assert error_of(ended) == (
            f"{look.identity(sqlite_url)} is at 0001 and did not come to 0002 in 0 s; does anybody "
            "run: bootstrapd migrate?"
        )
    assert run("status --json", env=env, cwd=shop.path).json()["state"] == "behind"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "compatible_with",
            1.3,
            "the revisions of app shop cannot be read: {path}: compatible_with: wanted a release "
            "such as '1.4.0', found 1.3; nothing was changed",
        ),
        (
            "required_stop",
            True,
            "the revisions of app shop cannot be read: {path}: required_stop: wanted a release "
            "such as '1.4.0', found True; nothing was changed",
        ),
        (
            "compatible_with",
            "blue",
            "revision 0002 (alembic/versions/0002_step.py) is compatible_with 'blue', which no "
            "release can be compared with: wanted a version such as '1.4.0'; nothing was changed",
        ),
    ],
)
def test_what_is_no_release_is_refused(
    sqlite_url: str, project: MakeProject, run: Run, name: str, value: Any, said: str
) -> None:
    shop = project(revisions=2, models=False)
    path = shop.versions / "0002_step.py"
    declare(path, **{name: value})
    ended = run("run --json", env={"DATABASE_URL": sqlite_url}, cwd=shop.path).expect(4)
    assert error_of(ended) == said.format(path=path)
    assert look.tables(sqlite_url) == set()


def test_what_alembic_alone_can_read_is_compatible_too(
    sqlite_url: str, project: MakeProject, run: Run
) -> None:
    newer = project(revisions=2, models=False)
    path = newer.versions / "0002_step.py"
    path.write_text(path.read_text().replace("revision = '0002'\n", "revision = f'{2:04}'\n"))
    shop = Releases(newer, sqlite_url, run, compatible_with="1.3.0")
    shop.run("run", "1.3.0").expect(0)
    shop.run("run", "1.2.0").expect(8)


def test_alembic_itself_takes_the_declarations_for_what_they_are(
    sqlite_url: str, project: MakeProject
) -> None:
    shop = project(revisions=1, models=False)
    declare(shop.versions / "0001_step.py", compatible_with="1.3.0", required_stop="1.4.0")
    shop.set_url(sqlite_url)
    alembic = [sys.executable, "-m", "alembic", "upgrade", "head"]
    subprocess.run(alembic, cwd=shop.path, check=True, capture_output=True)
    assert look.revisions(sqlite_url) == ["0001"]
