"""Settings, and the keys of services."""

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TIME = models.Time(zone=False)
_NOW = models.now(zone=False)


def upgrade() -> None:
    op.create_table(
        "settings",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("updated_at", _TIME, nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("key", name="settings_pkey"),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("encrypted_key", sa.Text(), nullable=False),
        sa.Column("masked_key", sa.Text(), nullable=False),
        sa.Column("is_valid", sa.Boolean(), server_default=sa.true()),
        sa.Column("last_validated_at", _TIME),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("updated_at", _TIME, nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("id", name="api_keys_pkey"),
        sa.UniqueConstraint("service", name="api_keys_service_unique"),
    )


def downgrade() -> None:
    op.drop_table("api_keys")
    op.drop_table("settings")
