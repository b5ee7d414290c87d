"""Sandboxes, the terminals in them, and which configuration a project has."""

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# bootstrapd: allow add-foreign-key,
# because the first release, 0.1.0, makes the tables too: nobody has rows in them yet.

_TIME = models.Time(zone=False)
_NOW = models.now(zone=False)
_FOREIGN_KEY = "projects_sandbox_config_id_sandbox_configs_id_fk"


def upgrade() -> None:
    op.create_table(
        "sandbox_configs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("type", sa.Text(), nullable=False, server_default="docker"),
        sa.Column("is_default", sa.Boolean(), server_default=sa.false()),
        sa.Column("base_image", sa.Text(), nullable=False, server_default="node:22-slim"),
        sa.Column("memory_mb", sa.Integer(), nullable=False, server_default="4096"),
        sa.Column("cpu_cores", sa.Double(), nullable=False, server_default="2"),
        sa.Column("max_processes", sa.Integer(), nullable=False, server_default="256"),
        sa.Column("timeout_minutes", sa.Integer(), nullable=False, server_default="60"),
        sa.Column("volume_mount_path", sa.Text()),
        sa.Column("kube_config_path", sa.Text()),
        sa.Column("kube_context", sa.Text()),
        sa.Column("kube_namespace", sa.Text(), server_default="agentpane-sandboxes"),
        sa.Column("network_policy_enabled", sa.Boolean(), server_default=sa.true()),
        sa.Column("allowed_egress_hosts", models.JSON),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("updated_at", _TIME, nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("id", name="sandbox_configs_pkey"),
    )
    op.create_table(
        "sandbox_instances",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("container_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False, server_default="stopped"),
        sa.Column("image", sa.Text(), nullable=False),
        sa.Column("memory_mb", sa.Integer(), nullable=False),
        sa.Column("cpu_cores", sa.Integer(), nullable=False),
        sa.Column("idle_timeout_minutes", sa.Integer(), nullable=False),
        sa.Column("volume_mounts", models.JSON, server_default=sa.text("'[]'")),
        sa.Column("env", models.JSON),
        sa.Column("error_message", sa.Text()),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("last_activity_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("stopped_at", _TIME),
        sa.Column("updated_at", _TIME, nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("id", name="sandbox_instances_pkey"),
        sa.UniqueConstraint("project_id", name="sandbox_instances_project_id_unique"),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name="sandbox_instances_project_id_projects_id_fk",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "sandbox_tmux_sessions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("sandbox_id", sa.Text(), nullable=False),
        sa.Column("session_name", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text()),
        sa.Column("window_count", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("attached", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("last_activity_at", _TIME, nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("id", name="sandbox_tmux_sessions_pkey"),
        sa.UniqueConstraint("sandbox_id", "session_name", name="sandbox_session_unique"),
        sa.ForeignKeyConstraint(
            ["sandbox_id"],
            ["sandbox_instances.id"],
            name="sandbox_tmux_sessions_sandbox_id_sandbox_instances_id_fk",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["task_id"],
            ["tasks.id"],
            name="sandbox_tmux_sessions_task_id_tasks_id_fk",
            ondelete="SET NULL",
        ),
    )
    with op.batch_alter_table("projects") as projects:
        projects.add_column(sa.Column("sandbox_config_id", sa.Text()))
        projects.create_foreign_key(_FOREIGN_KEY, "sandbox_configs", ["sandbox_config_id"], ["id"])


def downgrade() -> None:
    with op.batch_alter_table("projects") as projects:
        projects.drop_constraint(_FOREIGN_KEY, type_="foreignkey")
        projects.drop_column("sandbox_config_id")
    op.drop_table("sandbox_tmux_sessions")
    op.drop_table("sandbox_instances")
    op.drop_table("sandbox_configs")
