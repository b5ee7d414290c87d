"""Which SQL files a revision loads, as its source names them."""

from pathlib import Path

import pytest

from bootstrap import sqlfiles


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """A script directory with SQL files here and there."""
    for name in (
        "versions/0001_step.py",
        "versions/0001_step.sql",
        "versions/other.sql",
        "versions/up/0002.sql",
        "sql/0001.sql",
        "sql/deep/0001.sql",
        "sql/0001_step.up.sql",
        "sql/0001_step.down.sql",
        ".hidden/0001.sql",
        "sql/one/two/three/far.sql",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('Path(__file__).parent / "other.sql"', ["versions/other.sql"]),
        ("open('up/0002.sql')", ["versions/up/0002.sql"]),
        ('Path(__file__).parents[1] / "sql" / "0001.sql"', ["sql/0001.sql", "sql/deep/0001.sql"]),
        ('HERE / "../sql/0001.sql"', ["sql/0001.sql"]),
        ('load("deep/0001.sql")', ["sql/deep/0001.sql"]),
        (
            'Path(__file__).with_suffix(".sql")',
            ["sql/0001_step.down.sql", "sql/0001_step.up.sql", "versions/0001_step.sql"],
        ),
        (
            'f"{Path(__file__).stem}.up.sql"',
            ["sql/0001_step.down.sql", "sql/0001_step.up.sql", "versions/0001_step.sql"],
        ),
        ('"nowhere.sql"', []),
        ('"far.sql"', []),
        ("# see other.sql", []),
        ("", []),
    ],
)
def test_what_is_found(scripts: Path, source: str, found: list[str]) -> None:
    paths = sqlfiles.Finder().find(str(scripts / "versions" / "0001_step.py"), source)
    assert [str(Path(path).relative_to(scripts)) for path in paths] == found
