"""Pi: instances that run models, their sessions, and what a session works on."""

import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from bootstrap import models
from bootstrap.apps.godel import enums
from bootstrap.apps.godel.models import base


class PiInstance(base.Base):
    """A server that runs models: where it is, what it can do, how it is."""

    __tablename__ = "pi_instances"

    id: Mapped[str] = base.uuid_key()
    endpoint: Mapped[str] = mapped_column(String(500))
    provider_type: Mapped[enums.PiProviderType] = mapped_column(String(50))
    region: Mapped[str | None] = mapped_column(String(100))
    zone: Mapped[str | None] = mapped_column(String(100))
    version: Mapped[str | None] = mapped_column(String(50))
    capabilities: Mapped[list[Any]] = mapped_column(models.JSON, server_default="[]")
    health_status: Mapped[enums.PiHealthStatus] = mapped_column(
        String(20), server_default="healthy"
    )
    current_load: Mapped[int] = mapped_column(Integer, server_default=sa.text("0"))
    max_sessions: Mapped[int] = mapped_column(Integer, server_default=sa.text("100"))
    cost_per_1k_input: Mapped[Decimal] = mapped_column(
        models.Exact(10, 6), server_default=sa.text("0")
    )
    cost_per_1k_output: Mapped[Decimal] = mapped_column(
        models.Exact(10, 6), server_default=sa.text("0")
    )
    last_heartbeat: Mapped[datetime.datetime | None] = mapped_column(models.Time)
    last_health_check: Mapped[datetime.datetime | None] = mapped_column(models.Time)
    created_at: Mapped[datetime.datetime] = base.made()
    updated_at: Mapped[datetime.datetime] = base.updated()

    __table_args__ = (
        UniqueConstraint("endpoint", name="pi_instances_endpoint_key"),
        base.one_of("health_status", enums.PiHealthStatus, "pi_instances_health_check"),
        CheckConstraint("current_load >= 0", name="pi_instances_load_check"),
        CheckConstraint("max_sessions > 0", name="pi_instances_max_sessions_check"),
        base.one_of("provider_type", enums.PiProviderType, "pi_instances_provider_check"),
        Index("idx_pi_instances_health", "health_status"),
        base.partial_index(
            "idx_pi_instances_healthy",
            "health_status",
            "current_load",
            "max_sessions",
            where="health_status = 'healthy'",
        ),
        Index("idx_pi_instances_heartbeat", "last_heartbeat"),
        Index("idx_pi_instances_load", "current_load"),
        Index("idx_pi_instances_provider", "provider_type"),
        Index("idx_pi_instances_region", "region"),
    )


class PiSession(base.Base):
    """A session on an instance, with what it has used."""

    __tablename__ = "pi_sessions"

    id: Mapped[str] = base.uuid_key()
    instance_id: Mapped[str] = mapped_column(
        models.UUID,
        ForeignKey("pi_instances.id", name="pi_sessions_instance_id_fkey", ondelete="CASCADE"),
    )
    agent_id: Mapped[str | None] = mapped_column(models.UUID)
    provider: Mapped[str] = mapped_column(String(50))
    model: Mapped[str] = mapped_column(String(100))
    status: Mapped[enums.PiSessionStatus] = mapped_column(String(20), server_default="initializing")
    config: Mapped[dict[str, Any]] = mapped_column(models.JSON, server_default="{}")
    tree_root_id: Mapped[str | None] = mapped_column(models.UUID)
    current_node_id: Mapped[str | None] = mapped_column(models.UUID)
    checkpoint_data: Mapped[dict[str, Any] | None] = mapped_column(models.JSON)
    token_usage: Mapped[int] = mapped_column(Integer, server_default=sa.text("0"))
    cost_incurred: Mapped[Decimal] = mapped_column(base.MONEY, server_default=sa.text("0"))
    created_at: Mapped[datetime.datetime] = base.made()
    updated_at: Mapped[datetime.datetime] = base.updated()
    ended_at: Mapped[datetime.datetime | None] = mapped_column(models.Time)

    __table_args__ = (
        CheckConstraint("cost_incurred >= 0", name="pi_sessions_cost_check"),
        base.one_of("status", enums.PiSessionStatus, "pi_sessions_status_check"),
        CheckConstraint("token_usage >= 0", name="pi_sessions_token_usage_check"),
        Index("idx_pi_sessions_agent", "agent_id"),
        Index("idx_pi_sessions_created", created_at.desc()),
        Index("idx_pi_sessions_ended", "ended_at"),
        Index("idx_pi_sessions_instance", "instance_id"),
        base.partial_index(
            "idx_pi_sessions_instance_status",
            "instance_id",
            "status",
            where="status IN ('initializing', 'active', 'paused')",
        ),
        Index("idx_pi_sessions_provider", "provider", "model"),
        Index("idx_pi_sessions_status", "status"),
    )


