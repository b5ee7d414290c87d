"""Agents, the tasks on the kanban board, and what belongs to a task.

Tasks and worktrees name each other, as do tasks and sessions: on PostgreSQL one foreign key of each
pair is made after both tables (`use_alter`).
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from bootstrap.apps.agentpane import enums
from bootstrap.apps.agentpane.models.base import Base, Created, Id, OneOf, Updated


class Agent(Base):
    """An agent of a project."""

    __tablename__ = "agents"
    __table_args__ = (Index("idx_agents_project_id", "project_id"),)

    id: Mapped[Id]
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    name: Mapped[str]
    type: Mapped[enums.AgentType] = mapped_column(OneOf(enums.AGENT_TYPES), server_default="task")
    status: Mapped[enums.AgentStatus] = mapped_column(
        OneOf(enums.AGENT_STATUS), server_default="idle"
    )
    config: Mapped[dict[str, Any] | None]
    current_task_id: Mapped[str | None]
    current_session_id: Mapped[str | None]
    current_turn: Mapped[int | None] = mapped_column(server_default="0")
    created_at: Mapped[Created]
    updated_at: Mapped[Updated]


class Worktree(Base):
    """A checkout of a branch, in which an agent does a task."""

    __tablename__ = "worktrees"
    __table_args__ = (Index("idx_worktrees_project_id", "project_id"),)

    id: Mapped[Id]
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    agent_id: Mapped[str | None] = mapped_column(ForeignKey("agents.id", ondelete="SET NULL"))
    task_id: Mapped[str | None] = mapped_column(
        ForeignKey("tasks.id", ondelete="SET NULL", use_alter=True)
    )
    branch: Mapped[str]
    path: Mapped[str]
    base_branch: Mapped[str] = mapped_column(server_default="main")
    status: Mapped[enums.WorktreeStatus] = mapped_column(
        OneOf(enums.WORKTREE_STATUS), server_default="creating"
    )
    created_at: Mapped[Created]
    updated_at: Mapped[Updated]
    merged_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]


class Task(Base):
    """A task, at a position in a column of its project's board."""

    __tablename__ = "tasks"
    __table_args__ = (
        Index("idx_tasks_agent_id", "agent_id"),
        Index("idx_tasks_kanban", "project_id", "column", "position"),
    )

    id: Mapped[Id]
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    agent_id: Mapped[str | None] = mapped_column(ForeignKey("agents.id", ondelete="SET NULL"))
    session_id: Mapped[str | None] = mapped_column(ForeignKey("sessions.id", ondelete="SET NULL"))
    worktree_id: Mapped[str | None] = mapped_column(ForeignKey("worktrees.id", ondelete="SET NULL"))
    title: Mapped[str]
    description: Mapped[str | None]
    column: Mapped[enums.TaskColumn] = mapped_column(
        OneOf(enums.TASK_COLUMNS), server_default="backlog"
    )
    position: Mapped[int] = mapped_column(server_default="0")
    labels: Mapped[list[str] | None] = mapped_column(server_default=text("'[]'"))
    priority: Mapped[enums.TaskPriority | None] = mapped_column(
        OneOf(enums.TASK_PRIORITIES), server_default="medium"
    )
    branch: Mapped[str | None]
    diff_summary: Mapped[dict[str, Any] | None]
    approved_at: Mapped[datetime | None]
    approved_by: Mapped[str | None]
    rejection_count: Mapped[int | None] = mapped_column(server_default="0")
    rejection_reason: Mapped[str | None]
    created_at: Mapped[Created]
    updated_at: Mapped[Updated]
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    last_agent_status: Mapped[enums.LastAgentStatus | None] = mapped_column(
        OneOf(enums.LAST_AGENT_STATUS)
    )
    model_override: Mapped[str | None]
    plan_options: Mapped[dict[str, Any] | None]
    plan: Mapped[str | None]


class PlanSession(Base):
    """A conversation in which a task is planned."""

    __tablename__ = "plan_sessions"

    id: Mapped[Id]
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"))
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    status: Mapped[enums.PlanSessionStatus] = mapped_column(
        OneOf(enums.PLAN_SESSION_STATUS), server_default="active"
    )
    turns: Mapped[list[Any] | None] = mapped_column(server_default=text("'[]'"))
    github_issue_url: Mapped[str | None]
    github_issue_number: Mapped[int | None]
    created_at: Mapped[Created]
    completed_at: Mapped[datetime | None]
    updated_at: Mapped[Updated]
