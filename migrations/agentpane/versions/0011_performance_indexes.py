"""Indexes for the board and for the lists of a project and of an agent."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# bootstrapd: allow create-index,
# because the first release, 0.1.0, makes the tables too: nobody has rows in them yet.

_INDEXES = (
    ("idx_agents_project_id", "agents", ["project_id"]),
    ("idx_worktrees_project_id", "worktrees", ["project_id"]),
    ("idx_tasks_agent_id", "tasks", ["agent_id"]),
    ("idx_tasks_kanban", "tasks", ["project_id", "column", "position"]),
)


def upgrade() -> None:
    for name, table, columns in _INDEXES:
        op.create_index(name, table, columns)


def downgrade() -> None:
    for name, table, _ in reversed(_INDEXES):
        op.drop_index(name, table)
