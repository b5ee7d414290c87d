"""Follow-up chats on sessions that have ended."""

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "chats",
        sa.Column("chat_id", sa.String(), nullable=False),
        sa.Column("session_id", sa.String()),
        sa.Column("created_at_us", sa.BigInteger()),
        sa.Column("created_by", sa.String()),
        sa.Column("conversation_history", sa.String(), nullable=False),
        sa.Column("chain_id", sa.String(), nullable=False),
        sa.Column("mcp_selection", models.JSON),
        sa.Column("context_captured_at_us", sa.BigInteger()),
        sa.Column("pod_id", sa.String()),
        sa.Column("last_interaction_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["session_id"], ["alert_sessions.session_id"], name="chats_session_id_fkey"
        ),
        sa.PrimaryKeyConstraint("chat_id", name="pk_chats"),
    )
    op.create_index("ix_chats_session_id", "chats", ["session_id"])
    op.create_index("ix_chats_created_at", "chats", ["created_at_us"])
    op.create_index("ix_chats_pod_last_interaction", "chats", ["pod_id", "last_interaction_at"])
    op.create_table(
        "chat_user_messages",
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("chat_id", sa.String()),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["chat_id"],
            ["chats.chat_id"],
            name="chat_user_messages_chat_id_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("message_id", name="pk_chat_user_messages"),
    )
    op.create_index("ix_chat_user_messages_chat_id", "chat_user_messages", ["chat_id"])
    op.create_index("ix_chat_user_messages_created_at", "chat_user_messages", ["created_at_us"])
    op.add_column("stage_executions", sa.Column("chat_id", sa.String()))
    op.add_column("stage_executions", sa.Column("chat_user_message_id", sa.String()))


def downgrade() -> None:
    op.drop_column("stage_executions", "chat_user_message_id")
    op.drop_column("stage_executions", "chat_id")
    op.drop_table("chat_user_messages")
    op.drop_table("chats")
