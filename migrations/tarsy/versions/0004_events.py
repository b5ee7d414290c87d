"""Events, kept for delivery to other pods and for those who catch up by id."""

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(100), nullable=False),
        sa.Column("payload", models.JSON),
        sa.Column(
            "created_at",
            models.Time(zone=False),
            server_default=models.now(zone=False),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        # Without it SQLite gives the ids of deleted events again, and who catches up misses some.
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_channel", "events", ["channel"])
    op.create_index("idx_events_channel_id", "events", ["channel", "id"])
    op.create_index("idx_events_created_at", "events", ["created_at"])


def downgrade() -> None:
    op.drop_table("events")