class Worktree(base.Base):
    """A folder with a branch of its own, which a session works in; it outlives the session."""

    __tablename__ = "worktrees"

    id: Mapped[str] = base.uuid_key()
    session_id: Mapped[str | None] = mapped_column(
        models.UUID,
        ForeignKey("pi_sessions.id", name="worktrees_session_id_fkey", ondelete="SET NULL"),
    )
    repository_path: Mapped[str] = mapped_column(String(500))
    worktree_path: Mapped[str] = mapped_column(String(500))
    git_dir: Mapped[str | None] = mapped_column(String(500))
    base_branch: Mapped[str] = mapped_column(String(255))
    current_branch: Mapped[str] = mapped_column(String(255))
    dependencies_shared: Mapped[list[Any]] = mapped_column(models.JSON, server_default="[]")
    cleanup_policy: Mapped[enums.WorktreeCleanupPolicy] = mapped_column(
        String(20), server_default="on_completion"
    )
    status: Mapped[enums.WorktreeStatus] = mapped_column(String(20), server_default="active")
    created_at: Mapped[datetime.datetime] = base.made()
    # The trigger of this table needs it.
    updated_at: Mapped[datetime.datetime] = base.updated()
    last_activity: Mapped[datetime.datetime] = mapped_column(
        models.Time, server_default=models.now()
    )
    cleaned_up_at: Mapped[datetime.datetime | None] = mapped_column(models.Time)

    __table_args__ = (
        base.one_of("cleanup_policy", enums.WorktreeCleanupPolicy, "worktrees_cleanup_check"),
        base.one_of("status", enums.WorktreeStatus, "worktrees_status_check"),
        base.partial_index(
            "idx_worktrees_active", "session_id", "status", where="status = 'active'"
        ),
        Index("idx_worktrees_activity", last_activity.desc()),
        Index("idx_worktrees_branch", "current_branch"),
        Index("idx_worktrees_created", created_at.desc()),
        Index("idx_worktrees_repo", "repository_path"),
        Index("idx_worktrees_session", "session_id"),
        Index("idx_worktrees_status", "status"),
    )


class Todo(base.Base):
    """Something that a session has to do."""

    __tablename__ = "todos"

    id: Mapped[str] = base.uuid_key()
    session_id: Mapped[str] = mapped_column(
        models.UUID, ForeignKey("pi_sessions.id", name="todos_session_id_fkey", ondelete="CASCADE")
    )
    todo_id: Mapped[str] = mapped_column(String(100))
    content: Mapped[str] = mapped_column(Text)
    status: Mapped[enums.TodoStatus] = mapped_column(String(20), server_default="pending")
    priority: Mapped[int] = mapped_column(Integer, server_default=sa.text("1"))
    created_at: Mapped[datetime.datetime] = base.made()
    updated_at: Mapped[datetime.datetime] = base.updated()
    completed_at: Mapped[datetime.datetime | None] = mapped_column(models.Time)

    __table_args__ = (
        UniqueConstraint("session_id", "todo_id", name="todos_unique_session_id"),
        CheckConstraint("priority >= 1 AND priority <= 5", name="todos_priority_check"),
        base.one_of("status", enums.TodoStatus, "todos_status_check"),
        Index("idx_todos_completed", "completed_at"),
        Index("idx_todos_created", created_at.desc()),
        base.partial_index(
            "idx_todos_pending",
            "session_id",
            priority.desc(),
            "created_at",
            where="status IN ('pending', 'in_progress')",
        ),
        Index("idx_todos_priority", priority.desc()),
        Index("idx_todos_session", "session_id"),
        Index("idx_todos_status", "status"),
    )
