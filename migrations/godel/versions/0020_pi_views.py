"""Views: load of instances, activity of sessions, state of worktrees, what is to be done."""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_PI_INSTANCE_SUMMARY = """
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
"""
_PI_SESSION_ACTIVITY = """
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
"""
_WORKTREE_STATUS = """
SELECT
    w.id, w.repository_path, w.worktree_path, w.base_branch, w.current_branch, w.status,
    w.cleanup_policy, w.created_at, w.last_activity, w.cleaned_up_at,
    {idle_seconds} AS seconds_since_activity,
    w.status = 'active' AND w.last_activity < {an_hour_ago} AS is_stale
FROM worktrees w
"""
_TODO_SUMMARY = """
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
"""
_POSTGRESQL = {
    "an_hour_ago": "now() - INTERVAL '1 hour'",
    "idle_seconds": "EXTRACT(EPOCH FROM now() - w.last_activity)",
    "session_seconds": "EXTRACT(EPOCH FROM COALESCE(s.ended_at, now()) - s.created_at)",
}
_NOW = "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')"
_END = f"COALESCE(s.ended_at, {_NOW})"
_SQLITE = {
    "an_hour_ago": "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '-1 hour')",
    "idle_seconds": (
        f"strftime('%s', substr({_NOW}, 1, 19)) - strftime('%s', substr(w.last_activity, 1, 19))"
        f" + (substr({_NOW}, 20, 7) - substr(w.last_activity, 20, 7))"
    ),
    "session_seconds": (
        f"strftime('%s', substr({_END}, 1, 19)) - strftime('%s', substr(s.created_at, 1, 19))"
        f" + (substr({_END}, 20, 7) - substr(s.created_at, 20, 7))"
    ),
}
_VIEWS = {
    "pi_instance_summary": _PI_INSTANCE_SUMMARY,
    "pi_session_activity": _PI_SESSION_ACTIVITY,
    "worktree_status": _WORKTREE_STATUS,
    "todo_summary": _TODO_SUMMARY,
}


def upgrade() -> None:
    parts = _POSTGRESQL if op.get_context().dialect.name == "postgresql" else _SQLITE
    for name, query in _VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS {query.strip().format(**parts)}")


def downgrade() -> None:
    for name in reversed(_VIEWS):
        op.execute(f"DROP VIEW {name}")
