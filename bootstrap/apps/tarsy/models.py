"""tarsy's seven tables.

Ids are text that the program makes; times are microseconds since 1970 (`*_us` and
`last_interaction_at`), durations milliseconds (`*_ms`). Columns are nullable where the tables of
the program are, also where it always fills them.
"""

import datetime
import secrets
import time
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, ForeignKey, Index, Integer, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, validates

from bootstrap import models
from bootstrap.apps.tarsy import enums

Json = dict[str, Any]


def epoch_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


def _one_of(words: type[StrEnum], name: str, value: str | None) -> str | None:
    return value if value is None else _word(words, name, value)


def _word(words: type[StrEnum], name: str, value: str) -> str:
    if value not in set(words):
        raise ValueError(f"{name}: wanted one of {', '.join(words)}; found {value!r}")
    return str(value)


class Base(DeclarativeBase):
    """What every table has."""

    metadata = MetaData(naming_convention=models.NAMES)


class AlertSession(Base):
    """One run of processing an alert, with its whole life."""

    __tablename__ = "alert_sessions"
    __table_args__ = (
        Index("ix_alert_sessions_alert_id", "alert_id", unique=True),
        Index("ix_alert_sessions_status", "status"),
        Index("ix_alert_sessions_agent_type", "agent_type"),
        Index("ix_alert_sessions_alert_type", "alert_type"),
        Index("ix_alert_sessions_started_at_us", "started_at_us"),
        Index("ix_alert_sessions_status_started_at", "status", "started_at_us"),
        Index("ix_alert_sessions_status_last_interaction", "status", "last_interaction_at"),
    )

    session_id: Mapped[str] = mapped_column(String, primary_key=True)
    # The later program no longer fills it; several NULLs are no duplicates.
    alert_id: Mapped[str | None] = mapped_column(String)
    alert_data: Mapped[Json | None] = mapped_column(models.JSON, default=dict)
    agent_type: Mapped[str] = mapped_column(String)
    alert_type: Mapped[str | None] = mapped_column(String)
    status: Mapped[str] = mapped_column(String)
    started_at_us: Mapped[int | None] = mapped_column(BigInteger, default=epoch_us)
    completed_at_us: Mapped[int | None] = mapped_column(BigInteger)
    error_message: Mapped[str | None] = mapped_column(String)
    final_analysis: Mapped[str | None] = mapped_column(String)
    session_metadata: Mapped[Json | None] = mapped_column(models.JSON)
    # A session may be stored without a chain, and yet the column may not be null.
    chain_id: Mapped[str] = mapped_column(String, default="")
    chain_definition: Mapped[Json | None] = mapped_column(models.JSON)
    current_stage_index: Mapped[int | None] = mapped_column(Integer)
    current_stage_id: Mapped[str | None] = mapped_column(String)
    author: Mapped[str | None] = mapped_column(String(255))
    runbook_url: Mapped[str | None] = mapped_column(String)
    mcp_selection: Mapped[Json | None] = mapped_column(models.JSON)
    pod_id: Mapped[str | None] = mapped_column(String)
    last_interaction_at: Mapped[int | None] = mapped_column(BigInteger)
    pause_metadata: Mapped[Json | None] = mapped_column(models.JSON)
    final_analysis_summary: Mapped[str | None] = mapped_column(String)
    executive_summary_error: Mapped[str | None] = mapped_column(String)
    slack_message_fingerprint: Mapped[str | None] = mapped_column(String)

    @validates("status")
    def _check_status(self, name: str, value: str) -> str:
        return _word(enums.SessionStatus, name, value)


class StageExecution(Base):
    """One stage of a chain's run; `parent_stage_execution_id` where it ran beside others."""

    __tablename__ = "stage_executions"
    __table_args__ = (
        # Whoever deletes a stage asks for its parts.
        Index("ix_stage_executions_parent", "parent_stage_execution_id"),
        Index("ix_stage_executions_session_id", "session_id"),
        Index("ix_stage_executions_stage_index", "stage_index"),
    )

    execution_id: Mapped[str] = mapped_column(String, primary_key=True, default=models.new_id)
    session_id: Mapped[str | None] = mapped_column(
        ForeignKey(
            "alert_sessions.session_id",
            name="fk_stage_executions_session_id",
            ondelete="CASCADE",
        )
    )
    stage_id: Mapped[str] = mapped_column(String)
    stage_index: Mapped[int] = mapped_column(Integer)
    stage_name: Mapped[str] = mapped_column(String)
    agent: Mapped[str] = mapped_column(String)
    status: Mapped[str] = mapped_column(String)
    started_at_us: Mapped[int | None] = mapped_column(BigInteger)
    completed_at_us: Mapped[int | None] = mapped_column(BigInteger)
    duration_ms: Mapped[int | None] = mapped_column(Integer)
    stage_output: Mapped[Json | None] = mapped_column(models.JSON)
    error_message: Mapped[str | None] = mapped_column(String)
    chat_id: Mapped[str | None] = mapped_column(String)
    chat_user_message_id: Mapped[str | None] = mapped_column(String)
    paused_at_us: Mapped[int | None] = mapped_column(BigInteger)
    current_iteration: Mapped[int | None] = mapped_column(Integer)
    iteration_strategy: Mapped[str | None] = mapped_column(String)
    parent_stage_execution_id: Mapped[str | None] = mapped_column(
        ForeignKey("stage_executions.execution_id", name="fk_stage_executions_parent")
    )
    parallel_index: Mapped[int] = mapped_column(Integer, default=0)
    parallel_type: Mapped[str] = mapped_column(String, default=enums.ParallelType.SINGLE.value)
    expected_parallel_count: Mapped[int | None] = mapped_column(Integer)

    @validates("status")
    def _check_status(self, name: str, value: str) -> str:
        return _word(enums.StageStatus, name, value)

    @validates("parallel_type")
    def _check_parallel_type(self, name: str, value: str) -> str:
        return _word(enums.ParallelType, name, value)

    @validates("iteration_strategy")
    def _check_strategy(self, name: str, value: str | None) -> str | None:
        return _one_of(enums.IterationStrategy, name, value)


