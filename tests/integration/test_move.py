"""`bootstrapd move`: all rows of a SQLite file in PostgreSQL, equal in every value."""

import os
from pathlib import Path

import pytest

from bootstrap import app
from tests.support import cli, moves

# So many rows in the largest tables; 1000000 is what is done before a release.
ROWS = int(os.environ.get("TESTS_MOVE_ROWS", "150"))


@pytest.mark.timeout(180 + ROWS // 100)
@pytest.mark.parametrize("name", app.SHIPPED)
def test_every_app_moves_with_all_its_rows(
    name: str, command: cli.Command, database18: str, tmp_path: Path
) -> None:
    url = moves.filled(name, tmp_path / "app.db", ROWS)
    before = (tmp_path / "app.db").read_bytes()
    moved = command.run(
        f"move --app {name} --from {url} --json",
        env={"DATABASE_URL": database18},
        timeout=60 + ROWS / 1000,
    ).expect(0)
    report = moved.json()
    counts = {table["name"]: table["moved"] for table in report["tables"]}
    assert counts == {**counts, **moves.equal(name, url, database18)}
    assert report["rows"] == sum(counts.values())
    assert (tmp_path / "app.db").read_bytes() == before
    # Nothing is left without its index, key or trigger, and no sequence lags behind.
    command.run(f"validate --app {name}", env={"DATABASE_URL": database18}).expect(0)
