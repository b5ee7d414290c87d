"""The views of godel, on each dialect. Like its indexes they still say swarm for a team."""

from typing import Any

import sqlalchemy as sa

from bootstrap import models, serverside

_MONEY = models.Exact(12, 4)
_PERCENT = models.Exact(15, 2)
_PRICE = models.Exact(10, 6)
_WHOLE = sa.Integer()
_REAL = sa.Float()
_TEXT = sa.Text()
_TIME = models.Time()
_UUID = models.UUID()


def _view(name: str, /, **columns: sa.types.TypeEngine[Any]) -> sa.Table:
    # In a metadata of its own: nobody creates or compares it as a table.
    return sa.Table(name, sa.MetaData(), *(sa.Column(*column) for column in columns.items()))


SWARM_SUMMARY = _view(
    "swarm_summary",
    id=_TEXT,
    name=_TEXT,
    status=_TEXT,
    created_at=sa.BigInteger(),
    config=models.JSONText(dict),
    running_agents=_WHOLE,
    total_agents=_WHOLE,
    budget_allocated=_MONEY,
    budget_consumed=_MONEY,
    budget_percentage=_PERCENT,
)
AGENT_ACTIVITY = _view(
    "agent_activity",
    id=_TEXT,
    label=_TEXT,
    status=_TEXT,
    lifecycle_state=_TEXT,
    model=_TEXT,
    task=_TEXT,
    team_id=_TEXT,
    swarm_name=_TEXT,
    spawned_at=_TIME,
    completed_at=_TIME,
    duration_seconds=_REAL,
    retry_count=_WHOLE,
    runtime=_WHOLE,
)
EVENT_STATS_24H = _view(
    "event_stats_24h",
    type=_TEXT,
    event_count=_WHOLE,
    unique_agents=_WHOLE,
    unique_swarms=_WHOLE,
    first_occurrence=_TIME,
    last_occurrence=_TIME,
)
SCHEDULING_STATS = _view(
    "scheduling_stats",
    hour=models.Time(zone=False),
    total_attempts=_WHOLE,
    successful=_WHOLE,
    failed=_WHOLE,
    avg_latency_ms=_REAL,
    avg_affinity_score=_REAL,
)
PI_INSTANCE_SUMMARY = _view(
    "pi_instance_summary",
    id=_UUID,
    endpoint=_TEXT,
    provider_type=_TEXT,
    region=_TEXT,
    health_status=_TEXT,
    current_load=_WHOLE,
    max_sessions=_WHOLE,
    load_percentage=_PERCENT,
    cost_per_1k_input=_PRICE,
    cost_per_1k_output=_PRICE,
    last_heartbeat=_TIME,
    active_sessions=_WHOLE,
    created_at=_TIME,
)
PI_SESSION_ACTIVITY = _view(
    "pi_session_activity",
    id=_UUID,
    provider=_TEXT,
    model=_TEXT,
    status=_TEXT,
    instance_endpoint=_TEXT,
    token_usage=_WHOLE,
    cost_incurred=_MONEY,
    created_at=_TIME,
    ended_at=_TIME,
    duration_seconds=_REAL,
    pending_todos=_WHOLE,
)
WORKTREE_STATUS = _view(
    "worktree_status",
    id=_UUID,
    repository_path=_TEXT,
    worktree_path=_TEXT,
    base_branch=_TEXT,
    current_branch=_TEXT,
    status=_TEXT,
    cleanup_policy=_TEXT,
    created_at=_TIME,
    last_activity=_TIME,
    cleaned_up_at=_TIME,
    seconds_since_activity=_REAL,
    is_stale=sa.Boolean(),
)
TODO_SUMMARY = _view(
    "todo_summary",
    session_id=_UUID,
    pending_count=_WHOLE,
    in_progress_count=_WHOLE,
    completed_count=_WHOLE,
    blocked_count=_WHOLE,
    total_count=_WHOLE,
    oldest_pending=_TIME,
    last_completed=_TIME,
)

