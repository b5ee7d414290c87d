"""Projects, their agents, sessions, worktrees and tasks.

Sessions and tasks name each other, as do worktrees and tasks. SQLite takes a foreign key to a table
that is still to come and can add none later; PostgreSQL wants it the other way round.
"""

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TIME = models.Time(zone=False)
_NOW = models.now(zone=False)
_LATER = (
    ("sessions_task_id_tasks_id_fk", "sessions"),
    ("worktrees_task_id_tasks_id_fk", "worktrees"),
)


def upgrade() -> None:
    op.create_table(
        "projects",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("config", models.JSON),
        sa.Column("max_concurrent_agents", sa.Integer(), server_default="3"),
        sa.Column("github_owner", sa.Text()),
        sa.Column("github_repo", sa.Text()),
        sa.Column("config_path", sa.Text(), server_default=".claude"),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("updated_at", _TIME, nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("id", name="projects_pkey"),
        sa.UniqueConstraint("path", name="projects_path_unique"),
    )
    op.create_table(
        "agents",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False, server_default="task"),
        sa.Column("status", sa.Text(), nullable=False, server_default="idle"),
        sa.Column("config", models.JSON),
        sa.Column("current_task_id", sa.Text()),
        sa.Column("current_session_id", sa.Text()),
        sa.Column("current_turn", sa.Integer(), server_default="0"),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("updated_at", _TIME, nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("id", name="agents_pkey"),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name="agents_project_id_projects_id_fk",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text()),
        sa.Column("agent_id", sa.Text()),
        sa.Column("status", sa.Text(), nullable=False, server_default="idle"),
        sa.Column("title", sa.Text()),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("updated_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("closed_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="sessions_pkey"),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name="sessions_project_id_projects_id_fk",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["task_id"],
            ["tasks.id"],
            name="sessions_task_id_tasks_id_fk",
            ondelete="SET NULL",
            use_alter=True,
        ),
        sa.ForeignKeyConstraint(
            ["agent_id"], ["agents.id"], name="sessions_agent_id_agents_id_fk", ondelete="SET NULL"
        ),
    )
    op.create_table(
        "worktrees",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text()),
        sa.Column("task_id", sa.Text()),
        sa.Column("branch", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("base_branch", sa.Text(), nullable=False, server_default="main"),
        sa.Column("status", sa.Text(), nullable=False, server_default="creating"),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("updated_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("merged_at", _TIME),
        sa.Column("removed_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="worktrees_pkey"),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name="worktrees_project_id_projects_id_fk",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["agent_id"], ["agents.id"], name="worktrees_agent_id_agents_id_fk", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["task_id"],
            ["tasks.id"],
            name="worktrees_task_id_tasks_id_fk",
            ondelete="SET NULL",
            use_alter=True,
        ),
    )
    op.create_table(
        "tasks",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text()),
        sa.Column("session_id", sa.Text()),
        sa.Column("worktree_id", sa.Text()),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("column", sa.Text(), nullable=False, server_default="backlog"),
        sa.Column("position", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("labels", models.JSON, server_default=sa.text("'[]'")),
        sa.Column("priority", sa.Text(), server_default="medium"),
        sa.Column("branch", sa.Text()),
        sa.Column("diff_summary", models.JSON),
        sa.Column("approved_at", _TIME),
        sa.Column("approved_by", sa.Text()),
        sa.Column("rejection_count", sa.Integer(), server_default="0"),
        sa.Column("rejection_reason", sa.Text()),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("updated_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("started_at", _TIME),
        sa.Column("completed_at", _TIME),
        sa.Column("last_agent_status", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="tasks_pkey"),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name="tasks_project_id_projects_id_fk",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["agent_id"], ["agents.id"], name="tasks_agent_id_agents_id_fk", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
            name="tasks_session_id_sessions_id_fk",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["worktree_id"],
            ["worktrees.id"],
            name="tasks_worktree_id_worktrees_id_fk",
            ondelete="SET NULL",
        ),
    )
    if op.get_context().dialect.name == "postgresql":
        for name, table in _LATER:
            op.create_foreign_key(name, table, "tasks", ["task_id"], ["id"], ondelete="SET NULL")


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        for name, table in _LATER:
            op.drop_constraint(name, table, type_="foreignkey")
    op.drop_table("tasks")
    op.drop_table("worktrees")
    op.drop_table("sessions")
    op.drop_table("agents")
    op.drop_table("projects")
