"""Versions of agents and teams, and counts of a team's agents.

By the version that it has read a writer notices that another was faster.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_OF_TEAMS = ("version", "total_agents", "running_agents", "completed_agents", "failed_agents")


def upgrade() -> None:
    op.add_column("agents", sa.Column("version", sa.Integer(), server_default=sa.text("0")))
    for name in _OF_TEAMS:
        op.add_column("teams", sa.Column(name, sa.Integer(), server_default=sa.text("0")))


def downgrade() -> None:
    for name in reversed(_OF_TEAMS):
        op.drop_column("teams", name)
    op.drop_column("agents", "version")
