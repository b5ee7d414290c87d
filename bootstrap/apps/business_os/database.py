"""business_os's database: its client, sized and bounded as the document asks, and its tables."""

from collections.abc import Mapping
from dataclasses import dataclass

from bootstrap import engine, settings
from bootstrap.apps.business_os import repositories
from bootstrap.client import Client, Tables
from bootstrap.errors import SettingsError

# Feature 2.1, Non-Functional Requirements and Database Client.
FEWEST, MOST = 5, 20
IDLE_TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 5.0
QUERY_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Settings:
    """business_os's own settings."""

    pool_size: int = settings.own("DATABASE_POOL_SIZE", 10, "connections at the most, from 5 to 20")

    def options(self) -> engine.Options:
        """How the engine is made. Raises SettingsError for a pool that is too small or large."""
        if not FEWEST <= self.pool_size <= MOST:
            raise SettingsError(
                f"settings: 1 problem\n  DATABASE_POOL_SIZE: wanted {FEWEST} to {MOST}, "
                f"found {self.pool_size}"
            )
        return engine.Options(
            application_name="business_os",
            pool_size=self.pool_size,
            max_overflow=0,
            pool_min=FEWEST,
            pool_timeout_s=CONNECT_TIMEOUT_S,
            idle_timeout_s=IDLE_TIMEOUT_S,
            connect_timeout_s=CONNECT_TIMEOUT_S,
            query_timeout_s=QUERY_TIMEOUT_S,
        )


class Database(Tables):
    """The four tables over one client."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.users = repositories.Users(client)
        self.businesses = repositories.Businesses(client)
        self.conversations = repositories.Conversations(client)
        self.messages = repositories.Messages(client)


def open_database(environ: Mapping[str, str] | None = None) -> Database:
    """The database of the settings; it connects when it is first used. Raises SettingsError."""
    loaded = settings.load({"BOOTSTRAPD_APP": "business_os"}, environ)
    options = settings.load_own(Settings, environ).options()
    return Database(Client(loaded.target, options))