class LLMInteraction(Base):
    """One call of a language model. Where both parts are known, `total_tokens` is their sum."""

    __tablename__ = "llm_interactions"
    __table_args__ = (
        Index("ix_llm_interactions_session_id", "session_id"),
        Index("ix_llm_interactions_stage_execution_id", "stage_execution_id"),
        Index("ix_llm_interactions_timestamp_us", "timestamp_us"),
        # SQLite makes an ordinary index of it.
        Index(
            "ix_llm_interactions_conversation",
            "conversation",
            postgresql_using="gin",
            postgresql_ops={"conversation": "jsonb_path_ops"},
        ),
    )

    interaction_id: Mapped[str] = mapped_column(String, primary_key=True, default=models.new_id)
    session_id: Mapped[str | None] = mapped_column(
        ForeignKey(
            "alert_sessions.session_id",
            name="fk_llm_interactions_session_id",
            ondelete="CASCADE",
        )
    )
    stage_execution_id: Mapped[str | None] = mapped_column(
        ForeignKey(
            "stage_executions.execution_id",
            name="fk_llm_interactions_stage_execution_id",
            ondelete="CASCADE",
        )
    )
    timestamp_us: Mapped[int | None] = mapped_column(BigInteger, default=epoch_us)
    duration_ms: Mapped[int] = mapped_column(Integer, default=0)
    success: Mapped[bool] = mapped_column(default=True)
    error_message: Mapped[str | None] = mapped_column(String)
    model_name: Mapped[str] = mapped_column(String)
    provider: Mapped[str | None] = mapped_column(String)
    temperature: Mapped[float | None] = mapped_column(sa.Double)
    conversation: Mapped[Json | None] = mapped_column(models.JSON)
    input_tokens: Mapped[int | None] = mapped_column(Integer)
    output_tokens: Mapped[int | None] = mapped_column(Integer)
    total_tokens: Mapped[int | None] = mapped_column(Integer)
    response_metadata: Mapped[Json | None] = mapped_column(models.JSON)
    native_tools_config: Mapped[Json | None] = mapped_column(models.JSON)
    interaction_type: Mapped[str] = mapped_column(
        String(50),
        default=enums.InteractionType.INVESTIGATION.value,
        server_default=enums.InteractionType.INVESTIGATION.value,
    )
    mcp_event_id: Mapped[str | None] = mapped_column(String)
    thinking_content: Mapped[str | None] = mapped_column(String)

    @validates("interaction_type")
    def _check_type(self, name: str, value: str) -> str:
        return _word(enums.InteractionType, name, value)

    @validates("input_tokens", "output_tokens", "total_tokens")
    def _check_tokens(self, name: str, value: int | None) -> int | None:
        if value is not None and value < 0:
            raise ValueError(f"{name}: wanted 0 or more, found {value}")
        return value

    @validates("conversation")
    def _check_conversation(self, name: str, value: Json | None) -> Json | None:
        if value is None:
            return None
        messages = value.get("messages")
        if not messages:
            raise ValueError(f"{name}: wanted at least one message, found none")
        role = messages[0].get("role")
        if role != "system":
            raise ValueError(f"{name}: wanted a system message first, found {role!r}")
        return value


@sa.event.listens_for(LLMInteraction, "before_insert")
@sa.event.listens_for(LLMInteraction, "before_update")
def _add_up(_m: object, _c: object, call: LLMInteraction) -> None:
    if call.input_tokens is not None and call.output_tokens is not None:
        call.total_tokens = call.input_tokens + call.output_tokens


