"""Which database agentpane uses: DB_MODE and what goes with it."""

import os
from pathlib import Path

import pytest

from bootstrap import settings
from bootstrap.apps.agentpane.storage import create_storage
from bootstrap.errors import SettingsError

URL = "postgresql://agentpane:agentpane_dev@localhost:5432/agentpane"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(**environ: str) -> settings.Loaded:
    return settings.load({"BOOTSTRAPD_APP": "agentpane"}, environ)


def refused(**environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(**environ)
    first, *problems = caught.value.message.split("\n  ")
    assert first == "settings: 1 problem"
    return problems


@pytest.mark.parametrize(
    ("environ", "identity"),
    [
        ({}, "{cwd}/data/agentpane.db"),
        ({"DB_MODE": ""}, "{cwd}/data/agentpane.db"),
        ({"DB_MODE": "sqlite"}, "{cwd}/data/agentpane.db"),
        ({"DB_MODE": "sqlite", "DB_PATH": "/srv/mine.db"}, "/srv/mine.db"),
        ({"DB_PATH": "mine.db"}, "{cwd}/mine.db"),
        ({"SQLITE_DATA_DIR": "/srv/data"}, "/srv/data/agentpane.db"),
        ({"SQLITE_DATA_DIR": "./data/", "DB_PATH": "data/agentpane.db"}, "{cwd}/data/agentpane.db"),
        ({"DB_MODE": "postgres", "DATABASE_URL": URL}, "localhost:5432/agentpane"),
        ({"DATABASE_URL": URL}, "localhost:5432/agentpane"),
        ({"DB_MODE": "postgres", "POSTGRES_HOST": "db"}, "db:5432/agentpane"),
        (
            {"DB_MODE": "postgres", "DATABASE_URL": URL, "DB_PATH": "x.db"},
            "localhost:5432/agentpane",
        ),
    ],
)
def test_the_choice(environ: dict[str, str], identity: str, tmp_path: Path) -> None:
    assert load(**environ).target.identity == identity.format(cwd=tmp_path)


@pytest.mark.parametrize("mode", ["mysql", "auto", "postgresql", "POSTGRES", "sqlite3"])
def test_what_agentpane_itself_would_not_take(mode: str) -> None:
    assert refused(DB_MODE=mode, DATABASE_URL=URL) == [
        f"DB_MODE: wanted sqlite or postgres, found {mode!r}"
    ]


def test_postgres_without_an_address() -> None:
    assert refused(DB_MODE="postgres") == [
        "DB_MODE: app agentpane has no PostgreSQL by default; set DATABASE_URL or POSTGRES_HOST"
    ]
    assert refused(POSTGRES_PASSWORD="x") == [
        "POSTGRES_HOST: app agentpane has no PostgreSQL by default; set DATABASE_URL or "
        "POSTGRES_HOST"
    ]


def test_names_that_disagree() -> None:
    assert refused(DB_MODE="sqlite", DATABASE_URL=URL) == [
        "DATABASE_URL and DB_MODE disagree: 'postgresql' and 'sqlite'; set one"
    ]
    assert refused(DB_PATH="/srv/mine.db", SQLITE_DATA_DIR="/srv") == [
        "DB_PATH and SQLITE_DATA_DIR disagree: '/srv/mine.db' and '/srv/agentpane.db'; set one"
    ]


def test_a_folder_that_is_named_must_be_there_as_a_file_that_is_named() -> None:
    assert load(SQLITE_DATA_DIR="/srv/data").path_given
    assert not load().path_given


@pytest.mark.parametrize(
    ("environ", "identity"),
    [
        ({}, "{cwd}/data/agentpane.db"),
        ({"NODE_ENV": "production"}, "{cwd}/data/agentpane.db"),
        ({"NODE_ENV": "test"}, ":memory:"),
        ({"NODE_ENV": "test", "DB_PATH": "mine.db"}, ":memory:"),
        ({"VITE_E2E_SEED": "true"}, ":memory:"),
        ({"VITE_E2E_SEED": "false"}, "{cwd}/data/agentpane.db"),
        ({"DB_PATH": ":memory:"}, ":memory:"),
        (
            {"NODE_ENV": "test", "DB_MODE": "postgres", "DATABASE_URL": URL},
            "localhost:5432/agentpane",
        ),
    ],
)
def test_the_storage_that_the_settings_ask_for(
    environ: dict[str, str], identity: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with create_storage() as storage:
        assert storage.client.target.identity == identity.format(cwd=tmp_path)
        if identity == ":memory:":
            assert storage.tasks.count() == 0
    assert list(tmp_path.iterdir()) == []
