"""What the tables of the document came to have, and budgets, sessions, schedules, executions.

The classes below `document`'s are the same rows with all their columns.
"""

import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import (
    Boolean,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Mapped, mapped_column

from bootstrap import models
from bootstrap.apps.godel import enums
from bootstrap.apps.godel.models import base, document

# An array of PostgreSQL; SQLite has none.
TEXTS = models.JSONText(list).with_variant(postgresql.ARRAY(sa.Text()), "postgresql")


class ManagedTeam(document.Team):
    """A team with the number of its agents, which whoever changes them keeps."""

    completed_at: Mapped[datetime.datetime | None] = mapped_column(models.Time)
    version: Mapped[int | None] = mapped_column(Integer, server_default=sa.text("0"))
    total_agents: Mapped[int | None] = mapped_column(Integer, server_default=sa.text("0"))
    running_agents: Mapped[int | None] = mapped_column(Integer, server_default=sa.text("0"))
    completed_agents: Mapped[int | None] = mapped_column(Integer, server_default=sa.text("0"))
    failed_agents: Mapped[int | None] = mapped_column(Integer, server_default=sa.text("0"))


class ManagedAgent(document.Agent):
    """An agent: its team, its state, where it is in its life, what it may spend."""

    team_id: Mapped[str | None] = mapped_column(
        Text, ForeignKey("teams.id", name="agents_team_id_fkey", ondelete="SET NULL")
    )
    label: Mapped[str | None] = mapped_column(String(255))
    status: Mapped[enums.AgentStatus] = mapped_column(String(50), server_default="pending")
    lifecycle_state: Mapped[enums.AgentLifecycleState] = mapped_column(
        String(50), server_default="initializing"
    )
    config: Mapped[dict[str, Any]] = mapped_column(models.JSON, server_default="{}")
    context: Mapped[dict[str, Any] | None] = mapped_column(models.JSON)
    code: Mapped[dict[str, Any] | None] = mapped_column(models.JSON)
    reasoning: Mapped[dict[str, Any] | None] = mapped_column(models.JSON)
    safety_boundaries: Mapped[dict[str, Any] | None] = mapped_column(models.JSON)
    spawned_at: Mapped[datetime.datetime] = mapped_column(models.Time, server_default=models.now())
    completed_at: Mapped[datetime.datetime | None] = mapped_column(models.Time)
    pause_time: Mapped[datetime.datetime | None] = mapped_column(models.Time)
    paused_by: Mapped[str | None] = mapped_column(String(255))
    runtime: Mapped[int | None] = mapped_column(Integer, server_default=sa.text("0"))
    retry_count: Mapped[int | None] = mapped_column(Integer, server_default=sa.text("0"))
    max_retries: Mapped[int | None] = mapped_column(Integer, server_default=sa.text("3"))
    last_error: Mapped[str | None] = mapped_column(Text)
    budget_limit: Mapped[Decimal | None] = mapped_column(base.MONEY)
    version: Mapped[int | None] = mapped_column(Integer, server_default=sa.text("0"))


class DefinedWorkflow(document.Workflow):
    """A workflow with its definition, and what happens when a step fails."""

    description: Mapped[str | None] = mapped_column(Text)
    version: Mapped[str] = mapped_column(Text, server_default="1.0.0")
    # The document's insert gives none.
    definition: Mapped[dict[str, Any]] = mapped_column(models.JSONText(dict), server_default="{}")
    variables: Mapped[dict[str, Any] | None] = mapped_column(models.JSONText(dict))
    on_failure: Mapped[str] = mapped_column(Text, server_default="stop")
    timeout: Mapped[int | None] = mapped_column(Integer)
    metadata_: Mapped[dict[str, Any] | None] = mapped_column("metadata", models.JSONText(dict))


class LoggedEvent(document.Event):
    """An event: whom it concerns, how grave it is, which event it came from."""

    team_id: Mapped[str | None] = mapped_column(
        Text, ForeignKey("teams.id", name="events_team_id_fkey", ondelete="CASCADE")
    )
    agent_id: Mapped[str | None] = mapped_column(
        Text, ForeignKey("agents.id", name="events_agent_id_fkey", ondelete="SET NULL")
    )
    payload: Mapped[dict[str, Any]] = mapped_column(models.JSON, server_default="{}")
    timestamp: Mapped[datetime.datetime] = mapped_column(models.Time, server_default=models.now())
    correlation_id: Mapped[str | None] = mapped_column(models.UUID)
    parent_event_id: Mapped[str | None] = mapped_column(
        Text, ForeignKey("events.id", name="events_parent_event_id_fkey", ondelete="SET NULL")
    )
    entity_type: Mapped[enums.EventEntityType] = mapped_column(String(50), server_default="system")
    severity: Mapped[enums.EventSeverity | None] = mapped_column(String(20), server_default="info")


class Session(base.Base):
    """A session: the tree of its branches, the branch that it is on, and data about it."""

    __tablename__ = "sessions"

    id: Mapped[str] = base.uuid_key()
    tree_data: Mapped[dict[str, Any]] = mapped_column(models.JSON, server_default="{}")
    current_branch: Mapped[str | None] = mapped_column(String(255))
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", models.JSON, server_default="{}")
    created_at: Mapped[datetime.datetime] = base.made()
    updated_at: Mapped[datetime.datetime] = base.updated()
    expires_at: Mapped[datetime.datetime | None] = mapped_column(models.Time)

    __table_args__ = (
        Index("idx_sessions_created_at", created_at.desc()),
        Index("idx_sessions_expires_at", "expires_at"),
    )


class Budget(base.Base):
    """What a team, an agent or a project may spend, and what it has spent."""

    __tablename__ = "budgets"

    id: Mapped[str] = base.uuid_key()
    team_id: Mapped[str] = mapped_column(
        Text, ForeignKey("teams.id", name="budgets_team_id_fkey", ondelete="CASCADE")
    )
    scope_type: Mapped[enums.BudgetScopeType] = mapped_column(String(50), server_default="team")
    scope_id: Mapped[str] = mapped_column(models.UUID)
    allocated: Mapped[Decimal] = mapped_column(base.MONEY, server_default=sa.text("0"))
    consumed: Mapped[Decimal] = mapped_column(base.MONEY, server_default=sa.text("0"))
    currency: Mapped[enums.BudgetCurrency] = mapped_column(String(3), server_default="USD")
    max_tokens: Mapped[int | None] = mapped_column(Integer)
    used_tokens: Mapped[int | None] = mapped_column(Integer, server_default=sa.text("0"))
    created_at: Mapped[datetime.datetime] = base.made()
    updated_at: Mapped[datetime.datetime] = base.updated()

    __table_args__ = (
        UniqueConstraint("scope_type", "scope_id", name="budgets_unique_scope"),
        base.one_of("currency", enums.BudgetCurrency, "budgets_currency_check"),
        CheckConstraint("allocated >= 0 AND consumed >= 0", name="budgets_positive"),
        base.one_of("scope_type", enums.BudgetScopeType, "budgets_scope_check"),
        base.partial_index(
            "idx_budgets_consumption", "team_id", consumed.desc(), where="consumed > 0"
        ),
        Index("idx_budgets_scope", "scope_type", "scope_id"),
        Index("idx_budgets_swarm_id", "team_id"),
    )


class Placement(base.Base):
    """One try to place an agent on a node."""

    __tablename__ = "scheduling_history"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    agent_id: Mapped[str] = mapped_column(String(255))
    team_id: Mapped[str | None] = mapped_column(String(255))
    node_id: Mapped[str | None] = mapped_column(String(255))
    success: Mapped[bool] = mapped_column(Boolean)
    error_message: Mapped[str | None] = mapped_column(Text)
    cpu_requested: Mapped[Decimal | None] = mapped_column(models.Exact(10, 2))
    memory_requested: Mapped[int | None] = mapped_column(Integer)
    gpu_memory_requested: Mapped[int | None] = mapped_column(Integer)
    scheduled_at: Mapped[datetime.datetime] = mapped_column(
        models.Time(zone=False), server_default=models.now(zone=False)
    )
    affinity_score: Mapped[Decimal | None] = mapped_column(models.Exact(5, 2))
    preempted_agent_ids: Mapped[list[str] | None] = mapped_column(TEXTS)
    scheduling_latency_ms: Mapped[int | None] = mapped_column(Integer)
    created_at: Mapped[datetime.datetime] = mapped_column(
        models.Time(zone=False), server_default=models.now(zone=False)
    )

    __table_args__ = (
        Index("idx_scheduling_history_agent_id", "agent_id"),
        Index("idx_scheduling_history_node_id", "node_id"),
        Index("idx_scheduling_history_scheduled_at", "scheduled_at"),
        Index("idx_scheduling_history_success", "success"),
        Index("idx_scheduling_history_swarm_id", "team_id"),
    )


class WorkflowExecution(base.Base):
    """One run of a workflow."""

    __tablename__ = "workflow_executions"

    id: Mapped[str] = mapped_column(Text, primary_key=True, default=models.new_id)
    workflow_id: Mapped[str] = mapped_column(
        Text,
        ForeignKey("workflows.id", name="workflow_executions_workflow_id_fkey", ondelete="CASCADE"),
    )
    status: Mapped[str] = mapped_column(Text)
    state: Mapped[dict[str, Any]] = mapped_column(models.JSONText(dict))
    started_at: Mapped[datetime.datetime | None] = mapped_column(models.Time)
    completed_at: Mapped[datetime.datetime | None] = mapped_column(models.Time)
    duration_ms: Mapped[int | None] = mapped_column(Integer)
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime.datetime | None] = mapped_column(
        models.Time, server_default=models.now()
    )
    updated_at: Mapped[datetime.datetime | None] = mapped_column(
        models.Time, server_default=models.now()
    )

    __table_args__ = (
        Index("idx_workflow_executions_workflow_id", "workflow_id"),
        Index("idx_workflow_executions_status", "status"),
        Index("idx_workflow_executions_created_at", created_at.desc()),
    )


