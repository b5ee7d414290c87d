"""Plans of tasks, and the conversations in which they are made."""

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TIME = models.Time(zone=False)
_NOW = models.now(zone=False)


def upgrade() -> None:
    op.create_table(
        "plan_sessions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False, server_default="active"),
        sa.Column("turns", models.JSON, server_default=sa.text("'[]'")),
        sa.Column("github_issue_url", sa.Text()),
        sa.Column("github_issue_number", sa.Integer()),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("completed_at", _TIME),
        sa.Column("updated_at", _TIME, nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("id", name="plan_sessions_pkey"),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name="plan_sessions_task_id_tasks_id_fk", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name="plan_sessions_project_id_projects_id_fk",
            ondelete="CASCADE",
        ),
    )
    op.add_column("tasks", sa.Column("model_override", sa.Text()))
    op.add_column("tasks", sa.Column("plan_options", models.JSON))
    op.add_column("tasks", sa.Column("plan", sa.Text()))


def downgrade() -> None:
    op.drop_column("tasks", "plan")
    op.drop_column("tasks", "plan_options")
    op.drop_column("tasks", "model_override")
    op.drop_table("plan_sessions")
