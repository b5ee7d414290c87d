"""Sessions of command-line agents.

Their times are milliseconds since 1970: they need 64 bits in PostgreSQL.
"""

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_TIME = models.Time(zone=False)
_NOW = models.now(zone=False)


def upgrade() -> None:
    op.create_table(
        "cli_sessions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("file_path", sa.Text(), nullable=False),
        sa.Column("cwd", sa.Text(), nullable=False),
        sa.Column("project_name", sa.Text(), nullable=False),
        sa.Column("project_hash", sa.Text(), nullable=False),
        sa.Column("git_branch", sa.Text()),
        sa.Column("status", sa.Text(), nullable=False, server_default="idle"),
        sa.Column("message_count", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("turn_count", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("goal", sa.Text()),
        sa.Column("recent_output", sa.Text()),
        sa.Column("pending_tool_use", sa.Text()),
        sa.Column("token_usage", sa.Text()),
        sa.Column("performance_metrics", sa.Text()),
        sa.Column("model", sa.Text()),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("last_activity_at", sa.BigInteger(), nullable=False),
        sa.Column("is_subagent", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("parent_session_id", sa.Text()),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("updated_at", _TIME, nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("id", name="cli_sessions_pkey"),
        sa.UniqueConstraint("session_id", name="cli_sessions_session_id_unique"),
    )
    op.create_index("idx_cli_sessions_last_activity", "cli_sessions", ["last_activity_at"])
    op.create_index(
        "idx_cli_sessions_project", "cli_sessions", ["project_hash", "last_activity_at"]
    )
    op.create_index("idx_cli_sessions_status", "cli_sessions", ["status"])


def downgrade() -> None:
    op.drop_table("cli_sessions")
