"""Roles of agents, gateways, and the rules by which a request finds its provider."""

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "agent_roles",
        sa.Column("id", models.UUID(), server_default=models.random_uuid(), nullable=False),
        sa.Column("role_id", sa.String(50), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("system_prompt", sa.Text(), nullable=False),
        sa.Column("tools_allowed", models.JSON, server_default="[]", nullable=False),
        sa.Column("permissions", models.JSON, server_default="[]", nullable=False),
        sa.Column("max_iterations", sa.Integer(), server_default=sa.text("10"), nullable=False),
        sa.Column("auto_submit", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("require_approval", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("can_message_roles", models.JSON, server_default="[]", nullable=False),
        sa.Column("created_at", models.Time(), server_default=models.now(), nullable=False),
        sa.Column("updated_at", models.Time(), server_default=models.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_agent_roles"),
        sa.UniqueConstraint("role_id", name="agent_roles_role_id_key"),
        sa.CheckConstraint("max_iterations > 0", name="agent_roles_iterations_check"),
    )
    op.create_index("idx_agent_roles_created", "agent_roles", [sa.text("created_at DESC")])
    op.create_index("idx_agent_roles_name", "agent_roles", ["name"])
    op.create_index("idx_agent_roles_role_id", "agent_roles", ["role_id"])
    op.create_table(
        "openclaw_instances",
        sa.Column("id", models.UUID(), server_default=models.random_uuid(), nullable=False),
        sa.Column("endpoint", sa.String(500), nullable=False),
        sa.Column("region", sa.String(100)),
        sa.Column("zone", sa.String(100)),
        sa.Column("capabilities", models.JSON, server_default="[]", nullable=False),
        sa.Column("cpu_percent", models.Exact(5, 2)),
        sa.Column("memory_percent", models.Exact(5, 2)),
        sa.Column("health_status", sa.String(20), server_default="healthy", nullable=False),
        sa.Column("current_sessions", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("max_sessions", sa.Integer(), server_default=sa.text("100"), nullable=False),
        sa.Column("routing_weight", sa.Integer(), server_default=sa.text("100"), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("last_health_check", models.Time()),
        sa.Column("created_at", models.Time(), server_default=models.now(), nullable=False),
        sa.Column("updated_at", models.Time(), server_default=models.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_openclaw_instances"),
        sa.UniqueConstraint("endpoint", name="openclaw_instances_endpoint_key"),
        sa.CheckConstraint(
            "cpu_percent >= 0 AND cpu_percent <= 100", name="openclaw_instances_cpu_check"
        ),
        sa.CheckConstraint(
            "health_status IN ('healthy', 'degraded', 'unhealthy')",
            name="openclaw_instances_health_check",
        ),
        sa.CheckConstraint("max_sessions > 0", name="openclaw_instances_max_sessions_check"),
        sa.CheckConstraint(
            "memory_percent >= 0 AND memory_percent <= 100", name="openclaw_instances_memory_check"
        ),
        sa.CheckConstraint("current_sessions >= 0", name="openclaw_instances_sessions_check"),
        sa.CheckConstraint("routing_weight >= 0", name="openclaw_instances_weight_check"),
    )
    op.create_index("idx_openclaw_instances_active", "openclaw_instances", ["is_active"])
    op.create_index("idx_openclaw_instances_health", "openclaw_instances", ["health_status"])
    op.create_index(
        "idx_openclaw_instances_health_check", "openclaw_instances", ["last_health_check"]
    )
    op.create_index("idx_openclaw_instances_region", "openclaw_instances", ["region"])
    op.create_index(
        "idx_openclaw_instances_routing",
        "openclaw_instances",
        ["is_active", "health_status", "routing_weight"],
        sqlite_where=sa.text("is_active = 1 AND health_status = 'healthy'"),
        postgresql_where=sa.text("is_active AND health_status = 'healthy'"),
    )
    op.create_table(
        "provider_routing_rules",
        sa.Column("id", models.UUID(), server_default=models.random_uuid(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("strategy", sa.String(50), server_default="cost_optimized", nullable=False),
        sa.Column("fallback_chain", models.JSON, server_default="[]", nullable=False),
        sa.Column(
            "cost_optimization_enabled", sa.Boolean(), server_default=sa.true(), nullable=False
        ),
        sa.Column(
            "capability_matching_enabled", sa.Boolean(), server_default=sa.true(), nullable=False
        ),
        sa.Column("created_at", models.Time(), server_default=models.now(), nullable=False),
        sa.Column("updated_at", models.Time(), server_default=models.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_provider_routing_rules"),
        sa.UniqueConstraint("name", name="provider_routing_rules_name_key"),
        sa.CheckConstraint(
            "strategy IN ('cost_optimized', 'capability_matched', 'fallback_chain', 'round_robin',"
            " 'weighted')",
            name="provider_routing_strategy_check",
        ),
    )
    op.create_index(
        "idx_provider_routing_created", "provider_routing_rules", [sa.text("created_at DESC")]
    )
    op.create_index("idx_provider_routing_name", "provider_routing_rules", ["name"])
    op.create_index("idx_provider_routing_strategy", "provider_routing_rules", ["strategy"])


def downgrade() -> None:
    op.drop_table("provider_routing_rules")
    op.drop_table("openclaw_instances")
    op.drop_table("agent_roles")
