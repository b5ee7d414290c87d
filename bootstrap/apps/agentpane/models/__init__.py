"""The 25 tables of agentpane, one set of models for both databases."""

from bootstrap.apps.agentpane.models.base import Base, new_id, utc_now
from bootstrap.apps.agentpane.models.catalog import (
    Marketplace,
    Template,
    TemplateProject,
    Workflow,
)
from bootstrap.apps.agentpane.models.github import (
    GithubInstallation,
    GithubToken,
    RepositoryConfig,
)
from bootstrap.apps.agentpane.models.projects import ApiKey, Project, Setting
from bootstrap.apps.agentpane.models.runs import AgentRun, AuditLog
from bootstrap.apps.agentpane.models.sandboxes import (
    SandboxConfig,
    SandboxInstance,
    SandboxTmuxSession,
)
from bootstrap.apps.agentpane.models.sessions import (
    CliSession,
    Session,
    SessionEvent,
    SessionSummary,
)
from bootstrap.apps.agentpane.models.terraform import TerraformModule, TerraformRegistry
from bootstrap.apps.agentpane.models.work import Agent, PlanSession, Task, Worktree

__all__ = [
    "Agent",
    "AgentRun",
    "ApiKey",
    "AuditLog",
    "Base",
    "CliSession",
    "GithubInstallation",
    "GithubToken",
    "Marketplace",
    "PlanSession",
    "Project",
    "RepositoryConfig",
    "SandboxConfig",
    "SandboxInstance",
    "SandboxTmuxSession",
    "Session",
    "SessionEvent",
    "SessionSummary",
    "Setting",
    "Task",
    "Template",
    "TemplateProject",
    "TerraformModule",
    "TerraformRegistry",
    "Workflow",
    "Worktree",
    "new_id",
    "utc_now",
]
