"""The tables of dash. Names of keys are those that PostgreSQL would choose.

Every row has a UUID. The database makes all times. Amounts of money are exact decimals.
"""

import datetime
from decimal import Decimal
from typing import Any, Literal, get_args

import sqlalchemy as sa
from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedColumn, mapped_column

from bootstrap import models
from bootstrap.apps.dash import views

SwarmStatus = Literal["creating", "active", "scaling", "paused", "completed", "failed", "destroyed"]
AgentStatus = Literal["pending", "running", "paused", "completed", "failed", "blocked", "killed"]
LifecycleState = Literal[
    "initializing",
    "spawning",
    "running",
    "pausing",
    "paused",
    "resuming",
    "completing",
    "failed",
    "cleaning_up",
    "destroyed",
]
EntityType = Literal["agent", "task", "system"]
Severity = Literal["debug", "info", "warning", "error", "critical"]
ScopeType = Literal["swarm", "agent", "project"]
Currency = Literal["USD", "EUR", "GBP", "CAD"]

MONEY = models.Exact(12, 4)

_NAMES = {
    "pk": "%(table_name)s_pkey",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
}


class Base(DeclarativeBase):
    """What every table has."""

    metadata = sa.MetaData(naming_convention=_NAMES)
    # Their times are made by the database, and are there when an object has been written.
    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012


def _id() -> MappedColumn[str]:
    return mapped_column(
        models.UUID, primary_key=True, default=models.new_id, server_default=models.random_uuid()
    )


def _now() -> MappedColumn[datetime.datetime]:
    return mapped_column(models.Time, server_default=models.now())


def _updated() -> MappedColumn[datetime.datetime]:
    """A trigger sets it with every change."""
    return mapped_column(
        models.Time, server_default=models.now(), server_onupdate=sa.FetchedValue()
    )


def _one_of(column: str, values: Any, name: str) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in get_args(values))
    return CheckConstraint(f"{column} IN ({listed})", name=name)


class Swarm(Base):
    """A swarm with its configuration."""

    __tablename__ = "swarms"

    id: Mapped[str] = _id()
    name: Mapped[str] = mapped_column(String(255))
    config: Mapped[dict[str, Any]] = mapped_column(models.JSON, server_default="{}")
    status: Mapped[SwarmStatus] = mapped_column(String(50), server_default="active")
    created_at: Mapped[datetime.datetime] = _now()
    updated_at: Mapped[datetime.datetime] = _updated()
    completed_at: Mapped[datetime.datetime | None] = mapped_column(models.Time)

    __table_args__ = (
        _one_of("status", SwarmStatus, "swarms_status_check"),
        Index("idx_swarms_created_at", created_at.desc()),
        Index("idx_swarms_status", "status"),
    )


class Agent(Base):
    """An agent: its task, its state, where it is in its life. It outlives its swarm."""

    __tablename__ = "agents"

    id: Mapped[str] = _id()
    swarm_id: Mapped[str | None] = mapped_column(
        models.UUID, ForeignKey("swarms.id", ondelete="SET NULL")
    )
    label: Mapped[str | None] = mapped_column(String(255))
    status: Mapped[AgentStatus] = mapped_column(String(50), server_default="pending")
    lifecycle_state: Mapped[LifecycleState] = mapped_column(
        String(50), server_default="initializing"
    )
    model: Mapped[str] = mapped_column(String(100))
    task: Mapped[str] = mapped_column(Text)
    config: Mapped[dict[str, Any]] = mapped_column(models.JSON, server_default="{}")
    context: Mapped[dict[str, Any] | None] = mapped_column(models.JSON)
    code: Mapped[dict[str, Any] | None] = mapped_column(models.JSON)
    reasoning: Mapped[dict[str, Any] | None] = mapped_column(models.JSON)
    safety_boundaries: Mapped[dict[str, Any] | None] = mapped_column(models.JSON)
    spawned_at: Mapped[datetime.datetime] = _now()
    completed_at: Mapped[datetime.datetime | None] = mapped_column(models.Time)
    pause_time: Mapped[datetime.datetime | None] = mapped_column(models.Time)
    paused_by: Mapped[str | None] = mapped_column(String(255))
    runtime: Mapped[int | None] = mapped_column(Integer, server_default=sa.text("0"))
    retry_count: Mapped[int | None] = mapped_column(Integer, server_default=sa.text("0"))
    max_retries: Mapped[int | None] = mapped_column(Integer, server_default=sa.text("3"))
    last_error: Mapped[str | None] = mapped_column(Text)
    budget_limit: Mapped[Decimal | None] = mapped_column(MONEY)
    # The attribute's own name is taken in every declarative class.
    metadata_: Mapped[dict[str, Any] | None] = mapped_column(
        "metadata", models.JSON, server_default="{}"
    )
    updated_at: Mapped[datetime.datetime] = _updated()

    __table_args__ = (
        _one_of("lifecycle_state", LifecycleState, "agents_lifecycle_check"),
        _one_of("status", AgentStatus, "agents_status_check"),
        Index("idx_agents_lifecycle", "lifecycle_state"),
        Index("idx_agents_model", "model"),
        Index("idx_agents_spawned_at", spawned_at.desc()),
        Index("idx_agents_status", "status"),
        Index("idx_agents_swarm_id", "swarm_id"),
        Index("idx_agents_swarm_status", "swarm_id", "status"),
    )


