"""What is said in a session: a tree of messages."""

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Boolean, CheckConstraint, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from bootstrap import models
from bootstrap.apps.godel import enums
from bootstrap.apps.godel.models import base


class ConversationTree(base.Base):
    """The tree of one session, and where in it the session is."""

    __tablename__ = "conversation_trees"

    id: Mapped[str] = base.uuid_key()
    session_id: Mapped[str] = mapped_column(
        models.UUID,
        ForeignKey("pi_sessions.id", name="conversation_trees_session_id_fkey", ondelete="CASCADE"),
    )
    root_node_id: Mapped[str | None] = mapped_column(models.UUID)
    current_node_id: Mapped[str | None] = mapped_column(models.UUID)
    branches: Mapped[list[Any]] = mapped_column(models.JSON, server_default="[]")
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", models.JSON, server_default="{}")
    created_at: Mapped[datetime.datetime] = base.made()
    updated_at: Mapped[datetime.datetime] = base.updated()

    __table_args__ = (
        Index("idx_conversation_trees_created", created_at.desc()),
        Index("idx_conversation_trees_current", "current_node_id"),
        Index("idx_conversation_trees_root", "root_node_id"),
        Index("idx_conversation_trees_session", "session_id"),
    )


class ConversationNode(base.Base):
    """One message, under the message that it answers."""

    __tablename__ = "conversation_nodes"

    id: Mapped[str] = base.uuid_key()
    tree_id: Mapped[str] = mapped_column(
        models.UUID,
        ForeignKey(
            "conversation_trees.id", name="conversation_nodes_tree_id_fkey", ondelete="CASCADE"
        ),
    )
    role: Mapped[enums.ConversationRole] = mapped_column(String(20))
    content: Mapped[str] = mapped_column(Text)
    parent_id: Mapped[str | None] = mapped_column(
        models.UUID,
        ForeignKey(
            "conversation_nodes.id", name="conversation_nodes_parent_id_fkey", ondelete="SET NULL"
        ),
    )
    children_ids: Mapped[list[Any]] = mapped_column(models.JSON, server_default="[]")
    tool_calls: Mapped[list[Any] | None] = mapped_column(models.JSON)
    tool_results: Mapped[list[Any] | None] = mapped_column(models.JSON)
    token_count: Mapped[int] = mapped_column(Integer, server_default=sa.text("0"))
    cumulative_tokens: Mapped[int] = mapped_column(Integer, server_default=sa.text("0"))
    is_compacted: Mapped[bool] = mapped_column(Boolean, server_default=sa.false())
    summary: Mapped[str | None] = mapped_column(Text)
    timestamp: Mapped[datetime.datetime] = mapped_column(models.Time, server_default=models.now())

    __table_args__ = (
        CheckConstraint("cumulative_tokens >= 0", name="conversation_nodes_cumulative_check"),
        base.one_of("role", enums.ConversationRole, "conversation_nodes_role_check"),
        CheckConstraint("token_count >= 0", name="conversation_nodes_token_count_check"),
        base.partial_index(
            "idx_conversation_nodes_compacted",
            "is_compacted",
            where="is_compacted",
            sqlite_where="is_compacted = 1",
        ),
        Index("idx_conversation_nodes_parent", "parent_id"),
        Index("idx_conversation_nodes_role", "role"),
        Index("idx_conversation_nodes_timestamp", timestamp.desc()),
        Index("idx_conversation_nodes_tree", "tree_id"),
        Index("idx_conversation_nodes_tree_parent", "tree_id", "parent_id"),
    )
