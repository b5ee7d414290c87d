"""Indexes for what is listed and looked up."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# bootstrapd: allow create-index,
# because the first release, 0.1.0, makes the tables too: nobody has rows in them yet.

# A column with a minus is sorted from the highest down.
_INDEXES = {
    "swarms": {
        "idx_swarms_created_at": ["-created_at"],
        "idx_swarms_status": ["status"],
    },
    "agents": {
        "idx_agents_lifecycle": ["lifecycle_state"],
        "idx_agents_model": ["model"],
        "idx_agents_spawned_at": ["-spawned_at"],
        "idx_agents_status": ["status"],
        "idx_agents_swarm_id": ["swarm_id"],
        "idx_agents_swarm_status": ["swarm_id", "status"],
    },
    "events": {
        "idx_events_agent_id": ["agent_id"],
        "idx_events_agent_time": ["agent_id", "-timestamp"],
        "idx_events_correlation": ["correlation_id"],
        "idx_events_swarm_id": ["swarm_id"],
        "idx_events_swarm_time": ["swarm_id", "-timestamp"],
        "idx_events_timestamp": ["-timestamp"],
        "idx_events_type": ["type"],
    },
    "sessions": {
        "idx_sessions_created_at": ["-created_at"],
        "idx_sessions_expires_at": ["expires_at"],
    },
    "budgets": {
        "idx_budgets_scope": ["scope_type", "scope_id"],
        "idx_budgets_swarm_id": ["swarm_id"],
    },
}


def upgrade() -> None:
    for table, indexes in _INDEXES.items():
        for name, columns in indexes.items():
            op.create_index(name, table, [_sorted(column) for column in columns])


def downgrade() -> None:
    for table, indexes in reversed(_INDEXES.items()):
        for name in reversed(indexes):
            op.drop_index(name, table)


def _sorted(column: str) -> str | sa.TextClause:
    return sa.text(f"{column[1:]} DESC") if column.startswith("-") else column
