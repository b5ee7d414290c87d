"""Which role an agent plays, and where its requests go."""

import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Boolean, CheckConstraint, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from bootstrap import models
from bootstrap.apps.godel import enums
from bootstrap.apps.godel.models import base


class AgentRole(base.Base):
    """What an agent of this role is told and may do."""

    __tablename__ = "agent_roles"

    id: Mapped[str] = base.uuid_key()
    role_id: Mapped[str] = mapped_column(String(50))
    name: Mapped[str] = mapped_column(String(100))
    description: Mapped[str | None] = mapped_column(Text)
    system_prompt: Mapped[str] = mapped_column(Text)
    tools_allowed: Mapped[list[Any]] = mapped_column(models.JSON, server_default="[]")
    permissions: Mapped[list[Any]] = mapped_column(models.JSON, server_default="[]")
    max_iterations: Mapped[int] = mapped_column(Integer, server_default=sa.text("10"))
    auto_submit: Mapped[bool] = mapped_column(Boolean, server_default=sa.false())
    require_approval: Mapped[bool] = mapped_column(Boolean, server_default=sa.false())
    can_message_roles: Mapped[list[Any]] = mapped_column(models.JSON, server_default="[]")
    created_at: Mapped[datetime.datetime] = base.made()
    updated_at: Mapped[datetime.datetime] = base.updated()

    __table_args__ = (
        UniqueConstraint("role_id", name="agent_roles_role_id_key"),
        CheckConstraint("max_iterations > 0", name="agent_roles_iterations_check"),
        Index("idx_agent_roles_created", created_at.desc()),
        Index("idx_agent_roles_name", "name"),
        Index("idx_agent_roles_role_id", "role_id"),
    )


class OpenclawInstance(base.Base):
    """A gateway with its load and its weight in the choice between them."""

    __tablename__ = "openclaw_instances"

    id: Mapped[str] = base.uuid_key()
    endpoint: Mapped[str] = mapped_column(String(500))
    region: Mapped[str | None] = mapped_column(String(100))
    zone: Mapped[str | None] = mapped_column(String(100))
    capabilities: Mapped[list[Any]] = mapped_column(models.JSON, server_default="[]")
    cpu_percent: Mapped[Decimal | None] = mapped_column(models.Exact(5, 2))
    memory_percent: Mapped[Decimal | None] = mapped_column(models.Exact(5, 2))
    health_status: Mapped[enums.OpenclawHealthStatus] = mapped_column(
        String(20), server_default="healthy"
    )
    current_sessions: Mapped[int] = mapped_column(Integer, server_default=sa.text("0"))
    max_sessions: Mapped[int] = mapped_column(Integer, server_default=sa.text("100"))
    routing_weight: Mapped[int] = mapped_column(Integer, server_default=sa.text("100"))
    is_active: Mapped[bool] = mapped_column(Boolean, server_default=sa.true())
    last_health_check: Mapped[datetime.datetime | None] = mapped_column(models.Time)
    created_at: Mapped[datetime.datetime] = base.made()
    updated_at: Mapped[datetime.datetime] = base.updated()

    __table_args__ = (
        UniqueConstraint("endpoint", name="openclaw_instances_endpoint_key"),
        CheckConstraint(
            "cpu_percent >= 0 AND cpu_percent <= 100", name="openclaw_instances_cpu_check"
        ),
        base.one_of("health_status", enums.OpenclawHealthStatus, "openclaw_instances_health_check"),
        CheckConstraint("max_sessions > 0", name="openclaw_instances_max_sessions_check"),
        CheckConstraint(
            "memory_percent >= 0 AND memory_percent <= 100", name="openclaw_instances_memory_check"
        ),
        CheckConstraint("current_sessions >= 0", name="openclaw_instances_sessions_check"),
        CheckConstraint("routing_weight >= 0", name="openclaw_instances_weight_check"),
        Index("idx_openclaw_instances_active", "is_active"),
        Index("idx_openclaw_instances_health", "health_status"),
        Index("idx_openclaw_instances_health_check", "last_health_check"),
        Index("idx_openclaw_instances_region", "region"),
        base.partial_index(
            "idx_openclaw_instances_routing",
            "is_active",
            "health_status",
            "routing_weight",
            where="is_active AND health_status = 'healthy'",
            sqlite_where="is_active = 1 AND health_status = 'healthy'",
        ),
    )


class ProviderRoutingRule(base.Base):
    """How the provider of a request is chosen."""

    __tablename__ = "provider_routing_rules"

    id: Mapped[str] = base.uuid_key()
    name: Mapped[str] = mapped_column(String(100))
    strategy: Mapped[enums.RoutingStrategy] = mapped_column(
        String(50), server_default="cost_optimized"
    )
    fallback_chain: Mapped[list[Any]] = mapped_column(models.JSON, server_default="[]")
    cost_optimization_enabled: Mapped[bool] = mapped_column(Boolean, server_default=sa.true())
    capability_matching_enabled: Mapped[bool] = mapped_column(Boolean, server_default=sa.true())
    created_at: Mapped[datetime.datetime] = base.made()
    updated_at: Mapped[datetime.datetime] = base.updated()

    __table_args__ = (
        UniqueConstraint("name", name="provider_routing_rules_name_key"),
        base.one_of("strategy", enums.RoutingStrategy, "provider_routing_strategy_check"),
        Index("idx_provider_routing_created", created_at.desc()),
        Index("idx_provider_routing_name", "name"),
        Index("idx_provider_routing_strategy", "strategy"),
    )
