"""Sessions, one for each alert that is worked on.

Times are microseconds since 1970: they need 64 bits in PostgreSQL.
"""

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alert_sessions",
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("alert_id", sa.String()),
        sa.Column("alert_data", models.JSON),
        sa.Column("agent_type", sa.String(), nullable=False),
        sa.Column("alert_type", sa.String()),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("started_at_us", sa.BigInteger()),
        sa.Column("completed_at_us", sa.BigInteger()),
        sa.Column("error_message", sa.String()),
        sa.Column("final_analysis", sa.String()),
        sa.Column("session_metadata", models.JSON),
        sa.Column("chain_id", sa.String(), nullable=False),
        sa.Column("chain_definition", models.JSON),
        sa.Column("current_stage_index", sa.Integer()),
        sa.Column("current_stage_id", sa.String()),
        sa.PrimaryKeyConstraint("session_id", name="pk_alert_sessions"),
    )
    op.create_index("ix_alert_sessions_alert_id", "alert_sessions", ["alert_id"], unique=True)


def downgrade() -> None:
    op.drop_table("alert_sessions")
