"""Conversations about a business, and their messages."""

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "conversations",
        sa.Column("id", models.UUID(), server_default=models.random_uuid(), nullable=False),
        sa.Column("business_id", models.UUID()),
        sa.Column("title", sa.String(255)),
        sa.Column("message_count", sa.Integer(), server_default="0"),
        sa.Column("created_at", models.Time(), server_default=models.now()),
        sa.Column("updated_at", models.Time(), server_default=models.now()),
        sa.ForeignKeyConstraint(
            ["business_id"],
            ["businesses.id"],
            name="conversations_business_id_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="conversations_pkey"),
    )
    op.create_table(
        "messages",
        sa.Column("id", models.UUID(), server_default=models.random_uuid(), nullable=False),
        sa.Column("conversation_id", models.UUID()),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("metadata", models.JSON, server_default="{}"),
        sa.Column("created_at", models.Time(), server_default=models.now()),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name="messages_conversation_id_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="messages_pkey"),
    )


def downgrade() -> None:
    op.drop_table("messages")
    op.drop_table("conversations")
