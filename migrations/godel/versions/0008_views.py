"""Views: teams with their agents and budget, activity of agents, events of a day.

They say swarm for team, as those who read them do.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_SWARM_SUMMARY = """
SELECT
    t.id, t.name, t.status, t.created_at, t.config,
    (SELECT count(*) FROM agents a WHERE a.team_id = t.id AND a.status = 'running')
        AS running_agents,
    (SELECT count(*) FROM agents a WHERE a.team_id = t.id) AS total_agents,
    b.allocated AS budget_allocated,
    b.consumed AS budget_consumed,
    CASE WHEN b.allocated > 0 THEN round({consumed} / b.allocated * 100, 2) ELSE 0 END
        AS budget_percentage
FROM teams t
LEFT JOIN (
    SELECT
        team_id, allocated, consumed,
        row_number() OVER (
            PARTITION BY team_id
            ORDER BY CASE WHEN CAST(scope_id AS text) = team_id THEN 0 ELSE 1 END, created_at, id
        ) AS place
    FROM budgets
    WHERE scope_type = 'team'
) b ON b.team_id = t.id AND b.place = 1
"""
_AGENT_ACTIVITY = """
SELECT
    a.id, a.label, a.status, a.lifecycle_state, a.model, a.task, a.team_id,
    t.name AS swarm_name,
    a.spawned_at, a.completed_at,
    {agent_seconds} AS duration_seconds,
    a.retry_count, a.runtime
FROM agents a
LEFT JOIN teams t ON t.id = a.team_id
"""
_EVENT_STATS_24H = """
SELECT
    type,
    count(*) AS event_count,
    count(DISTINCT agent_id) AS unique_agents,
    count(DISTINCT team_id) AS unique_swarms,
    min("timestamp") AS first_occurrence,
    max("timestamp") AS last_occurrence
FROM events
WHERE "timestamp" > {yesterday}
GROUP BY type
"""
_POSTGRESQL = {
    "agent_seconds": "EXTRACT(EPOCH FROM COALESCE(a.completed_at, now()) - a.spawned_at)",
    "consumed": "b.consumed",
    "yesterday": "now() - INTERVAL '24 hours'",
}
_NOW = "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')"
_END = f"COALESCE(a.completed_at, {_NOW})"
_SQLITE = {
    "agent_seconds": (
        f"strftime('%s', substr({_END}, 1, 19)) - strftime('%s', substr(a.spawned_at, 1, 19))"
        f" + (substr({_END}, 20, 7) - substr(a.spawned_at, 20, 7))"
    ),
    "consumed": "CAST(b.consumed AS REAL)",
    "yesterday": "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '-24 hours')",
}
_VIEWS = {
    "swarm_summary": _SWARM_SUMMARY,
    "agent_activity": _AGENT_ACTIVITY,
    "event_stats_24h": _EVENT_STATS_24H,
}


def upgrade() -> None:
    parts = _POSTGRESQL if op.get_context().dialect.name == "postgresql" else _SQLITE
    for name, query in _VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS {query.strip().format(**parts)}")


def downgrade() -> None:
    for name in reversed(_VIEWS):
        op.execute(f"DROP VIEW {name}")
