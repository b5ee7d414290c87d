"""Pi: instances that run models, and sessions on them."""

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pi_instances",
        sa.Column("id", models.UUID(), server_default=models.random_uuid(), nullable=False),
        sa.Column("endpoint", sa.String(500), nullable=False),
        sa.Column("provider_type", sa.String(50), nullable=False),
        sa.Column("region", sa.String(100)),
        sa.Column("zone", sa.String(100)),
        sa.Column("version", sa.String(50)),
        sa.Column("capabilities", models.JSON, server_default="[]", nullable=False),
        sa.Column("health_status", sa.String(20), server_default="healthy", nullable=False),
        sa.Column("current_load", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("max_sessions", sa.Integer(), server_default=sa.text("100"), nullable=False),
        sa.Column(
            "cost_per_1k_input", models.Exact(10, 6), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "cost_per_1k_output", models.Exact(10, 6), server_default=sa.text("0"), nullable=False
        ),
        sa.Column("last_heartbeat", models.Time()),
        sa.Column("last_health_check", models.Time()),
        sa.Column("created_at", models.Time(), server_default=models.now(), nullable=False),
        sa.Column("updated_at", models.Time(), server_default=models.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_pi_instances"),
        sa.UniqueConstraint("endpoint", name="pi_instances_endpoint_key"),
        sa.CheckConstraint(
            "health_status IN ('healthy', 'degraded', 'unhealthy')",
            name="pi_instances_health_check",
        ),
        sa.CheckConstraint("current_load >= 0", name="pi_instances_load_check"),
        sa.CheckConstraint("max_sessions > 0", name="pi_instances_max_sessions_check"),
        sa.CheckConstraint(
            "provider_type IN ('anthropic', 'openai', 'google', 'groq', 'cerebras', 'ollama',"
            " 'kimi', 'minimax')",
            name="pi_instances_provider_check",
        ),
    )
    op.create_index("idx_pi_instances_health", "pi_instances", ["health_status"])
    op.create_index(
        "idx_pi_instances_healthy",
        "pi_instances",
        ["health_status", "current_load", "max_sessions"],
        sqlite_where=sa.text("health_status = 'healthy'"),
        postgresql_where=sa.text("health_status = 'healthy'"),
    )
    op.create_index("idx_pi_instances_heartbeat", "pi_instances", ["last_heartbeat"])
    op.create_index("idx_pi_instances_load", "pi_instances", ["current_load"])
    op.create_index("idx_pi_instances_provider", "pi_instances", ["provider_type"])
    op.create_index("idx_pi_instances_region", "pi_instances", ["region"])
    op.create_table(
        "pi_sessions",
        sa.Column("id", models.UUID(), server_default=models.random_uuid(), nullable=False),
        sa.Column("instance_id", models.UUID(), nullable=False),
        sa.Column("agent_id", models.UUID()),
        sa.Column("provider", sa.String(50), nullable=False),
        sa.Column("model", sa.String(100), nullable=False),
        sa.Column("status", sa.String(20), server_default="initializing", nullable=False),
        sa.Column("config", models.JSON, server_default="{}", nullable=False),
        sa.Column("tree_root_id", models.UUID()),
        sa.Column("current_node_id", models.UUID()),
        sa.Column("checkpoint_data", models.JSON),
        sa.Column("token_usage", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "cost_incurred", models.Exact(12, 4), server_default=sa.text("0"), nullable=False
        ),
        sa.Column("created_at", models.Time(), server_default=models.now(), nullable=False),
        sa.Column("updated_at", models.Time(), server_default=models.now(), nullable=False),
        sa.Column("ended_at", models.Time()),
        sa.PrimaryKeyConstraint("id", name="pk_pi_sessions"),
        sa.ForeignKeyConstraint(
            ["instance_id"],
            ["pi_instances.id"],
            name="pi_sessions_instance_id_fkey",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint("cost_incurred >= 0", name="pi_sessions_cost_check"),
        sa.CheckConstraint(
            "status IN ('initializing', 'active', 'paused', 'completed', 'failed', 'terminated')",
            name="pi_sessions_status_check",
        ),
        sa.CheckConstraint("token_usage >= 0", name="pi_sessions_token_usage_check"),
    )
    op.create_index("idx_pi_sessions_agent", "pi_sessions", ["agent_id"])
    op.create_index("idx_pi_sessions_created", "pi_sessions", [sa.text("created_at DESC")])
    op.create_index("idx_pi_sessions_ended", "pi_sessions", ["ended_at"])
    op.create_index("idx_pi_sessions_instance", "pi_sessions", ["instance_id"])
    op.create_index(
        "idx_pi_sessions_instance_status",
        "pi_sessions",
        ["instance_id", "status"],
        sqlite_where=sa.text("status IN ('initializing', 'active', 'paused')"),
        postgresql_where=sa.text("status IN ('initializing', 'active', 'paused')"),
    )
    op.create_index("idx_pi_sessions_provider", "pi_sessions", ["provider", "model"])
    op.create_index("idx_pi_sessions_status", "pi_sessions", ["status"])


def downgrade() -> None:
    op.drop_table("pi_sessions")
    op.drop_table("pi_instances")
