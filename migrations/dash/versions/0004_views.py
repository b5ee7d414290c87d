"""Views: swarms with their agents and budget, activity of agents, events of a day."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# One row a swarm, also where several budgets of its scope name it: its own goes first, then the
# oldest.
_SWARM_SUMMARY = """
SELECT
    s.id, s.name, s.status, s.created_at, s.config,
    (SELECT count(*) FROM agents a WHERE a.swarm_id = s.id AND a.status = 'running')
        AS running_agents,
    (SELECT count(*) FROM agents a WHERE a.swarm_id = s.id) AS total_agents,
    b.allocated AS budget_allocated,
    b.consumed AS budget_consumed,
    CASE WHEN b.allocated > 0 THEN round({consumed} / b.allocated * 100, 2) ELSE 0 END
        AS budget_percentage
FROM swarms s
LEFT JOIN budgets b ON b.id = COALESCE(
    (SELECT id FROM budgets WHERE scope_type = 'swarm' AND scope_id = s.id AND swarm_id = s.id),
    (SELECT id FROM budgets WHERE scope_type = 'swarm' AND swarm_id = s.id
     ORDER BY created_at, id LIMIT 1)
)
"""

_AGENT_ACTIVITY = """
SELECT
    a.id, a.label, a.status, a.lifecycle_state, a.model, a.task, a.swarm_id,
    s.name AS swarm_name,
    a.spawned_at, a.completed_at,
    {seconds} AS duration_seconds,
    a.retry_count, a.runtime
FROM agents a
LEFT JOIN swarms s ON s.id = a.swarm_id
"""

_EVENT_STATS_24H = """
SELECT
    type,
    count(*) AS event_count,
    count(DISTINCT agent_id) AS unique_agents,
    count(DISTINCT swarm_id) AS unique_swarms,
    min("timestamp") AS first_occurrence,
    max("timestamp") AS last_occurrence
FROM events
WHERE "timestamp" > {yesterday}
GROUP BY type
"""

_POSTGRESQL = {
    "consumed": "b.consumed",
    "seconds": "EXTRACT(EPOCH FROM COALESCE(a.completed_at, now()) - a.spawned_at)",
    "yesterday": "now() - INTERVAL '24 hours'",
}
_NOW = "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')"
_END = f"COALESCE(a.completed_at, {_NOW})"
_SQLITE = {
    # Of two whole numbers SQLite would make a whole number.
    "consumed": "CAST(b.consumed AS REAL)",
    # Its own functions of time know no more than milliseconds, and round them.
    "seconds": (
        f"strftime('%s', substr({_END}, 1, 19)) - strftime('%s', substr(a.spawned_at, 1, 19))"
        f" + (substr({_END}, 20, 7) - substr(a.spawned_at, 20, 7))"
    ),
    "yesterday": "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '-24 hours')",
}


def upgrade() -> None:
    parts = _SQLITE if op.get_context().dialect.name == "sqlite" else _POSTGRESQL
    for name, body in (
        ("swarm_summary", _SWARM_SUMMARY),
        ("agent_activity", _AGENT_ACTIVITY),
        ("event_stats_24h", _EVENT_STATS_24H),
    ):
        op.execute(f"CREATE VIEW {name} AS {body.strip().format(**parts)}")


def downgrade() -> None:
    for name in ("event_stats_24h", "agent_activity", "swarm_summary"):
        op.execute(f"DROP VIEW {name}")
