"""Agents are run: their team, state, life, retries and spending limit.

Defaults fill all that is new: a program that knows the columns of before writes agents as before.

godel once noted its revisions in a table `_migrations`. Alembic notes them in its own, so there is
no such table here.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# bootstrapd: allow add-foreign-key and add-constraint,
# because the first release, 0.1.0, makes the tables too: nobody has rows in them yet.


def upgrade() -> None:
    with op.batch_alter_table("agents") as agents:
        for column in _columns():
            agents.add_column(column)
        agents.create_foreign_key(
            "agents_team_id_fkey", "teams", ["team_id"], ["id"], ondelete="SET NULL"
        )
        agents.create_check_constraint(
            "agents_lifecycle_check",
            "lifecycle_state IN ('initializing', 'spawning', 'running', 'pausing', 'paused',"
            " 'resuming', 'completing', 'failed', 'cleaning_up', 'destroyed')",
        )
        agents.create_check_constraint(
            "agents_status_check",
            "status IN ('pending', 'running', 'paused', 'completed', 'failed', 'blocked',"
            " 'killed')",
        )


def downgrade() -> None:
    with op.batch_alter_table("agents") as agents:
        agents.drop_constraint("agents_status_check", type_="check")
        agents.drop_constraint("agents_lifecycle_check", type_="check")
        agents.drop_constraint("agents_team_id_fkey", type_="foreignkey")
        for column in reversed(_columns()):
            agents.drop_column(column.name)


def _columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("team_id", sa.Text()),
        sa.Column("label", sa.String(255)),
        sa.Column("status", sa.String(50), server_default="pending", nullable=False),
        sa.Column("lifecycle_state", sa.String(50), server_default="initializing", nullable=False),
        sa.Column("config", models.JSON, server_default="{}", nullable=False),
        sa.Column("context", models.JSON),
        sa.Column("code", models.JSON),
        sa.Column("reasoning", models.JSON),
        sa.Column("safety_boundaries", models.JSON),
        sa.Column("spawned_at", models.Time(), server_default=models.now(), nullable=False),
        sa.Column("completed_at", models.Time()),
        sa.Column("pause_time", models.Time()),
        sa.Column("paused_by", sa.String(255)),
        sa.Column("runtime", sa.Integer(), server_default=sa.text("0")),
        sa.Column("retry_count", sa.Integer(), server_default=sa.text("0")),
        sa.Column("max_retries", sa.Integer(), server_default=sa.text("3")),
        sa.Column("last_error", sa.Text()),
        sa.Column("budget_limit", models.Exact(12, 4)),
    ]
