"""Sessions can be paused, and stages tell how they iterate."""

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

COLUMNS = {
    "paused_at_us": sa.BigInteger(),
    "current_iteration": sa.Integer(),
    "iteration_strategy": sa.String(),
}


def upgrade() -> None:
    op.add_column("alert_sessions", sa.Column("pause_metadata", models.JSON))
    for name, kind in COLUMNS.items():
        op.add_column("stage_executions", sa.Column(name, kind))


def downgrade() -> None:
    for name in reversed(COLUMNS):
        op.drop_column("stage_executions", name)
    op.drop_column("alert_sessions", "pause_metadata")
