"""agentpane's seeding stage: what a first start finds, without getting in the way of what is there.

A row is made only where its condition holds, so that what a user has renamed, deleted or replaced
stays as the user wants it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bootstrap.apps.agentpane import models

MARKETPLACE = {
    "id": "anthropic-official-marketplace",
    "name": "Claude Plugins Official",
    "github_owner": "anthropics",
    "github_repo": "claude-plugins-official",
    "branch": "main",
    "plugins_path": "plugins",
    "is_default": True,
    "is_enabled": True,
    "status": "active",
}
SANDBOX_CONFIG = {
    "name": "Kubernetes Standard",
    "description": "Standard K8s pod for agent sandboxes",
    "type": "kubernetes",
    "is_default": False,
    "base_image": "node:22-slim",
    "memory_mb": 4096,
    "cpu_cores": 2.0,
    "max_processes": 256,
    "timeout_minutes": 60,
    "kube_namespace": "agentpane-sandboxes",
    "network_policy_enabled": True,
}
PROJECT = {"name": "Default Project", "description": "Default project created on first run"}
AGENT = {
    "name": "Default Agent",
    "type": "task",
    "status": "idle",
    "config": {"allowedTools": ["Read", "Edit", "Bash", "Glob", "Grep"], "maxTurns": 50},
}

Counts = Mapping[str, Mapping[str, int]]


def seed(connection: sa.Connection) -> Counts:
    """Make the rows that are missing: a marketplace, a sandbox configuration, a project, its agent.

    The project is the current folder. Counts rows `inserted` and `present`, a table.
    """
    marketplace = models.Marketplace
    has_marketplace = _any(
        connection,
        sa.or_(marketplace.id == MARKETPLACE["id"], marketplace.is_default.is_(True)),
    )
    if not has_marketplace:
        _insert(connection, marketplace, MARKETPLACE)
    has_kubernetes = _any(connection, models.SandboxConfig.type == "kubernetes")
    if not has_kubernetes:
        _insert(connection, models.SandboxConfig, SANDBOX_CONFIG)
    has_project = _any(connection, models.Project.id.is_not(None))
    if not has_project:
        project = _insert(connection, models.Project, {**PROJECT, "path": str(Path.cwd())})
        _insert(connection, models.Agent, {**AGENT, "project_id": project})
    return {
        "marketplaces": _counts(has_marketplace),
        "sandbox_configs": _counts(has_kubernetes),
        "projects": _counts(has_project),
        "agents": _counts(has_project),
    }


def _any(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> bool:
    return bool(connection.scalar(sa.select(sa.exists().where(condition))))


def _insert(connection: sa.Connection, model: type[models.Base], values: Mapping[str, Any]) -> str:
    """The id of the new row."""
    result = connection.execute(sa.insert(model).values(values))
    assert result.inserted_primary_key is not None
    id_: str = result.inserted_primary_key[0]
    return id_


def _counts(present: bool) -> dict[str, int]:
    return {"inserted": int(not present), "present": int(present)}
