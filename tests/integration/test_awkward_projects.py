"""Other people's projects, each awkward in its own way, as they are: `tests/data/projects`.

Each is planned, brought up, validated, taken back and brought up again. Its second revision writes
down what it saw of the limits and of the lock.
"""

import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.support import look
from tests.support.cli import ROOT, Result, Running

Run = Callable[..., Result]
Start = Callable[..., Running]

PROJECTS = ROOT / "tests" / "data" / "projects"
NAMES = sorted(path.name for path in PROJECTS.iterdir())
# On SQLite too, where what is awkward touches connections or files; two know PostgreSQL only.
ON_SQLITE = (
    "async_engine",
    "filters",
    "given_autocommit",
    "given_connection",
    "makes_tables",
    "own_version_table",
    "settings_module",
    "x_arguments",
)
# These cannot go all of the way, and have tests of their own below.
SPECIAL = {"empty_metadata", "upgrades_itself"}
CASES = [
    *(("postgres18", name) for name in NAMES if name not in SPECIAL),
    *(("sqlite", name) for name in ON_SQLITE),
]
VERSION_TABLES = {"own_version_table": "shop_revision", "own_version_schema": "meta.revision"}
HEADS = {"branches": ["a2", "b2"], "filters": ["0003"], "one_transaction": ["0003"]}
ENV = {"SHOP_IMPORT_S": "0.1"}


class Shop:
    """A copy of a project, and commands in it on one database."""

    def __init__(self, run: Run, name: str, folder: Path, url: str) -> None:
        self.path = folder / name
        self.name = name
        self.url = url
        self.env = {"DATABASE_URL": url, **ENV}
        self._run = run
        shutil.copytree(PROJECTS / name, self.path)

    def run(self, command: str, env: Mapping[str, str] | None = None) -> Result:
        return self._run(command, env={**self.env, **(env or {})}, cwd=self.path)

    def error(self, command: str, exit_code: int) -> str:
        message: str = self.run(f"{command} --json").expect(exit_code).json()["error"]["message"]
        return message

    def versions(self) -> list[str]:
        table = VERSION_TABLES.get(self.name, "alembic_version")
        return [
            row for (row,) in look.query(self.url, f"select version_num from {table} order by 1")
        ]

    def assert_under_lock_and_limits(self) -> None:
        """Its second revision has run under the migration lock and with the timeouts."""
        if self.url.startswith("postgres"):
            ((timeout, locks),) = look.query(self.url, "select lock_timeout, locks from witness")
            assert timeout == "4s"
            assert locks >= 1

    def declare(self, line: str) -> None:
        """Add a line to the app's table, which comes first in the file."""
        path = self.path / "bootstrapd.toml"
        path.write_text(path.read_text().replace("[apps.shop]\n", f"[apps.shop]\n{line}\n", 1))


@pytest.fixture
def shop(run: Run, tmp_path: Path, either_url: str) -> Callable[[str], Shop]:
    """`shop("url_parts")`: a copy of this project, with an empty database of either kind."""
    return lambda name: Shop(run, name, tmp_path / "projects", either_url)


MakeShop = Callable[[str], Shop]


@pytest.mark.parametrize(("either_url", "name"), CASES, indirect=["either_url"])
def test_it_is_planned_brought_up_validated_and_taken_back(shop: MakeShop, name: str) -> None:
    made = shop(name)
    heads = HEADS.get(name, ["0002"])
    # Importing it makes tables, which a plan must not; its plan has a test of its own.
    if name != "makes_tables":
        planned = made.run("plan").expect(0).stdout.lower()
        assert "create table item" in planned
        assert "create table witness" in planned
        assert look.tables(made.url) == set()

    ended = made.run("run --json").expect(0)

    assert ended.json()["changed"] is True
    assert "ready: " in ended.stderr
    assert made.versions() == heads
    made.assert_under_lock_and_limits()
    found = made.run("status --json").expect(0).json()
    assert (found["state"], found["current"], found["pending"]) == ("current", heads, [])
    attempts = [(each["direction"], each["result"]) for each in found["attempts"]]
    assert attempts == [("upgrade", "done")] * len(attempts)
    assert len(attempts) >= 2
    assert made.run("run --json").expect(0).json()["changed"] is False
    made.run("validate --json").expect(0)

    made.run("rollback base").expect(0)

    assert made.versions() == []
    if name != "makes_tables":
        assert not {"item", "witness"} & look.tables(made.url)
    made.run("run").expect(0)
    assert made.versions() == heads


def test_a_plan_of_an_app_that_makes_tables_when_it_is_imported_makes_none(
    shop: MakeShop,
) -> None:
    made = shop("makes_tables")
    if made.url.startswith("sqlite"):
        # There all of it happens on a copy.
        assert "item" in made.run("plan").expect(0).stdout
    else:
        assert made.error("plan", 4) == (
            "env.py, or what it imports, changes the database when it is loaded, which a plan must "
            "not: cannot execute CREATE TABLE in a read-only transaction; the migration itself can "
            "be run: bootstrapd migrate"
        )
    assert look.tables(made.url) == set()


