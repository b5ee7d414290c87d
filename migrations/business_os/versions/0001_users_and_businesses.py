"""Users and their businesses, which go with them."""

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", models.UUID(), server_default=models.random_uuid(), nullable=False),
        sa.Column("email", sa.String(255), nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255)),
        sa.Column("created_at", models.Time(), server_default=models.now()),
        sa.Column("updated_at", models.Time(), server_default=models.now()),
        sa.PrimaryKeyConstraint("id", name="users_pkey"),
        sa.UniqueConstraint("email", name="users_email_key"),
    )
    op.create_table(
        "businesses",
        sa.Column("id", models.UUID(), server_default=models.random_uuid(), nullable=False),
        sa.Column("user_id", models.UUID()),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("industry", sa.String(100)),
        sa.Column("stage", sa.String(50), server_default="idea"),
        sa.Column("context", models.JSON, server_default="{}"),
        sa.Column("created_at", models.Time(), server_default=models.now()),
        sa.Column("updated_at", models.Time(), server_default=models.now()),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="businesses_user_id_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="businesses_pkey"),
    )


def downgrade() -> None:
    op.drop_table("businesses")
    op.drop_table("users")
