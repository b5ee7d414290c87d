"""Events and summaries of sessions.

The events' times are milliseconds since 1970: they need 64 bits in PostgreSQL.
"""

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TIME = models.Time(zone=False)
_NOW = models.now(zone=False)


def upgrade() -> None:
    op.create_table(
        "session_events",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("offset", sa.Integer(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("data", models.JSON, nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.Text()),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("id", name="session_events_pkey"),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
            name="session_events_session_id_sessions_id_fk",
            ondelete="CASCADE",
        ),
    )
    op.create_index("session_events_offset_idx", "session_events", ["session_id", "offset"])
    op.create_index("session_events_session_idx", "session_events", ["session_id"])
    op.create_index(
        "session_events_unique_offset", "session_events", ["session_id", "offset"], unique=True
    )
    op.create_table(
        "session_summaries",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("duration_ms", sa.Integer()),
        sa.Column("turns_count", sa.Integer(), server_default="0"),
        sa.Column("tokens_used", sa.Integer(), server_default="0"),
        sa.Column("files_modified", sa.Integer(), server_default="0"),
        sa.Column("lines_added", sa.Integer(), server_default="0"),
        sa.Column("lines_removed", sa.Integer(), server_default="0"),
        sa.Column("final_status", sa.Text()),
        sa.Column("updated_at", _TIME, nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("id", name="session_summaries_pkey"),
        sa.UniqueConstraint("session_id", name="session_summaries_session_id_unique"),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
            name="session_summaries_session_id_sessions_id_fk",
            ondelete="CASCADE",
        ),
    )


def downgrade() -> None:
    op.drop_table("session_summaries")
    op.drop_table("session_events")
