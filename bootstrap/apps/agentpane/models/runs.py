"""Runs of agents, and what their tools did."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from bootstrap.apps.agentpane import enums
from bootstrap.apps.agentpane.models.base import Base, Created, Id, Json, OneOf


class AgentRun(Base):
    """One run of an agent on a task."""

    __tablename__ = "agent_runs"

    id: Mapped[Id]
    agent_id: Mapped[str] = mapped_column(ForeignKey("agents.id", ondelete="CASCADE"))
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"))
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    session_id: Mapped[str | None] = mapped_column(ForeignKey("sessions.id", ondelete="SET NULL"))
    status: Mapped[enums.AgentStatus] = mapped_column(OneOf(enums.AGENT_STATUS))
    started_at: Mapped[Created]
    completed_at: Mapped[datetime | None]
    turns_used: Mapped[int | None] = mapped_column(server_default="0")
    tokens_used: Mapped[int | None] = mapped_column(server_default="0")
    error_message: Mapped[str | None]


class AuditLog(Base):
    """One use of a tool by an agent."""

    __tablename__ = "audit_logs"

    id: Mapped[Id]
    agent_id: Mapped[str | None] = mapped_column(ForeignKey("agents.id", ondelete="SET NULL"))
    agent_run_id: Mapped[str | None] = mapped_column(
        ForeignKey("agent_runs.id", ondelete="SET NULL")
    )
    task_id: Mapped[str | None] = mapped_column(ForeignKey("tasks.id", ondelete="SET NULL"))
    project_id: Mapped[str | None] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    tool: Mapped[str]
    status: Mapped[enums.ToolStatus] = mapped_column(OneOf(enums.TOOL_STATUS))
    input: Mapped[Json | None]
    output: Mapped[Json | None]
    error_message: Mapped[str | None]
    duration_ms: Mapped[int | None]
    turn_number: Mapped[int | None]
    created_at: Mapped[Created]
