"""What belongs to somebody is found by index, and messages by time."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# bootstrapd: allow create-index,
# because the first release, 0.1.0, makes the tables too: nobody has rows in them yet.

INDEXES = (
    ("businesses", "user_id"),
    ("conversations", "business_id"),
    ("messages", "conversation_id"),
    ("messages", "created_at"),
)


def upgrade() -> None:
    for table, column in INDEXES:
        op.create_index(f"idx_{table}_{column}", table, [column])


def downgrade() -> None:
    for table, column in reversed(INDEXES):
        op.drop_index(f"idx_{table}_{column}", table)