class MCPInteraction(Base):
    """One exchange with a tool server."""

    __tablename__ = "mcp_communications"
    __table_args__ = (
        Index("ix_mcp_communications_session_id", "session_id"),
        Index("ix_mcp_communications_stage_execution_id", "stage_execution_id"),
        Index("ix_mcp_communications_timestamp_us", "timestamp_us"),
    )

    communication_id: Mapped[str] = mapped_column(String, primary_key=True, default=models.new_id)
    step_description: Mapped[str] = mapped_column(String)
    request_id: Mapped[str] = mapped_column(String, default=lambda: f"req_{secrets.token_hex(4)}")
    session_id: Mapped[str | None] = mapped_column(
        ForeignKey(
            "alert_sessions.session_id",
            name="fk_mcp_communications_session_id",
            ondelete="CASCADE",
        )
    )
    stage_execution_id: Mapped[str | None] = mapped_column(
        ForeignKey(
            "stage_executions.execution_id",
            name="fk_mcp_communications_stage_execution_id",
            ondelete="CASCADE",
        )
    )
    timestamp_us: Mapped[int | None] = mapped_column(BigInteger, default=epoch_us)
    duration_ms: Mapped[int] = mapped_column(Integer, default=0)
    success: Mapped[bool] = mapped_column(default=True)
    error_message: Mapped[str | None] = mapped_column(String)
    server_name: Mapped[str] = mapped_column(String)
    communication_type: Mapped[str] = mapped_column(String)
    tool_name: Mapped[str | None] = mapped_column(String)
    tool_arguments: Mapped[Json | None] = mapped_column(models.JSON)
    tool_result: Mapped[Json | None] = mapped_column(models.JSON)
    available_tools: Mapped[Json | None] = mapped_column(models.JSON)
    start_time_us: Mapped[int | None] = mapped_column(BigInteger)
    end_time_us: Mapped[int | None] = mapped_column(BigInteger)

    @validates("communication_type")
    def _check_type(self, name: str, value: str) -> str:
        return _word(enums.CommunicationType, name, value)


class Event(Base):
    """Something to deliver to other pods, and to those who catch up: ids never come again."""

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_channel", "channel"),
        Index("idx_events_channel_id", "channel", "id"),
        Index("idx_events_created_at", "created_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    channel: Mapped[str] = mapped_column(String(100))
    payload: Mapped[Json | None] = mapped_column(models.JSON)
    created_at: Mapped[datetime.datetime] = mapped_column(
        models.Time(zone=False), server_default=models.now(zone=False)
    )


class Chat(Base):
    """A follow-up chat on a session that has ended."""

    __tablename__ = "chats"
    __table_args__ = (
        Index("ix_chats_session_id", "session_id"),
        Index("ix_chats_created_at", "created_at_us"),
        Index("ix_chats_pod_last_interaction", "pod_id", "last_interaction_at"),
    )

    chat_id: Mapped[str] = mapped_column(String, primary_key=True, default=models.new_id)
    # Without a delete rule: who deletes a session deletes its chats first.
    session_id: Mapped[str | None] = mapped_column(
        ForeignKey("alert_sessions.session_id", name="chats_session_id_fkey")
    )
    created_at_us: Mapped[int | None] = mapped_column(BigInteger, default=epoch_us)
    created_by: Mapped[str | None] = mapped_column(String)
    conversation_history: Mapped[str] = mapped_column(String)
    chain_id: Mapped[str] = mapped_column(String)
    mcp_selection: Mapped[Json | None] = mapped_column(models.JSON)
    context_captured_at_us: Mapped[int | None] = mapped_column(BigInteger)
    pod_id: Mapped[str | None] = mapped_column(String)
    last_interaction_at: Mapped[int | None] = mapped_column(BigInteger)


class ChatUserMessage(Base):
    """A question of the user in a chat."""

    __tablename__ = "chat_user_messages"
    __table_args__ = (
        Index("ix_chat_user_messages_chat_id", "chat_id"),
        Index("ix_chat_user_messages_created_at", "created_at_us"),
    )

    message_id: Mapped[str] = mapped_column(String, primary_key=True, default=models.new_id)
    chat_id: Mapped[str | None] = mapped_column(
        ForeignKey("chats.chat_id", name="chat_user_messages_chat_id_fkey", ondelete="CASCADE")
    )
    content: Mapped[str] = mapped_column(String)
    author: Mapped[str] = mapped_column(String)
    created_at_us: Mapped[int | None] = mapped_column(BigInteger, default=epoch_us)


# The words that the program keeps to, for those who make rows without it.
for _model, _name, _words in (
    (AlertSession, "status", enums.SessionStatus),
    (StageExecution, "status", enums.StageStatus),
    (StageExecution, "parallel_type", enums.ParallelType),
    (StageExecution, "iteration_strategy", enums.IterationStrategy),
    (LLMInteraction, "interaction_type", enums.InteractionType),
    (MCPInteraction, "communication_type", enums.CommunicationType),
):
    _model.__table__.columns[_name].info["values"] = tuple(_words)
