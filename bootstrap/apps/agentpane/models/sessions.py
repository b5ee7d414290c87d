"""Sessions of agents and their events, and the sessions of command-line agents."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, false
from sqlalchemy.orm import Mapped, mapped_column

from bootstrap import models
from bootstrap.apps.agentpane import enums
from bootstrap.apps.agentpane.models.base import Base, Created, EpochMs, Id, Json, OneOf, Updated


class Session(Base):
    """A session of an agent, at a URL."""

    __tablename__ = "sessions"

    id: Mapped[Id]
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    task_id: Mapped[str | None] = mapped_column(
        ForeignKey("tasks.id", ondelete="SET NULL", use_alter=True)
    )
    agent_id: Mapped[str | None] = mapped_column(ForeignKey("agents.id", ondelete="SET NULL"))
    status: Mapped[enums.SessionStatus] = mapped_column(
        OneOf(enums.SESSION_STATUS), server_default="idle"
    )
    title: Mapped[str | None]
    url: Mapped[str]
    created_at: Mapped[Created]
    updated_at: Mapped[Updated]
    closed_at: Mapped[datetime | None]


class SessionEvent(Base):
    """One event of a session's stream; `offset` counts within the session."""

    __tablename__ = "session_events"
    __table_args__ = (
        Index("session_events_session_idx", "session_id"),
        Index("session_events_offset_idx", "session_id", "offset"),
        Index("session_events_unique_offset", "session_id", "offset", unique=True),
    )

    id: Mapped[Id]
    session_id: Mapped[str] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    offset: Mapped[int]
    type: Mapped[str]
    channel: Mapped[str]
    data: Mapped[Json] = mapped_column(nullable=False)
    timestamp: Mapped[EpochMs]
    user_id: Mapped[str | None]
    created_at: Mapped[Created]


class SessionSummary(Base):
    """What a session has come to."""

    __tablename__ = "session_summaries"

    id: Mapped[Id]
    session_id: Mapped[str] = mapped_column(
        ForeignKey("sessions.id", ondelete="CASCADE"), unique=True
    )
    duration_ms: Mapped[int | None]
    turns_count: Mapped[int | None] = mapped_column(server_default="0")
    tokens_used: Mapped[int | None] = mapped_column(server_default="0")
    files_modified: Mapped[int | None] = mapped_column(server_default="0")
    lines_added: Mapped[int | None] = mapped_column(server_default="0")
    lines_removed: Mapped[int | None] = mapped_column(server_default="0")
    final_status: Mapped[enums.SessionFinalStatus | None] = mapped_column(
        OneOf(enums.SESSION_FINAL_STATUS)
    )
    updated_at: Mapped[Updated]


class CliSession(Base):
    """A session of a command-line agent, as its file on this machine tells of it."""

    __tablename__ = "cli_sessions"
    __table_args__ = (
        Index("idx_cli_sessions_status", "status"),
        Index("idx_cli_sessions_project", "project_hash", "last_activity_at"),
        Index("idx_cli_sessions_last_activity", "last_activity_at"),
    )

    id: Mapped[Id]
    session_id: Mapped[str] = mapped_column(unique=True)
    file_path: Mapped[str]
    cwd: Mapped[str]
    project_name: Mapped[str]
    project_hash: Mapped[str]
    git_branch: Mapped[str | None]
    status: Mapped[enums.CliSessionStatus] = mapped_column(
        OneOf(enums.CLI_SESSION_STATUS), server_default="idle"
    )
    message_count: Mapped[int] = mapped_column(server_default="0")
    turn_count: Mapped[int] = mapped_column(server_default="0")
    goal: Mapped[str | None]
    recent_output: Mapped[str | None]
    # These three are text on both databases.
    pending_tool_use: Mapped[Any | None] = mapped_column(models.JSONText)
    token_usage: Mapped[Any | None] = mapped_column(models.JSONText)
    performance_metrics: Mapped[Any | None] = mapped_column(models.JSONText)
    model: Mapped[str | None]
    started_at: Mapped[EpochMs]
    last_activity_at: Mapped[EpochMs]
    is_subagent: Mapped[bool] = mapped_column(server_default=false())
    parent_session_id: Mapped[str | None]
    created_at: Mapped[Created]
    updated_at: Mapped[Updated]
