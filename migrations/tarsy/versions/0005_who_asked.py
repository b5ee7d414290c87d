"""Who asked, by which runbook, and which pod works on it."""

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# bootstrapd: allow create-index,
# because the first release, 0.1.0, makes the tables too: nobody has rows in them yet.

COLUMNS = {
    "author": sa.String(255),
    "runbook_url": sa.String(),
    "mcp_selection": models.JSON,
    "pod_id": sa.String(),
    "last_interaction_at": sa.BigInteger(),
}
INDEX = "ix_alert_sessions_status_last_interaction"


def upgrade() -> None:
    for name, kind in COLUMNS.items():
        op.add_column("alert_sessions", sa.Column(name, kind))
    op.create_index(INDEX, "alert_sessions", ["status", "last_interaction_at"])


def downgrade() -> None:
    op.drop_index(INDEX, "alert_sessions")
    for name in reversed(COLUMNS):
        op.drop_column("alert_sessions", name)
