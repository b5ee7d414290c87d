"""Summaries for those who have no time, and where Slack was told."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

COLUMNS = ("final_analysis_summary", "executive_summary_error", "slack_message_fingerprint")


def upgrade() -> None:
    for name in COLUMNS:
        op.add_column("alert_sessions", sa.Column(name, sa.String()))


def downgrade() -> None:
    for name in reversed(COLUMNS):
        op.drop_column("alert_sessions", name)
