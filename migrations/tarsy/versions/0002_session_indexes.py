"""What the dashboard asks for: sessions by status, agent, kind of alert and time."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# bootstrapd: allow create-index,
# because the first release, 0.1.0, makes the tables too: nobody has rows in them yet.

INDEXES = {
    "ix_alert_sessions_status": ["status"],
    "ix_alert_sessions_agent_type": ["agent_type"],
    "ix_alert_sessions_alert_type": ["alert_type"],
    "ix_alert_sessions_started_at_us": ["started_at_us"],
    "ix_alert_sessions_status_started_at": ["status", "started_at_us"],
}


def upgrade() -> None:
    for name, columns in INDEXES.items():
        op.create_index(name, "alert_sessions", columns)


def downgrade() -> None:
    for name in reversed(INDEXES):
        op.drop_index(name, "alert_sessions")
