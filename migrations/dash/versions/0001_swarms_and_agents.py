"""Swarms, agents, events, sessions and budgets."""

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "_migrations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        _now("applied_at"),
        sa.Column("checksum", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="_migrations_pkey"),
        sa.UniqueConstraint("name", name="_migrations_name_key"),
    )
    op.create_table(
        "swarms",
        _id(),
        sa.Column("name", sa.String(255), nullable=False),
        _object("config"),
        sa.Column("status", sa.String(50), server_default="active", nullable=False),
        _now("created_at"),
        _now("updated_at"),
        sa.Column("completed_at", models.Time()),
        sa.PrimaryKeyConstraint("id", name="swarms_pkey"),
        sa.CheckConstraint(
            "status IN ('creating', 'active', 'scaling', 'paused', 'completed', 'failed',"
            " 'destroyed')",
            name="swarms_status_check",
        ),
    )
    op.create_table(
        "agents",
        _id(),
        sa.Column("swarm_id", models.UUID()),
        sa.Column("label", sa.String(255)),
        sa.Column("status", sa.String(50), server_default="pending", nullable=False),
        sa.Column("lifecycle_state", sa.String(50), server_default="initializing", nullable=False),
        sa.Column("model", sa.String(100), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        _object("config"),
        sa.Column("context", models.JSON),
        sa.Column("code", models.JSON),
        sa.Column("reasoning", models.JSON),
        sa.Column("safety_boundaries", models.JSON),
        _now("spawned_at"),
        sa.Column("completed_at", models.Time()),
        sa.Column("pause_time", models.Time()),
        sa.Column("paused_by", sa.String(255)),
        sa.Column("runtime", sa.Integer(), server_default=sa.text("0")),
        sa.Column("retry_count", sa.Integer(), server_default=sa.text("0")),
        sa.Column("max_retries", sa.Integer(), server_default=sa.text("3")),
        sa.Column("last_error", sa.Text()),
        sa.Column("budget_limit", models.Exact(12, 4)),
        sa.Column("metadata", models.JSON, server_default="{}"),
        sa.PrimaryKeyConstraint("id", name="agents_pkey"),
        sa.CheckConstraint(
            "lifecycle_state IN ('initializing', 'spawning', 'running', 'pausing', 'paused',"
            " 'resuming', 'completing', 'failed', 'cleaning_up', 'destroyed')",
            name="agents_lifecycle_check",
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'running', 'paused', 'completed', 'failed', 'blocked',"
            " 'killed')",
            name="agents_status_check",
        ),
        sa.ForeignKeyConstraint(
            ["swarm_id"], ["swarms.id"], name="agents_swarm_id_fkey", ondelete="SET NULL"
        ),
    )
    op.create_table(
        "events",
        _id(),
        sa.Column("swarm_id", models.UUID()),
        sa.Column("agent_id", models.UUID()),
        sa.Column("type", sa.String(100), nullable=False),
        _object("payload"),
        _now("timestamp"),
        sa.Column("correlation_id", models.UUID()),
        sa.Column("parent_event_id", models.UUID()),
        sa.Column("entity_type", sa.String(50), server_default="system", nullable=False),
        sa.Column("severity", sa.String(20), server_default="info"),
        sa.PrimaryKeyConstraint("id", name="events_pkey"),
        sa.CheckConstraint(
            "entity_type IN ('agent', 'task', 'system')", name="events_entity_type_check"
        ),
        sa.CheckConstraint(
            "severity IN ('debug', 'info', 'warning', 'error', 'critical')",
            name="events_severity_check",
        ),
        sa.ForeignKeyConstraint(
            ["swarm_id"], ["swarms.id"], name="events_swarm_id_fkey", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["agent_id"], ["agents.id"], name="events_agent_id_fkey", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["parent_event_id"],
            ["events.id"],
            name="events_parent_event_id_fkey",
            ondelete="SET NULL",
        ),
    )
    op.create_table(
        "sessions",
        _id(),
        _object("tree_data"),
        sa.Column("current_branch", sa.String(255)),
        _object("metadata"),
        _now("created_at"),
        _now("updated_at"),
        sa.Column("expires_at", models.Time()),
        sa.PrimaryKeyConstraint("id", name="sessions_pkey"),
    )
    op.create_table(
        "budgets",
        _id(),
        sa.Column("swarm_id", models.UUID(), nullable=False),
        sa.Column("scope_type", sa.String(50), server_default="swarm", nullable=False),
        sa.Column("scope_id", models.UUID(), nullable=False),
        sa.Column("allocated", models.Exact(12, 4), server_default=sa.text("0"), nullable=False),
        sa.Column("consumed", models.Exact(12, 4), server_default=sa.text("0"), nullable=False),
        sa.Column("currency", sa.String(3), server_default="USD", nullable=False),
        sa.Column("max_tokens", sa.Integer()),
        sa.Column("used_tokens", sa.Integer(), server_default=sa.text("0")),
        _now("created_at"),
        _now("updated_at"),
        sa.PrimaryKeyConstraint("id", name="budgets_pkey"),
        sa.UniqueConstraint("scope_type", "scope_id", name="budgets_unique_scope"),
        sa.CheckConstraint(
            "currency IN ('USD', 'EUR', 'GBP', 'CAD')", name="budgets_currency_check"
        ),
        sa.CheckConstraint("allocated >= 0 AND consumed >= 0", name="budgets_positive"),
        sa.CheckConstraint(
            "scope_type IN ('swarm', 'agent', 'project')", name="budgets_scope_check"
        ),
        sa.ForeignKeyConstraint(
            ["swarm_id"], ["swarms.id"], name="budgets_swarm_id_fkey", ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    for table in ("budgets", "sessions", "events", "agents", "swarms", "_migrations"):
        op.drop_table(table)


def _id() -> sa.Column[str]:
    return sa.Column("id", models.UUID(), server_default=models.random_uuid(), nullable=False)


def _now(name: str) -> sa.Column[object]:
    return sa.Column(name, models.Time(), server_default=models.now(), nullable=False)


def _object(name: str) -> sa.Column[object]:
    return sa.Column(name, models.JSON, server_default="{}", nullable=False)
