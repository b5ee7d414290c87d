"""Events are found by their parent.

To delete a swarm no longer reads all events for each of its own: the database looks for the
children of every event that goes, to forget their parent.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# bootstrapd: allow create-index,
# because the first release, 0.1.0, makes the tables too: nobody has rows in them yet.


def upgrade() -> None:
    op.create_index("idx_events_parent", "events", ["parent_event_id"])


def downgrade() -> None:
    op.drop_index("idx_events_parent", "events")
