"""The views and triggers of dash: what the database does by itself, on each dialect."""

import sqlalchemy as sa

from bootstrap import models, serverside

MONEY = models.Exact(12, 4)
TRIGGERED = ("swarms", "agents", "sessions", "budgets")

# Nobody creates or compares these as tables.
_METADATA = sa.MetaData()

SWARM_SUMMARY = sa.Table(
    "swarm_summary",
    _METADATA,
    sa.Column("id", models.UUID),
    sa.Column("name", sa.String),
    sa.Column("status", sa.String),
    sa.Column("created_at", models.Time),
    sa.Column("config", models.JSON),
    sa.Column("running_agents", sa.Integer),
    sa.Column("total_agents", sa.Integer),
    sa.Column("budget_allocated", MONEY),
    sa.Column("budget_consumed", MONEY),
    sa.Column("budget_percentage", models.Exact(15, 2)),
)

AGENT_ACTIVITY = sa.Table(
    "agent_activity",
    _METADATA,
    sa.Column("id", models.UUID),
    sa.Column("label", sa.String),
    sa.Column("status", sa.String),
    sa.Column("lifecycle_state", sa.String),
    sa.Column("model", sa.String),
    sa.Column("task", sa.Text),
    sa.Column("swarm_id", models.UUID),
    sa.Column("swarm_name", sa.String),
    sa.Column("spawned_at", models.Time),
    sa.Column("completed_at", models.Time),
    sa.Column("duration_seconds", sa.Float),
    sa.Column("retry_count", sa.Integer),
    sa.Column("runtime", sa.Integer),
)

EVENT_STATS_24H = sa.Table(
    "event_stats_24h",
    _METADATA,
    sa.Column("type", sa.String),
    sa.Column("event_count", sa.Integer),
    sa.Column("unique_agents", sa.Integer),
    sa.Column("unique_swarms", sa.Integer),
    sa.Column("first_occurrence", models.Time),
    sa.Column("last_occurrence", models.Time),
)

# Of several budgets of the scope swarm, a swarm's own goes first, then the oldest: a swarm is one
# row, whatever its budgets.
_DEFINITIONS = {
    "swarm_summary": """
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
""",
    "agent_activity": """
SELECT
    a.id, a.label, a.status, a.lifecycle_state, a.model, a.task, a.swarm_id,
    s.name AS swarm_name,
    a.spawned_at, a.completed_at,
    {seconds} AS duration_seconds,
    a.retry_count, a.runtime
FROM agents a
LEFT JOIN swarms s ON s.id = a.swarm_id
""",
    "event_stats_24h": """
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
""",
}


def attach(metadata: sa.MetaData) -> None:
    """Have `metadata.create_all` make them after its tables, and `drop_all` drop them before."""
    serverside.attach(metadata, statements, _dropped)


def statements(dialect: str) -> list[str]:
    """What makes the triggers and views on this dialect."""
    made = [serverside.UPDATED_AT] if dialect == "postgresql" else []
    made += [serverside.updated_at(table, dialect) for table in TRIGGERED]
    end = f"COALESCE(a.completed_at, {serverside.now(dialect)})"
    parts = {
        # Of two whole numbers SQLite would make a whole number.
        "consumed": "b.consumed" if dialect == "postgresql" else "CAST(b.consumed AS REAL)",
        "seconds": serverside.seconds("a.spawned_at", end, dialect),
        "yesterday": serverside.ago("24 hours", dialect),
    }
    for name, definition in _DEFINITIONS.items():
        made.append(f"CREATE VIEW {name} AS {definition.strip().format(**parts)}")
    return made


def _dropped(dialect: str) -> list[str]:
    dropped = [f"DROP VIEW IF EXISTS {name}" for name in reversed(_DEFINITIONS)]
    if dialect == "postgresql":
        dropped.append("DROP FUNCTION IF EXISTS update_updated_at_column() CASCADE")
    return dropped
