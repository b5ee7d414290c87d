"""Indexes of events, built while events are written.

No transaction holds them together: both ways can be run again from wherever they were stopped.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_INDEXES: tuple[tuple[str, str, list[Any], sa.TextClause | None], ...] = (
    ("idx_events_agent_id", "events", ["agent_id"], None),
    ("idx_events_agent_time", "events", ["agent_id", sa.text("timestamp DESC")], None),
    ("idx_events_correlation", "events", ["correlation_id"], None),
    # For every event that goes the database looks for those that it caused.
    ("idx_events_parent", "events", ["parent_event_id"], None),
    ("idx_events_severity", "events", ["severity"], sa.text("severity IN ('error', 'critical')")),
    ("idx_events_swarm_id", "events", ["team_id"], None),
    ("idx_events_swarm_time", "events", ["team_id", sa.text("timestamp DESC")], None),
    ("idx_events_timestamp", "events", [sa.text("timestamp DESC")], None),
    ("idx_events_timestamp_type", "events", [sa.text("timestamp DESC"), "type"], None),
    ("idx_events_type", "events", ["type"], None),
)


def upgrade() -> None:
    if op.get_context().dialect.name != "postgresql":
        for name, table, columns, where in _INDEXES:
            op.create_index(name, table, columns, sqlite_where=where)
        return
    with op.get_context().autocommit_block():
        for name, table, columns, where in _INDEXES:
            # One that was left invalid when this was broken off would stay so.
            op.drop_index(name, table, postgresql_concurrently=True, if_exists=True)
            op.create_index(
                name, table, columns, postgresql_where=where, postgresql_concurrently=True
            )


def downgrade() -> None:
    if op.get_context().dialect.name != "postgresql":
        for name, table, *_ in reversed(_INDEXES):
            op.drop_index(name, table)
        return
    with op.get_context().autocommit_block():
        for name, table, *_ in reversed(_INDEXES):
            op.drop_index(name, table, postgresql_concurrently=True, if_exists=True)
