"""A million demo rows in business_os's largest table, against plain COPY of the same rows."""

import resource
import subprocess
import time
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from bootstrap.apps.business_os.models import Base
from tests.benchmarks import measure
from tests.support import cli

pytestmark = pytest.mark.benchmark

ROWS = 1_000_000
BLOCK = 1 << 20


@pytest.mark.timeout(1800)
def test_a_million_rows_against_plain_copy(
    command: cli.Command, database18: str, tmp_path: Path
) -> None:
    env = measure.environment(command, DATABASE_URL=database18, BOOTSTRAPD_APP="business_os")

    def run(*words: str) -> float:
        began_s = time.perf_counter()
        subprocess.run(
            measure.bootstrapd(*words), cwd=command.cwd, env=env, check=True, capture_output=True
        )
        return time.perf_counter() - began_s

    run("run", "-q")
    run("seed", "-q", "--demo", "--rows", str(ROWS // 20))
    few_mb = _most_mb()
    _empty(database18)
    ours_s = run("seed", "-q", "--demo", "--rows", str(ROWS))
    many_mb = _most_mb()
    rows, peer_s = _copy_again(database18, tmp_path)
    measure.say(
        f"demo rows: {rows / ours_s:,.0f} a second, COPY alone {rows / peer_s:,.0f}: "
        f"{peer_s / ours_s:.2f} of it (wanted: at least 0.33), for {rows:,} rows; "
        f"{many_mb:.0f} MB, for a twentieth of the rows {few_mb:.0f} MB"
    )
    assert rows > ROWS


def _most_mb() -> float:
    """The most that any child process has needed so far."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def _tables() -> list[str]:
    """In an order in which their rows can be inserted."""
    return [table.name for table in Base.metadata.sorted_tables]


def _empty(url: str) -> None:
    with psycopg.connect(url) as connection:
        names = sql.SQL(", ").join(map(sql.Identifier, _tables()))
        connection.execute(sql.SQL("TRUNCATE {}").format(names))


def _copy_again(url: str, folder: Path) -> tuple[int, float]:
    """Copy all rows out, and in again: how many they are, and how long the latter took."""
    rows = 0
    with psycopg.connect(url) as connection:
        for name in _tables():
            out = sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(name))
            with (folder / name).open("wb") as file, connection.cursor() as cursor:
                with cursor.copy(out) as copy:
                    for block in copy:
                        file.write(block)
                rows += cursor.rowcount
    _empty(url)
    began_s = time.perf_counter()
    with psycopg.connect(url) as connection:
        for name in _tables():
            into = sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(name))
            with (folder / name).open("rb") as file, connection.cursor().copy(into) as copy:
                while block := file.read(BLOCK):
                    copy.write(block)
    return rows, time.perf_counter() - began_s
