"""Sessions, budgets, and when a team completed.

The status of a team stays any text, as the document has it.
"""

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("teams", sa.Column("completed_at", models.Time()))
    op.create_table(
        "sessions",
        sa.Column("id", models.UUID(), server_default=models.random_uuid(), nullable=False),
        sa.Column("tree_data", models.JSON, server_default="{}", nullable=False),
        sa.Column("current_branch", sa.String(255)),
        sa.Column("metadata", models.JSON, server_default="{}", nullable=False),
        sa.Column("created_at", models.Time(), server_default=models.now(), nullable=False),
        sa.Column("updated_at", models.Time(), server_default=models.now(), nullable=False),
        sa.Column("expires_at", models.Time()),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
    )
    op.create_table(
        "budgets",
        sa.Column("id", models.UUID(), server_default=models.random_uuid(), nullable=False),
        sa.Column("team_id", sa.Text(), nullable=False),
        sa.Column("scope_type", sa.String(50), server_default="team", nullable=False),
        sa.Column("scope_id", models.UUID(), nullable=False),
        sa.Column("allocated", models.Exact(12, 4), server_default=sa.text("0"), nullable=False),
        sa.Column("consumed", models.Exact(12, 4), server_default=sa.text("0"), nullable=False),
        sa.Column("currency", sa.String(3), server_default="USD", nullable=False),
        sa.Column("max_tokens", sa.Integer()),
        sa.Column("used_tokens", sa.Integer(), server_default=sa.text("0")),
        sa.Column("created_at", models.Time(), server_default=models.now(), nullable=False),
        sa.Column("updated_at", models.Time(), server_default=models.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_budgets"),
        sa.UniqueConstraint("scope_type", "scope_id", name="budgets_unique_scope"),
        sa.ForeignKeyConstraint(
            ["team_id"], ["teams.id"], name="budgets_team_id_fkey", ondelete="CASCADE"
        ),
        sa.CheckConstraint(
            "currency IN ('USD', 'EUR', 'GBP', 'CAD')", name="budgets_currency_check"
        ),
        sa.CheckConstraint("allocated >= 0 AND consumed >= 0", name="budgets_positive"),
        sa.CheckConstraint(
            "scope_type IN ('team', 'agent', 'project')", name="budgets_scope_check"
        ),
    )


def downgrade() -> None:
    op.drop_table("budgets")
    op.drop_table("sessions")
    op.drop_column("teams", "completed_at")
