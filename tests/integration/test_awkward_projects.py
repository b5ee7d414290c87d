"""Eighteen projects of other people, each awkward in its own way, unchanged: `tests/data/projects`.

Each is planned, brought up, validated, taken back and brought up again. Its second revision writes
down what it saw of the limits and of the lock.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.support import look
from tests.support.cli import ROOT, Result, Running

Run = Callable[..., Result]
Start = Callable[..., Running]

PROJECTS = ROOT / "tests" / "data" / "projects"
NAMES = sorted(path.name for path in PROJECTS.iterdir())
ONLY_POSTGRES = {"url_parts", "own_version_schema"}
# What makes these awkward keeps them from one of the steps; each has a test of its own below.
NO_PLAN = {"makes_tables", "upgrades_itself"}
BY_THEMSELVES = {"upgrades_itself"}
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

    def declare(self, line: str) -> None:
        """Add a line to the app's table, which comes first in the file."""
        path = self.path / "bootstrapd.toml"
        path.write_text(path.read_text().replace("[apps.shop]\n", f"[apps.shop]\n{line}\n", 1))


@pytest.fixture
def shop(run: Run, tmp_path: Path, either_url: str) -> Callable[[str], Shop]:
    def make(name: str) -> Shop:
        if name in ONLY_POSTGRES and either_url.startswith("sqlite"):
            pytest.xfail("this project knows PostgreSQL only")
        return Shop(run, name, tmp_path / "projects", either_url)

    return make


MakeShop = Callable[[str], Shop]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_planned_brought_up_validated_and_taken_back(shop: MakeShop, name: str) -> None:
    made = shop(name)
    heads = HEADS.get(name, ["0002"])
    if name not in NO_PLAN:
        planned = made.run("plan").expect(0).stdout.lower()
        assert "create table item" in planned
        assert "create table witness" in planned
        assert look.tables(made.url) == set()

    ended = made.run("run --json").expect(0)

    assert ended.json()["changed"] is True
    assert "ready: " in ended.stderr
    assert made.versions() == heads
    if not made.url.startswith("sqlite"):
        ((timeout, locks),) = look.query(made.url, "select lock_timeout, locks from witness")
        assert timeout == "4s"
        assert locks >= 1
    found = made.run("status --json").expect(0).json()
    assert (found["state"], found["current"], found["pending"]) == ("current", heads, [])
    if name not in BY_THEMSELVES:
        attempts = [(each["direction"], each["result"]) for each in found["attempts"]]
        assert attempts == [("upgrade", "done")] * len(attempts)
        assert len(attempts) >= 2
    assert made.run("run --json").expect(0).json()["changed"] is False
    if name != "empty_metadata":
        made.run("validate --json").expect(0)
    if name in BY_THEMSELVES:
        return

    made.run("rollback base").expect(0)

    assert made.versions() == []
    if name != "makes_tables":
        assert not {"item", "witness"} & look.tables(made.url)
    made.run("run").expect(0)
    assert made.versions() == heads
