"""Runs of agents, and what their tools did."""

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TIME = models.Time(zone=False)
_NOW = models.now(zone=False)


def upgrade() -> None:
    op.create_table(
        "agent_runs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text()),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("started_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("completed_at", _TIME),
        sa.Column("turns_used", sa.Integer(), server_default="0"),
        sa.Column("tokens_used", sa.Integer(), server_default="0"),
        sa.Column("error_message", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="agent_runs_pkey"),
        sa.ForeignKeyConstraint(
            ["agent_id"], ["agents.id"], name="agent_runs_agent_id_agents_id_fk", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name="agent_runs_task_id_tasks_id_fk", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name="agent_runs_project_id_projects_id_fk",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
            name="agent_runs_session_id_sessions_id_fk",
            ondelete="SET NULL",
        ),
    )
    op.create_table(
        "audit_logs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text()),
        sa.Column("agent_run_id", sa.Text()),
        sa.Column("task_id", sa.Text()),
        sa.Column("project_id", sa.Text()),
        sa.Column("tool", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("input", models.JSON),
        sa.Column("output", models.JSON),
        sa.Column("error_message", sa.Text()),
        sa.Column("duration_ms", sa.Integer()),
        sa.Column("turn_number", sa.Integer()),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("id", name="audit_logs_pkey"),
        sa.ForeignKeyConstraint(
            ["agent_id"],
            ["agents.id"],
            name="audit_logs_agent_id_agents_id_fk",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["agent_run_id"],
            ["agent_runs.id"],
            name="audit_logs_agent_run_id_agent_runs_id_fk",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name="audit_logs_task_id_tasks_id_fk", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name="audit_logs_project_id_projects_id_fk",
            ondelete="CASCADE",
        ),
    )


def downgrade() -> None:
    op.drop_table("audit_logs")
    op.drop_table("agent_runs")
