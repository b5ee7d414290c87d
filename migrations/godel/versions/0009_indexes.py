"""Indexes for what is listed and looked up among agents, teams, sessions and budgets."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# bootstrapd: allow create-index,
# because the first release, 0.1.0, makes the tables too: nobody has rows in them yet.


def upgrade() -> None:
    op.create_index("idx_agents_lifecycle", "agents", ["lifecycle_state"])
    op.create_index("idx_agents_model", "agents", ["model"])
    op.create_index("idx_agents_spawned_at", "agents", [sa.text("spawned_at DESC")])
    op.create_index("idx_agents_status", "agents", ["status"])
    op.create_index("idx_agents_swarm_id", "agents", ["team_id"])
    op.create_index("idx_swarms_created_at", "teams", [sa.text("created_at DESC")])
    op.create_index("idx_swarms_status", "teams", ["status"])
    op.create_index("idx_sessions_created_at", "sessions", [sa.text("created_at DESC")])
    op.create_index("idx_sessions_expires_at", "sessions", ["expires_at"])
    op.create_index("idx_budgets_scope", "budgets", ["scope_type", "scope_id"])
    op.create_index("idx_budgets_swarm_id", "budgets", ["team_id"])
    op.create_index("idx_agents_status_spawned", "agents", ["status", sa.text("spawned_at DESC")])
    op.create_index("idx_agents_swarm_status", "agents", ["team_id", "status"])
    op.create_index(
        "idx_budgets_consumption",
        "budgets",
        ["team_id", sa.text("consumed DESC")],
        sqlite_where=sa.text("consumed > 0"),
        postgresql_where=sa.text("consumed > 0"),
    )


def downgrade() -> None:
    op.drop_index("idx_budgets_consumption", "budgets")
    op.drop_index("idx_agents_swarm_status", "agents")
    op.drop_index("idx_agents_status_spawned", "agents")
    op.drop_index("idx_budgets_swarm_id", "budgets")
    op.drop_index("idx_budgets_scope", "budgets")
    op.drop_index("idx_sessions_expires_at", "sessions")
    op.drop_index("idx_sessions_created_at", "sessions")
    op.drop_index("idx_swarms_status", "teams")
    op.drop_index("idx_swarms_created_at", "teams")
    op.drop_index("idx_agents_swarm_id", "agents")
    op.drop_index("idx_agents_status", "agents")
    op.drop_index("idx_agents_spawned_at", "agents")
    op.drop_index("idx_agents_model", "agents")
    op.drop_index("idx_agents_lifecycle", "agents")
