"""The repositories of agentpane, one a table; those with more verbs are in files of their own."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from bootstrap.apps.agentpane import models
from bootstrap.repository import Repository, Row


class Rows(Repository[Row]):
    """A table whose rows are also found by the values of their columns."""

    def find_many(
        self, where: Mapping[str, Any], *, limit: int = 100, offset: int = 0
    ) -> list[Row]:
        """Rows whose columns have all of these values, newest first."""
        self._named(where)
        columns = self.table.c
        page = (
            sa.select(self.model)
            .where(*(columns[name] == value for name, value in where.items()))
            .order_by(columns[self.newest].desc(), self.key.desc())
            .limit(limit)
            .offset(offset)
        )
        return self.client.read(lambda session: list(session.scalars(page)))

    def find_first(self, where: Mapping[str, Any]) -> Row | None:
        """The newest such row."""
        return next(iter(self.find_many(where, limit=1)), None)


class Projects(Rows[models.Project]):
    """Projects; one that is deleted takes all that belongs to it along."""

    model = models.Project


class Agents(Rows[models.Agent]):
    """Agents."""

    model = models.Agent


class Worktrees(Rows[models.Worktree]):
    """Worktrees."""

    model = models.Worktree


class PlanSessions(Rows[models.PlanSession]):
    """Conversations in which tasks are planned."""

    model = models.PlanSession


class AgentRuns(Rows[models.AgentRun]):
    """Runs of agents."""

    model = models.AgentRun
    newest = "started_at"


class AuditLogs(Rows[models.AuditLog]):
    """Uses of tools."""

    model = models.AuditLog


class Sessions(Rows[models.Session]):
    """Sessions of agents."""

    model = models.Session

    def close(self, id_: str) -> models.Session | None:
        """Close a session, now; None where the id is unknown."""
        return self.update(id_, {"status": "closed", "closed_at": models.utc_now()})


class SessionSummaries(Rows[models.SessionSummary]):
    """What sessions have come to."""

    model = models.SessionSummary
    newest = "updated_at"


class GithubInstallations(Rows[models.GithubInstallation]):
    """Installations of the GitHub app."""

    model = models.GithubInstallation


class GithubTokens(Rows[models.GithubToken]):
    """Tokens of GitHub's users."""

    model = models.GithubToken


class RepositoryConfigs(Rows[models.RepositoryConfig]):
    """What repositories configure."""

    model = models.RepositoryConfig


class ApiKeys(Rows[models.ApiKey]):
    """Keys of services."""

    model = models.ApiKey


class Marketplaces(Rows[models.Marketplace]):
    """Marketplaces."""

    model = models.Marketplace


class Workflows(Rows[models.Workflow]):
    """Workflows."""

    model = models.Workflow


class SandboxConfigs(Rows[models.SandboxConfig]):
    """How sandboxes are made."""

    model = models.SandboxConfig


class SandboxInstances(Rows[models.SandboxInstance]):
    """Sandboxes, one a project."""

    model = models.SandboxInstance


class SandboxTmuxSessions(Rows[models.SandboxTmuxSession]):
    """Terminals in sandboxes."""

    model = models.SandboxTmuxSession


class TerraformRegistries(Rows[models.TerraformRegistry]):
    """Terraform registries."""

    model = models.TerraformRegistry


class TerraformModules(Rows[models.TerraformModule]):
    """Modules of Terraform registries."""

    model = models.TerraformModule
