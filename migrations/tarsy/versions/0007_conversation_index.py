"""Conversations are searched by what they hold."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# bootstrapd: allow create-index,
# because the first release, 0.1.0, makes the tables too: nobody has rows in them yet.


def upgrade() -> None:
    # SQLite knows no such index and makes an ordinary one.
    op.create_index(
        "ix_llm_interactions_conversation",
        "llm_interactions",
        ["conversation"],
        postgresql_using="gin",
        postgresql_ops={"conversation": "jsonb_path_ops"},
    )


def downgrade() -> None:
    op.drop_index("ix_llm_interactions_conversation", "llm_interactions")
