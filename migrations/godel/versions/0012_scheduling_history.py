"""Where agents were placed and how well, with statistics by hours.

The ids are those of other systems too, so they reference no table.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from bootstrap import models

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TEXTS = models.JSONText(list).with_variant(postgresql.ARRAY(sa.Text()), "postgresql")
_SCHEDULING_STATS = """
SELECT
    {hour} AS hour,
    count(*) AS total_attempts,
    count(*) FILTER (WHERE success) AS successful,
    count(*) FILTER (WHERE NOT success) AS failed,
    avg(scheduling_latency_ms) AS avg_latency_ms,
    avg(affinity_score) AS avg_affinity_score
FROM scheduling_history
GROUP BY 1
ORDER BY 1 DESC
"""
_POSTGRESQL = {
    "hour": "date_trunc('hour', scheduled_at)",
}
_SQLITE = {
    "hour": "substr(scheduled_at, 1, 13) || ':00:00.000000Z'",
}
_VIEWS = {
    "scheduling_stats": _SCHEDULING_STATS,
}


def upgrade() -> None:
    op.create_table(
        "scheduling_history",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("agent_id", sa.String(255), nullable=False),
        sa.Column("team_id", sa.String(255)),
        sa.Column("node_id", sa.String(255)),
        sa.Column("success", sa.Boolean(), nullable=False),
        sa.Column("error_message", sa.Text()),
        sa.Column("cpu_requested", models.Exact(10, 2)),
        sa.Column("memory_requested", sa.Integer()),
        sa.Column("gpu_memory_requested", sa.Integer()),
        sa.Column(
            "scheduled_at",
            models.Time(zone=False),
            server_default=models.now(zone=False),
            nullable=False,
        ),
        sa.Column("affinity_score", models.Exact(5, 2)),
        sa.Column("preempted_agent_ids", _TEXTS),
        sa.Column("scheduling_latency_ms", sa.Integer()),
        sa.Column(
            "created_at",
            models.Time(zone=False),
            server_default=models.now(zone=False),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name="pk_scheduling_history"),
    )
    op.create_index("idx_scheduling_history_agent_id", "scheduling_history", ["agent_id"])
    op.create_index("idx_scheduling_history_node_id", "scheduling_history", ["node_id"])
    op.create_index("idx_scheduling_history_scheduled_at", "scheduling_history", ["scheduled_at"])
    op.create_index("idx_scheduling_history_success", "scheduling_history", ["success"])
    op.create_index("idx_scheduling_history_swarm_id", "scheduling_history", ["team_id"])
    parts = _POSTGRESQL if op.get_context().dialect.name == "postgresql" else _SQLITE
    for name, query in _VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS {query.strip().format(**parts)}")


def downgrade() -> None:
    for name in reversed(_VIEWS):
        op.execute(f"DROP VIEW {name}")
    op.drop_table("scheduling_history")
