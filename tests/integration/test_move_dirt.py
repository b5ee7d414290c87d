"""Dirty files: each planted fault is found with its place, and nothing else is.

`DIRTY_FILES=500` for more of them.
"""

import json
import os
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click.testing
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bootstrap import cli as program
from bootstrap.app import SHIPPED
from bootstrap.move import problems
from tests.support import cli, dirt, look
from tests.support.postgres import Server

DIRTY_FILES = int(os.environ.get("DIRTY_FILES", "40"))
ROWS = 12

# With a damaged file there is nothing to be said about what else is in it.
_TOGETHER: list[problems.Class] = [kind for kind in dirt.KINDS if kind != "damaged"]
# Enough to choose six places.
_DRAWN = 30

Found = Mapping[str, Any]


class Bench:
    """For each app a clean file and an empty target, made when first asked for."""

    def __init__(self, server: Server, folder: Path, command: cli.Command) -> None:
        self.server = server
        self.folder = folder
        self.command = command
        self.made: dict[str, tuple[Path, str, dirt.Rules]] = {}
        self.number = 0

    def of(self, app: str) -> tuple[Path, str, dirt.Rules]:
        """The clean file, the URL of the target, and what that takes."""
        if app not in self.made:
            path, url = self.folder / f"{app}.db", self.server.create_database()
            on_sqlite = {"DATABASE_URL": f"sqlite:///{path}"}
            self.command.run(f"run --app {app}", env=on_sqlite).expect(0)
            self.command.run(f"seed --demo --rows {ROWS} --app {app}", env=on_sqlite).expect(0)
            self.command.run(f"migrate --app {app}", env={"DATABASE_URL": url}).expect(0)
            with closing(sqlite3.connect(path, isolation_level=None)) as file:
                file.execute("pragma journal_mode = delete")
            self.made[app] = path, url, dirt.rules(url)
        return self.made[app]

    def copy(self, app: str) -> Path:
        """A clean file of one's own."""
        self.number += 1
        return Path(shutil.copy(self.of(app)[0], self.folder / f"{app}-{self.number}.db"))

    def scan(self, app: str, path: Path) -> list[Found]:
        """Every problem that the move finds; the target is as empty afterwards as before."""
        rejects = self.folder / "rejects.ndjson"
        url = self.of(app)[1]
        before = counts(url)
        result = click.testing.CliRunner().invoke(
            program.cli,
            [
                *("move", "--app", app, "--from", f"sqlite:///{path}", "--dry-run", "--json", "-q"),
                *("--rejects", str(rejects), "--state-dir", str(self.folder / "state")),
            ],
            env={"DATABASE_URL": url},
        )
        found = [json.loads(line) for line in rejects.read_text().splitlines()]
        assert result.exit_code == (5 if found else 0), result.output
        assert counts(url) == before
        return found


def counts(url: str) -> list[tuple[Any, ...]]:
    """How many rows were ever written to each table."""
    query = "select relname, n_tup_ins, n_tup_upd, n_tup_del from pg_stat_user_tables order by 1"
    look.query(url, "select pg_stat_force_next_flush()")
    return look.query(url, query)


@pytest.fixture(scope="module")
def bench(server18: Server, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Clean files and their targets."""
    command = cli.Command(tmp_path_factory.mktemp("command"))
    return Bench(server18, tmp_path_factory.mktemp("bench"), command)


@pytest.mark.parametrize("app", SHIPPED)
def test_a_clean_file_has_no_faults(bench: Bench, app: str) -> None:
    assert bench.scan(app, bench.copy(app)) == []


@pytest.mark.parametrize("kind", dirt.KINDS)
def test_a_fault_of_each_class_is_found(bench: Bench, kind: problems.Class) -> None:
    turn = dirt.KINDS.index(kind) % len(SHIPPED)
    apps = (*SHIPPED[turn:], *SHIPPED[:turn])
    # None of the shipped apps has an enumeration of its own.
    assert any(check(bench, app, [kind], lambda _: 0) for app in apps) or kind == "enum"


@pytest.mark.timeout(180 + 4 * DIRTY_FILES)
@settings(
    max_examples=DIRTY_FILES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
@given(
    app=st.sampled_from(SHIPPED),
    kinds=st.lists(st.sampled_from(_TOGETHER), min_size=1, max_size=6),
    numbers=st.lists(st.integers(0, 2**64), min_size=_DRAWN, max_size=_DRAWN),
)
def test_all_faults_are_found_with_their_places(
    bench: Bench, app: str, kinds: list[problems.Class], numbers: list[int]
) -> None:
    drawn = iter(numbers)
    check(bench, app, kinds, lambda below: next(drawn) % below)


def check(bench: Bench, app: str, kinds: Sequence[problems.Class], draw: dirt.Draw) -> bool:
    """Plant these, and compare what is found with what was planted; False if there was no place."""
    path = bench.copy(app)
    dirty = dirt.Dirty(path, bench.of(app)[2], draw)
    for kind in kinds:
        dirty.plant(kind)
    found = bench.scan(app, path)
    path.unlink()
    left = list(found)
    for fault in dirty.faults:
        mine = [each for each in left if matches(fault, each)]
        assert mine, f"not found: {fault}; found {found}"
        left = [each for each in left if each not in mine]
    assert left == [], f"nobody has planted {left}; planted {dirty.faults}"
    return bool(dirty.faults)


def matches(fault: dirt.Fault, found: Found) -> bool:
    """Whether this is what was planted there."""
    if found["class"] != fault.kind:
        return False
    if fault.kind == "damaged":
        return True
    rowid = found["key"].get("rowid")
    return (
        found["table"] == fault.table
        and fault.column in ("", found["column"])
        and (not fault.rowids or rowid in fault.rowids)
    )
