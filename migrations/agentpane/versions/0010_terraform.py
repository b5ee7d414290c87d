"""Terraform registries and their modules."""

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_TIME = models.Time(zone=False)
_NOW = models.now(zone=False)


def upgrade() -> None:
    op.create_table(
        "terraform_registries",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("org_name", sa.Text(), nullable=False),
        sa.Column("token_setting_key", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False, server_default="active"),
        sa.Column("last_synced_at", _TIME),
        sa.Column("sync_error", sa.Text()),
        sa.Column("module_count", sa.Integer(), server_default="0"),
        sa.Column("sync_interval_minutes", sa.Integer()),
        sa.Column("next_sync_at", _TIME),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("updated_at", _TIME, nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("id", name="terraform_registries_pkey"),
    )
    op.create_table(
        "terraform_modules",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("registry_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("readme", sa.Text()),
        sa.Column("inputs", models.JSON),
        sa.Column("outputs", models.JSON),
        sa.Column("dependencies", models.JSON),
        sa.Column("published_at", _TIME),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("updated_at", _TIME, nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("id", name="terraform_modules_pkey"),
    )
    op.create_index("idx_tf_modules_name", "terraform_modules", ["name"])
    op.create_index("idx_tf_modules_provider", "terraform_modules", ["provider"])
    op.create_index("idx_tf_modules_registry", "terraform_modules", ["registry_id"])


def downgrade() -> None:
    op.drop_table("terraform_modules")
    op.drop_table("terraform_registries")
