"""Events tell whom they concern, how grave they are and which event they came from."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# bootstrapd: allow add-foreign-key and add-constraint,
# because the first release, 0.1.0, makes the tables too: nobody has rows in them yet.


def upgrade() -> None:
    with op.batch_alter_table("events") as events:
        for column in _columns():
            events.add_column(column)
        events.create_foreign_key(
            "events_agent_id_fkey", "agents", ["agent_id"], ["id"], ondelete="SET NULL"
        )
        events.create_foreign_key(
            "events_parent_event_id_fkey",
            "events",
            ["parent_event_id"],
            ["id"],
            ondelete="SET NULL",
        )
        events.create_foreign_key(
            "events_team_id_fkey", "teams", ["team_id"], ["id"], ondelete="CASCADE"
        )
        events.create_check_constraint(
            "events_entity_type_check", "entity_type IN ('agent', 'task', 'system')"
        )
        events.create_check_constraint(
            "events_severity_check", "severity IN ('debug', 'info', 'warning', 'error', 'critical')"
        )


def downgrade() -> None:
    with op.batch_alter_table("events") as events:
        events.drop_constraint("events_severity_check", type_="check")
        events.drop_constraint("events_entity_type_check", type_="check")
        events.drop_constraint("events_team_id_fkey", type_="foreignkey")
        events.drop_constraint("events_parent_event_id_fkey", type_="foreignkey")
        events.drop_constraint("events_agent_id_fkey", type_="foreignkey")
        for column in reversed(_columns()):
            events.drop_column(column.name)


def _columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("team_id", sa.Text()),
        sa.Column("agent_id", sa.Text()),
        sa.Column("payload", models.JSON, server_default="{}", nullable=False),
        sa.Column("timestamp", models.Time(), server_default=models.now(), nullable=False),
        sa.Column("correlation_id", models.UUID()),
        sa.Column("parent_event_id", sa.Text()),
        sa.Column("entity_type", sa.String(50), server_default="system", nullable=False),
        sa.Column("severity", sa.String(20), server_default="info"),
    ]
