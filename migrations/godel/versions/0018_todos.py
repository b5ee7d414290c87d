"""What sessions have to do."""

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "todos",
        sa.Column("id", models.UUID(), server_default=models.random_uuid(), nullable=False),
        sa.Column("session_id", models.UUID(), nullable=False),
        sa.Column("todo_id", sa.String(100), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("status", sa.String(20), server_default="pending", nullable=False),
        sa.Column("priority", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", models.Time(), server_default=models.now(), nullable=False),
        sa.Column("updated_at", models.Time(), server_default=models.now(), nullable=False),
        sa.Column("completed_at", models.Time()),
        sa.PrimaryKeyConstraint("id", name="pk_todos"),
        sa.UniqueConstraint("session_id", "todo_id", name="todos_unique_session_id"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["pi_sessions.id"], name="todos_session_id_fkey", ondelete="CASCADE"
        ),
        sa.CheckConstraint("priority >= 1 AND priority <= 5", name="todos_priority_check"),
        sa.CheckConstraint(
            "status IN ('pending', 'in_progress', 'completed', 'cancelled', 'blocked')",
            name="todos_status_check",
        ),
    )
    op.create_index("idx_todos_completed", "todos", ["completed_at"])
    op.create_index("idx_todos_created", "todos", [sa.text("created_at DESC")])
    op.create_index(
        "idx_todos_pending",
        "todos",
        ["session_id", sa.text("priority DESC"), "created_at"],
        sqlite_where=sa.text("status IN ('pending', 'in_progress')"),
        postgresql_where=sa.text("status IN ('pending', 'in_progress')"),
    )
    op.create_index("idx_todos_priority", "todos", [sa.text("priority DESC")])
    op.create_index("idx_todos_session", "todos", ["session_id"])
    op.create_index("idx_todos_status", "todos", ["status"])


def downgrade() -> None:
    op.drop_table("todos")
