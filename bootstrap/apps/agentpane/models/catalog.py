"""What projects can take over: templates, plugins of marketplaces, workflows."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, false, true
from sqlalchemy.orm import Mapped, mapped_column

from bootstrap.apps.agentpane import enums
from bootstrap.apps.agentpane.models.base import Base, Created, Id, OneOf, Updated


class Template(Base):
    """Skills, commands and agents of a repository, for an organisation or one project."""

    __tablename__ = "templates"

    id: Mapped[Id]
    name: Mapped[str]
    description: Mapped[str | None]
    scope: Mapped[enums.TemplateScope] = mapped_column(OneOf(enums.TEMPLATE_SCOPES))
    github_owner: Mapped[str]
    github_repo: Mapped[str]
    branch: Mapped[str | None] = mapped_column(server_default="main")
    config_path: Mapped[str | None] = mapped_column(server_default=".claude")
    project_id: Mapped[str | None] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    status: Mapped[enums.TemplateStatus | None] = mapped_column(
        OneOf(enums.TEMPLATE_STATUSES), server_default="active"
    )
    last_sync_sha: Mapped[str | None]
    last_synced_at: Mapped[datetime | None]
    sync_error: Mapped[str | None]
    sync_interval_minutes: Mapped[int | None]
    next_sync_at: Mapped[datetime | None]
    cached_skills: Mapped[list[Any] | None]
    cached_commands: Mapped[list[Any] | None]
    cached_agents: Mapped[list[Any] | None]
    created_at: Mapped[Created]
    updated_at: Mapped[Updated]


class TemplateProject(Base):
    """A template is used by a project."""

    __tablename__ = "template_projects"

    template_id: Mapped[str] = mapped_column(
        ForeignKey("templates.id", ondelete="CASCADE"), primary_key=True
    )
    project_id: Mapped[str] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True
    )
    created_at: Mapped[Created]


class Marketplace(Base):
    """A repository with plugins."""

    __tablename__ = "marketplaces"

    id: Mapped[Id]
    name: Mapped[str]
    github_owner: Mapped[str]
    github_repo: Mapped[str]
    branch: Mapped[str | None] = mapped_column(server_default="main")
    plugins_path: Mapped[str | None] = mapped_column(server_default="plugins")
    is_default: Mapped[bool | None] = mapped_column(server_default=false())
    is_enabled: Mapped[bool | None] = mapped_column(server_default=true())
    status: Mapped[enums.MarketplaceStatus | None] = mapped_column(
        OneOf(enums.MARKETPLACE_STATUSES), server_default="active"
    )
    last_sync_sha: Mapped[str | None]
    last_synced_at: Mapped[datetime | None]
    sync_error: Mapped[str | None]
    cached_plugins: Mapped[list[Any] | None]
    created_at: Mapped[Created]
    updated_at: Mapped[Updated]


class Workflow(Base):
    """A graph of steps, as it is drawn."""

    __tablename__ = "workflows"

    id: Mapped[Id]
    name: Mapped[str]
    description: Mapped[str | None]
    nodes: Mapped[list[Any] | None]
    edges: Mapped[list[Any] | None]
    source_template_id: Mapped[str | None] = mapped_column(
        ForeignKey("templates.id", ondelete="SET NULL")
    )
    source_template_name: Mapped[str | None]
    viewport: Mapped[dict[str, Any] | None]
    status: Mapped[enums.WorkflowStatus | None] = mapped_column(
        OneOf(enums.WORKFLOW_STATUSES), server_default="draft"
    )
    tags: Mapped[list[str] | None]
    thumbnail: Mapped[str | None]
    ai_generated: Mapped[bool | None]
    ai_model: Mapped[str | None]
    ai_confidence: Mapped[int | None]
    created_at: Mapped[Created]
    updated_at: Mapped[Updated]
