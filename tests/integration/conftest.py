"""Fixtures of the integration tests alone."""

from pathlib import Path

import pytest


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite file that is not there yet."""
    return f"sqlite:///{tmp_path / 'shop.db'}"


@pytest.fixture(params=["sqlite", "postgres18"])
def either_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database of each kind, on one version of PostgreSQL."""
    name = "sqlite_url" if request.param == "sqlite" else "database18"
    url: str = request.getfixturevalue(name)
    return url
