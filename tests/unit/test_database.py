"""What both kinds of database share."""

import getpass
import os
from pathlib import Path

import pytest

from bootstrap import app, database, ledger


@pytest.mark.parametrize("error", [KeyError("getpwuid(): uid not found: 1"), OSError("no name")])
def test_a_user_without_a_name_goes_by_number(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def getuser() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", getuser)
    assert ledger.actor() == f"user {os.geteuid()}"


@pytest.mark.parametrize(
    ("declared", "parts"),
    [("alembic_version", (None, "alembic_version")), ("history.v", ("history", "v"))],
)
def test_a_version_table_may_name_its_schema(declared: str, parts: tuple[str | None, str]) -> None:
    shop = app.App("shop", Path("alembic.ini"), version_table=declared)
    assert database.version_table(shop) == parts
