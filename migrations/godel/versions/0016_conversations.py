"""Conversations: trees of messages that can fork."""

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "conversation_trees",
        sa.Column("id", models.UUID(), server_default=models.random_uuid(), nullable=False),
        sa.Column("session_id", models.UUID(), nullable=False),
        sa.Column("root_node_id", models.UUID()),
        sa.Column("current_node_id", models.UUID()),
        sa.Column("branches", models.JSON, server_default="[]", nullable=False),
        sa.Column("metadata", models.JSON, server_default="{}", nullable=False),
        sa.Column("created_at", models.Time(), server_default=models.now(), nullable=False),
        sa.Column("updated_at", models.Time(), server_default=models.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_conversation_trees"),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["pi_sessions.id"],
            name="conversation_trees_session_id_fkey",
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        "idx_conversation_trees_created", "conversation_trees", [sa.text("created_at DESC")]
    )
    op.create_index("idx_conversation_trees_current", "conversation_trees", ["current_node_id"])
    op.create_index("idx_conversation_trees_root", "conversation_trees", ["root_node_id"])
    op.create_index("idx_conversation_trees_session", "conversation_trees", ["session_id"])
    op.create_table(
        "conversation_nodes",
        sa.Column("id", models.UUID(), server_default=models.random_uuid(), nullable=False),
        sa.Column("tree_id", models.UUID(), nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("parent_id", models.UUID()),
        sa.Column("children_ids", models.JSON, server_default="[]", nullable=False),
        sa.Column("tool_calls", models.JSON),
        sa.Column("tool_results", models.JSON),
        sa.Column("token_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("cumulative_tokens", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("is_compacted", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("summary", sa.Text()),
        sa.Column("timestamp", models.Time(), server_default=models.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_conversation_nodes"),
        sa.ForeignKeyConstraint(
            ["parent_id"],
            ["conversation_nodes.id"],
            name="conversation_nodes_parent_id_fkey",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["tree_id"],
            ["conversation_trees.id"],
            name="conversation_nodes_tree_id_fkey",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint("cumulative_tokens >= 0", name="conversation_nodes_cumulative_check"),
        sa.CheckConstraint(
            "role IN ('user', 'assistant', 'system', 'tool')", name="conversation_nodes_role_check"
        ),
        sa.CheckConstraint("token_count >= 0", name="conversation_nodes_token_count_check"),
    )
    op.create_index(
        "idx_conversation_nodes_compacted",
        "conversation_nodes",
        ["is_compacted"],
        sqlite_where=sa.text("is_compacted = 1"),
        postgresql_where=sa.text("is_compacted"),
    )
    op.create_index("idx_conversation_nodes_parent", "conversation_nodes", ["parent_id"])
    op.create_index("idx_conversation_nodes_role", "conversation_nodes", ["role"])
    op.create_index(
        "idx_conversation_nodes_timestamp", "conversation_nodes", [sa.text("timestamp DESC")]
    )
    op.create_index("idx_conversation_nodes_tree", "conversation_nodes", ["tree_id"])
    op.create_index(
        "idx_conversation_nodes_tree_parent", "conversation_nodes", ["tree_id", "parent_id"]
    )


def downgrade() -> None:
    op.drop_table("conversation_nodes")
    op.drop_table("conversation_trees")