# A class that shares the table of another takes no arguments for it.
base.extend(
    ManagedTeam,
    Index("idx_swarms_created_at", ManagedTeam.created_at.desc()),
    Index("idx_swarms_status", "status"),
    Index("idx_swarms_version", "id", "version"),
)
base.extend(
    ManagedAgent,
    base.one_of("lifecycle_state", enums.AgentLifecycleState, "agents_lifecycle_check"),
    base.one_of("status", enums.AgentStatus, "agents_status_check"),
    Index("idx_agents_lifecycle", "lifecycle_state"),
    Index("idx_agents_model", "model"),
    Index("idx_agents_spawned_at", ManagedAgent.spawned_at.desc()),
    Index("idx_agents_status", "status"),
    Index("idx_agents_status_spawned", "status", ManagedAgent.spawned_at.desc()),
    Index("idx_agents_swarm_id", "team_id"),
    Index("idx_agents_swarm_status", "team_id", "status"),
    Index("idx_agents_version", "id", "version"),
)
base.extend(
    LoggedEvent,
    base.one_of("entity_type", enums.EventEntityType, "events_entity_type_check"),
    base.one_of("severity", enums.EventSeverity, "events_severity_check"),
    Index("idx_events_agent_id", "agent_id"),
    Index("idx_events_agent_time", "agent_id", LoggedEvent.timestamp.desc()),
    Index("idx_events_correlation", "correlation_id"),
    Index("idx_events_parent", "parent_event_id"),
    base.partial_index(
        "idx_events_severity", "severity", where="severity IN ('error', 'critical')"
    ),
    Index("idx_events_swarm_id", "team_id"),
    Index("idx_events_swarm_time", "team_id", LoggedEvent.timestamp.desc()),
    Index("idx_events_timestamp", LoggedEvent.timestamp.desc()),
    Index("idx_events_timestamp_type", LoggedEvent.timestamp.desc(), "type"),
    Index("idx_events_type", "type"),
)