class Event(Base):
    """Something that happened, maybe to an agent or a swarm, maybe because of another event."""

    __tablename__ = "events"

    id: Mapped[str] = _id()
    swarm_id: Mapped[str | None] = mapped_column(
        models.UUID, ForeignKey("swarms.id", ondelete="CASCADE")
    )
    agent_id: Mapped[str | None] = mapped_column(
        models.UUID, ForeignKey("agents.id", ondelete="SET NULL")
    )
    type: Mapped[str] = mapped_column(String(100))
    payload: Mapped[dict[str, Any]] = mapped_column(models.JSON, server_default="{}")
    timestamp: Mapped[datetime.datetime] = _now()
    correlation_id: Mapped[str | None] = mapped_column(models.UUID)
    parent_event_id: Mapped[str | None] = mapped_column(
        models.UUID, ForeignKey("events.id", ondelete="SET NULL")
    )
    entity_type: Mapped[EntityType] = mapped_column(String(50), server_default="system")
    severity: Mapped[Severity | None] = mapped_column(String(20), server_default="info")

    __table_args__ = (
        _one_of("entity_type", EntityType, "events_entity_type_check"),
        _one_of("severity", Severity, "events_severity_check"),
        Index("idx_events_agent_id", "agent_id"),
        Index("idx_events_agent_time", "agent_id", timestamp.desc()),
        Index("idx_events_correlation", "correlation_id"),
        # Who deletes an event asks for its children.
        Index("idx_events_parent", "parent_event_id"),
        Index("idx_events_swarm_id", "swarm_id"),
        Index("idx_events_swarm_time", "swarm_id", timestamp.desc()),
        Index("idx_events_timestamp", timestamp.desc()),
        Index("idx_events_type", "type"),
    )


class Session(Base):
    """A session: the tree of its branches, the branch that it is on, and data about it."""

    __tablename__ = "sessions"

    id: Mapped[str] = _id()
    tree_data: Mapped[dict[str, Any]] = mapped_column(models.JSON, server_default="{}")
    current_branch: Mapped[str | None] = mapped_column(String(255))
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", models.JSON, server_default="{}")
    created_at: Mapped[datetime.datetime] = _now()
    updated_at: Mapped[datetime.datetime] = _updated()
    expires_at: Mapped[datetime.datetime | None] = mapped_column(models.Time)

    __table_args__ = (
        Index("idx_sessions_created_at", created_at.desc()),
        Index("idx_sessions_expires_at", "expires_at"),
    )


class Budget(Base):
    """What a swarm, an agent or a project may spend, and what it has spent.

    `scope_id` is the id of any of these, so it references no table.
    """

    __tablename__ = "budgets"

    id: Mapped[str] = _id()
    swarm_id: Mapped[str] = mapped_column(models.UUID, ForeignKey("swarms.id", ondelete="CASCADE"))
    scope_type: Mapped[ScopeType] = mapped_column(String(50), server_default="swarm")
    scope_id: Mapped[str] = mapped_column(models.UUID)
    allocated: Mapped[Decimal] = mapped_column(MONEY, server_default=sa.text("0"))
    consumed: Mapped[Decimal] = mapped_column(MONEY, server_default=sa.text("0"))
    currency: Mapped[Currency] = mapped_column(String(3), server_default="USD")
    max_tokens: Mapped[int | None] = mapped_column(Integer)
    used_tokens: Mapped[int | None] = mapped_column(Integer, server_default=sa.text("0"))
    created_at: Mapped[datetime.datetime] = _now()
    updated_at: Mapped[datetime.datetime] = _updated()

    __table_args__ = (
        UniqueConstraint("scope_type", "scope_id", name="budgets_unique_scope"),
        _one_of("currency", Currency, "budgets_currency_check"),
        CheckConstraint("allocated >= 0 AND consumed >= 0", name="budgets_positive"),
        _one_of("scope_type", ScopeType, "budgets_scope_check"),
        Index("idx_budgets_scope", "scope_type", "scope_id"),
        Index("idx_budgets_swarm_id", "swarm_id"),
    )


class Migration(Base):
    """A revision that was applied, with the SHA-256 of its file: kept by the migrations."""

    __tablename__ = "_migrations"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(255), unique=True)
    applied_at: Mapped[datetime.datetime] = _now()
    checksum: Mapped[str] = mapped_column(String(64))

    __table_args__ = ({"info": {"bookkeeping": True}},)


views.attach(Base.metadata)