def test_tables_that_an_import_has_made_are_told_where_a_revision_trips_over_them(
    shop: MakeShop,
) -> None:
    made = shop("makes_tables")
    revision = made.path / "migrations" / "versions" / "0001_item.py"
    revision.write_text(revision.read_text().replace("if not exists ", ""))
    message = made.error("run", 4)
    assert message.startswith("revision 0001 failed and was rolled back: ")
    assert (
        "already exists; before its first revision env.py, or what it imports, ran: "
        "CREATE TABLE item ( id " in message
    )


def test_an_app_that_upgrades_itself_when_it_is_imported_is_recorded(shop: MakeShop) -> None:
    made = shop("upgrades_itself")
    if made.url.startswith("postgres"):
        assert "which a plan must not: " in made.error("plan", 4)
        assert look.tables(made.url) == set()
    ended = made.run("run --json").expect(0)
    assert ended.json()["changed"] is True
    assert (
        "warning migrate: env.py of app shop, or what it imports, applied 2 revisions by itself "
        "when it was loaded: 0001, 0002" in ended.stderr
    )
    assert made.versions() == ["0002"]
    made.assert_under_lock_and_limits()
    found = made.run("status --json").expect(0).json()["attempts"]
    assert [(each["revision"], each["result"]) for each in found] == [
        ("0002", "done"),
        ("0001", "done"),
    ]
    assert made.run("run --json").expect(0).json()["changed"] is False


def test_models_without_a_table_are_no_models(shop: MakeShop) -> None:
    made = shop("empty_metadata")
    place = look.identity(made.url)
    wanted = (
        "what env.py of app shop names as target_metadata holds no table, and "
        f"{place} has 2: nothing can be compared with it. The modules of the models are not "
        "imported along with it; name one that imports them all, as in metadata = "
        '"shop.models:Base.metadata" in bootstrapd.toml, or do without the comparison: '
        "BOOTSTRAPD_VALIDATE=none"
    )
    assert made.error("run", 5) == wanted
    assert made.error("validate", 5) == wanted
    made.run("run", env={"BOOTSTRAPD_VALIDATE": "none"}).expect(0)
    made.declare('metadata = "shop.models:Base.metadata"')
    made.run("run").expect(0)
    made.run("validate").expect(0)


def test_a_command_that_returns_within_a_running_loop_is_not_believed(shop: MakeShop) -> None:
    made = shop("async_engine")
    made.declare(f'migrate = ["{sys.executable}", "-m", "shop.manage"]')
    message = made.error("run", 4)
    assert (
        f"shop.manage ended without an error, but {look.identity(made.url)} is at base and not at "
        "0002: nothing has changed there; " in message
    )
    assert look.tables(made.url) == set()


def test_a_command_that_fails_over_two_heads_is_shown(shop: MakeShop) -> None:
    made = shop("branches")
    ini = made.path / "alembic.ini"
    ini.write_text(ini.read_text() + f"sqlalchemy.url = {made.url.replace('%', '%%')}\n")
    made.declare(f'migrate = ["{sys.executable}", "-m", "alembic", "upgrade", "head"]')
    message = made.error("run", 4)
    assert "-m alembic upgrade head ended with exit code " in message
    assert "Multiple head revisions are present for given argument 'head'" in message
    toml = made.path / "bootstrapd.toml"
    toml.write_text(toml.read_text().replace('"head"', '"heads"'))
    if made.url.startswith("sqlite"):
        made.run("run").expect(0)
        assert made.versions() == ["a2", "b2"]


def test_a_long_import_is_told_and_a_signal_ends_it(
    start: Start, shop: MakeShop, either_url: str
) -> None:
    made = shop("slow_import")
    env = {**made.env, "SHOP_IMPORT_S": "600", "BOOTSTRAPD_GRACE_S": "0.2"}
    running = start("run", env=env, cwd=made.path)
    running.wait_for("loading app shop (env.py and what it imports) has taken 5 s so far")
    running.signal(signal.SIGTERM)
    assert running.wait().exit_code == 128 + signal.SIGTERM
    assert look.tables(either_url) == set()


def test_an_env_py_that_misses_its_connection_is_told_how_to_get_it(shop: MakeShop) -> None:
    made = shop("given_engine")
    toml = made.path / "bootstrapd.toml"
    toml.write_text(toml.read_text().replace('connection = "engine"\n', ""))
    assert made.error("run", 2) == (
        "env.py of app shop takes what it works on from config.attributes['connection']; nothing "
        'was migrated. Say what it wants there: connection = "connection", "engine" or '
        '"autocommit" in bootstrapd.toml'
    )
    made.declare('connection = "engine"')
    made.run("run").expect(0)
