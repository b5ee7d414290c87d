"""dash's storage: its repositories over one client, sized and patient as its settings say."""

from dataclasses import dataclass

from bootstrap import engine, settings, target
from bootstrap.apps.dash import repositories
from bootstrap.client import Client, Tables


# For 50 agents and more the document advises a pool of 5 to 50.
@dataclass(frozen=True)
class PoolSettings:
    """dash's own settings; `_ms` in a name is milliseconds."""

    least: int = settings.own("POSTGRES_MIN_POOL_SIZE", 2, "connections that are kept when idle")
    kept: int = settings.own("POSTGRES_POOL_SIZE", 10, "connections that are kept for a while")
    most: int = settings.own("POSTGRES_MAX_POOL_SIZE", 20, "connections at the most")
    acquire_timeout_ms: int = settings.own(
        "POSTGRES_ACQUIRE_TIMEOUT", 5000, "how long to wait for a free connection"
    )
    connection_timeout_ms: int = settings.own(
        "POSTGRES_CONNECTION_TIMEOUT", 5000, "how long one connection attempt may hang"
    )
    idle_timeout_ms: int = settings.own(
        "POSTGRES_IDLE_TIMEOUT", 30_000, "how long a connection may be idle; 0 is for ever"
    )
    retry_attempts: int = settings.own(
        "POSTGRES_RETRY_ATTEMPTS", 3, "how often work is tried that fails for a passing reason"
    )
    retry_delay_ms: int = settings.own(
        "POSTGRES_RETRY_DELAY", 1000, "how long to wait between two tries"
    )

    def options(self) -> engine.Options:
        """The engine's options; the pool is never larger than its most."""
        most = max(self.most, 1)
        kept = min(max(self.kept, self.least, 1), most)
        return engine.Options(
            application_name="dash",
            pool_size=kept,
            max_overflow=most - kept,
            pool_timeout_s=self.acquire_timeout_ms / 1000,
            pool_min=self.least,
            idle_timeout_s=self.idle_timeout_ms / 1000,
            connect_timeout_s=self.connection_timeout_ms / 1000,
        )


class Storage(Tables):
    """The tables by name, over one client."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.swarms = repositories.SwarmRepository(client)
        self.agents = repositories.AgentRepository(client)
        self.events = repositories.EventRepository(client)
        self.sessions = repositories.SessionRepository(client)
        self.budgets = repositories.BudgetRepository(client)


def open_storage() -> Storage:
    """The storage on the database of the settings. Raises SettingsError."""
    loaded = settings.load({"BOOTSTRAPD_APP": "dash"})
    return Storage(connect(loaded.target, settings.load_own(PoolSettings)))


def connect(where: target.Target, pool: PoolSettings | None = None) -> Client:
    """dash's client; it connects when it is first used."""
    pool = pool or PoolSettings()
    return Client(
        where,
        pool.options(),
        tries=max(pool.retry_attempts, 1),
        retry_delay_s=pool.retry_delay_ms / 1000,
    )
