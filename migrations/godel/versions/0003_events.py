"""Events and their data."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text()),
        sa.Column("data", sa.Text()),
        sa.Column("created_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
    )
    op.create_index("ix_events_created_at_id", "events", ["created_at", "id"])


def downgrade() -> None:
    op.drop_table("events")
