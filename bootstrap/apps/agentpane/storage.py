"""agentpane's storage: one interface to its tables, on SQLite or PostgreSQL."""

from dataclasses import dataclass

from bootstrap import engine, settings, target
from bootstrap.apps.agentpane import board, keyed, models, recovery, repositories, stream
from bootstrap.client import Client, Tables

# As many as the program's own driver keeps, and no more.
POOL_SIZE = 10


@dataclass(frozen=True)
class Own:
    """agentpane's own settings."""

    node_env: str = settings.own("NODE_ENV", "", "test: SQLite is in memory")
    e2e_seed: bool = settings.own("VITE_E2E_SEED", False, "SQLite is in memory")

    @property
    def is_test(self) -> bool:
        """Whether nothing is to be kept."""
        return self.node_env == "test" or self.e2e_seed


class Storage(Tables):
    """The tables by name, over one client."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.projects = repositories.Projects(client)
        self.agents = repositories.Agents(client)
        self.tasks = board.Tasks(client)
        self.worktrees = repositories.Worktrees(client)
        self.plan_sessions = repositories.PlanSessions(client)
        self.agent_runs = repositories.AgentRuns(client)
        self.audit_logs = repositories.AuditLogs(client)
        self.sessions = repositories.Sessions(client)
        self.session_events = stream.SessionEvents(client)
        self.session_summaries = repositories.SessionSummaries(client)
        self.cli_sessions = keyed.CliSessions(client)
        self.settings = keyed.Settings(client)
        self.api_keys = repositories.ApiKeys(client)
        self.github_installations = repositories.GithubInstallations(client)
        self.github_tokens = repositories.GithubTokens(client)
        self.repository_configs = repositories.RepositoryConfigs(client)
        self.templates = keyed.Templates(client)
        self.marketplaces = repositories.Marketplaces(client)
        self.workflows = repositories.Workflows(client)
        self.sandbox_configs = repositories.SandboxConfigs(client)
        self.sandbox_instances = repositories.SandboxInstances(client)
        self.sandbox_tmux_sessions = repositories.SandboxTmuxSessions(client)
        self.terraform_registries = repositories.TerraformRegistries(client)
        self.terraform_modules = repositories.TerraformModules(client)

    def recover(self) -> recovery.Recovered:
        """Put right what a stopped server left behind; to be called when a server starts."""
        return recovery.recover(self.client)


def create_storage() -> Storage:
    """The storage that the settings ask for: DB_MODE, DATABASE_URL, DB_PATH and so on.

    The tables are the migrations' part, except in memory (DB_PATH=:memory:, and on SQLite wherever
    NODE_ENV=test), where they are made at once. Raises SettingsError.
    """
    own = settings.load_own(Own)
    where = settings.load({"BOOTSTRAPD_APP": "agentpane"}, memory=True).target
    if not where.is_postgres and (own.is_test or where.path is None):
        return in_memory()
    return Storage(connect(where))


def in_memory() -> Storage:
    """A database of its own with all tables, which is gone when the storage is closed."""
    storage = Storage(connect(target.sqlite(":memory:")))
    models.Base.metadata.create_all(storage.client.engine)
    return storage


def connect(where: target.Target) -> Client:
    """agentpane's client; it connects when it is first used."""
    options = engine.Options(
        application_name="agentpane", pool_size=POOL_SIZE, max_overflow=0, query_timeout_s=30.0
    )
    return Client(where, options)
