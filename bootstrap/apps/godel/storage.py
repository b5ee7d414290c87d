"""godel's storage: one interface to its four tables, on SQLite or PostgreSQL."""

from collections.abc import Mapping
from typing import Any, TypedDict

from bootstrap import engine, settings, target
from bootstrap.apps.godel import models, repositories
from bootstrap.client import Client, Tables
from bootstrap.errors import SettingsError
from bootstrap.repository import Repository

DEFAULT_PATH = "./godel.db"
MEMORY = ":memory:"


class StorageConfig(TypedDict, total=False):
    """What `create_storage` is given: `type` sqlite or postgres, `url` for the latter, `path`."""

    type: str
    url: str
    path: str


class Storage(Tables):
    """The tables by name, over one client."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.agents = repositories.Agents(client)
        self.teams = repositories.Teams(client)
        self.workflows = repositories.Workflows(client)
        self.events = repositories.Events(client)

    def create(self, table: str, values: Mapping[str, Any]) -> models.Resource:
        """Insert a row into `table` and give it back, its id made.

        Raises ValueError for an unknown table or column.
        """
        tables: dict[str, Repository[Any]] = {
            "agents": self.agents,
            "teams": self.teams,
            "workflows": self.workflows,
            "events": self.events,
        }
        if table not in tables:
            raise ValueError(f"no table {table!r}; there are {', '.join(tables)}")
        row: models.Resource = tables[table].create(values)
        return row


def open_storage() -> Storage:
    """The storage on the database of the settings. Raises SettingsError."""
    return Storage(connect(settings.load({"BOOTSTRAPD_APP": "godel"}).target))


def create_storage(config: StorageConfig) -> Storage:
    """The storage that `config` asks for: SQLite at `path`, or PostgreSQL at `url`.

    Any other type is SQLite at ./godel.db. The tables are the migrations' part, except in memory
    (path ":memory:"), where they are made at once. Raises SettingsError for a `url` that is missing
    or no PostgreSQL URL.
    """
    if config.get("type") == "postgres":
        return Storage(connect(_postgres(config.get("url"))))
    path = config.get("path") if config.get("type") == "sqlite" else None
    storage = Storage(connect(target.sqlite(path or DEFAULT_PATH)))
    if path == MEMORY:
        models.Base.metadata.create_all(storage.client.engine)
    return storage


def connect(where: target.Target, options: engine.Options | None = None) -> Client:
    """godel's client; it connects when it is first used."""
    return Client(where, options or engine.Options(application_name="godel"))


def _postgres(url: str | None) -> target.Target:
    if not url:
        raise SettingsError("storage postgres needs a url: postgresql://user@host/name")
    try:
        where = target.parse(url)
    except target.InvalidURLError as error:
        raise SettingsError(f"storage postgres: url: {error}") from None
    if not where.is_postgres:
        raise SettingsError(f"storage postgres: url: wanted postgresql://, found {where.dialect}")
    return where