# Of several budgets of the scope team, a team's own goes first, then the oldest: a team is one row,
# whatever its budgets.
_DEFINITIONS = {
    "swarm_summary": """
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
""",
    "agent_activity": """
SELECT
    a.id, a.label, a.status, a.lifecycle_state, a.model, a.task, a.team_id,
    t.name AS swarm_name,
    a.spawned_at, a.completed_at,
    {agent_seconds} AS duration_seconds,
    a.retry_count, a.runtime
FROM agents a
LEFT JOIN teams t ON t.id = a.team_id
""",
    "event_stats_24h": """
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
""",
    "scheduling_stats": """
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
""",
    "pi_instance_summary": """
SELECT
    i.id, i.endpoint, i.provider_type, i.region, i.health_status, i.current_load, i.max_sessions,
    round(i.current_load * 100.0 / i.max_sessions, 2) AS load_percentage,
    i.cost_per_1k_input, i.cost_per_1k_output, i.last_heartbeat,
    (
        SELECT count(*) FROM pi_sessions s
        WHERE s.instance_id = i.id AND s.status IN ('initializing', 'active')
    ) AS active_sessions,
    i.created_at
FROM pi_instances i
""",
    "pi_session_activity": """
SELECT
    s.id, s.provider, s.model, s.status,
    i.endpoint AS instance_endpoint,
    s.token_usage, s.cost_incurred, s.created_at, s.ended_at,
    {session_seconds} AS duration_seconds,
    (
        SELECT count(*) FROM todos t
        WHERE t.session_id = s.id AND t.status IN ('pending', 'in_progress')
    ) AS pending_todos
FROM pi_sessions s
JOIN pi_instances i ON i.id = s.instance_id
""",
    "worktree_status": """
SELECT
    w.id, w.repository_path, w.worktree_path, w.base_branch, w.current_branch, w.status,
    w.cleanup_policy, w.created_at, w.last_activity, w.cleaned_up_at,
    {idle_seconds} AS seconds_since_activity,
    w.status = 'active' AND w.last_activity < {an_hour_ago} AS is_stale
FROM worktrees w
""",
    "todo_summary": """
SELECT
    session_id,
    count(*) FILTER (WHERE status = 'pending') AS pending_count,
    count(*) FILTER (WHERE status = 'in_progress') AS in_progress_count,
    count(*) FILTER (WHERE status = 'completed') AS completed_count,
    count(*) FILTER (WHERE status = 'blocked') AS blocked_count,
    count(*) AS total_count,
    min(created_at) FILTER (WHERE status = 'pending') AS oldest_pending,
    max(completed_at) AS last_completed
FROM todos
GROUP BY session_id
""",
}


def made(dialect: str) -> list[str]:
    """What makes the views."""
    parts = _parts(dialect)
    return [
        f"CREATE VIEW {name} AS {definition.strip().format(**parts)}"
        for name, definition in _DEFINITIONS.items()
    ]


def dropped() -> list[str]:
    """What takes them away."""
    return [f"DROP VIEW IF EXISTS {name}" for name in reversed(_DEFINITIONS)]


def _parts(dialect: str) -> dict[str, str]:
    now = serverside.now(dialect)
    on_postgres = dialect == "postgresql"
    return {
        # Of two whole numbers SQLite would make a whole number.
        "consumed": "b.consumed" if on_postgres else "CAST(b.consumed AS REAL)",
        "hour": (
            "date_trunc('hour', scheduled_at)"
            if on_postgres
            else "substr(scheduled_at, 1, 13) || ':00:00.000000Z'"
        ),
        "yesterday": serverside.ago("24 hours", dialect),
        "an_hour_ago": serverside.ago("1 hour", dialect),
        "agent_seconds": serverside.seconds(
            "a.spawned_at", f"COALESCE(a.completed_at, {now})", dialect
        ),
        "session_seconds": serverside.seconds(
            "s.created_at", f"COALESCE(s.ended_at, {now})", dialect
        ),
        "idle_seconds": serverside.seconds("w.last_activity", now, dialect),
    }
