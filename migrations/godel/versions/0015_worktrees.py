"""Worktrees: folders with a branch of their own, in which a session works."""

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "worktrees",
        sa.Column("id", models.UUID(), server_default=models.random_uuid(), nullable=False),
        sa.Column("session_id", models.UUID()),
        sa.Column("repository_path", sa.String(500), nullable=False),
        sa.Column("worktree_path", sa.String(500), nullable=False),
        sa.Column("git_dir", sa.String(500)),
        sa.Column("base_branch", sa.String(255), nullable=False),
        sa.Column("current_branch", sa.String(255), nullable=False),
        sa.Column("dependencies_shared", models.JSON, server_default="[]", nullable=False),
        sa.Column("cleanup_policy", sa.String(20), server_default="on_completion", nullable=False),
        sa.Column("status", sa.String(20), server_default="active", nullable=False),
        sa.Column("created_at", models.Time(), server_default=models.now(), nullable=False),
        sa.Column("updated_at", models.Time(), server_default=models.now(), nullable=False),
        sa.Column("last_activity", models.Time(), server_default=models.now(), nullable=False),
        sa.Column("cleaned_up_at", models.Time()),
        sa.PrimaryKeyConstraint("id", name="pk_worktrees"),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["pi_sessions.id"],
            name="worktrees_session_id_fkey",
            ondelete="SET NULL",
        ),
        sa.CheckConstraint(
            "cleanup_policy IN ('immediate', 'on_completion', 'on_failure', 'manual', 'scheduled')",
            name="worktrees_cleanup_check",
        ),
        sa.CheckConstraint(
            "status IN ('active', 'stale', 'cleaning', 'cleaned', 'failed')",
            name="worktrees_status_check",
        ),
    )
    op.create_index(
        "idx_worktrees_active",
        "worktrees",
        ["session_id", "status"],
        sqlite_where=sa.text("status = 'active'"),
        postgresql_where=sa.text("status = 'active'"),
    )
    op.create_index("idx_worktrees_activity", "worktrees", [sa.text("last_activity DESC")])
    op.create_index("idx_worktrees_branch", "worktrees", ["current_branch"])
    op.create_index("idx_worktrees_created", "worktrees", [sa.text("created_at DESC")])
    op.create_index("idx_worktrees_repo", "worktrees", ["repository_path"])
    op.create_index("idx_worktrees_session", "worktrees", ["session_id"])
    op.create_index("idx_worktrees_status", "worktrees", ["status"])


def downgrade() -> None:
    op.drop_table("worktrees")
