"""Workflows have a definition, and each of their runs is kept.

The document's workflows have steps instead: their definition is empty.
"""

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workflows", sa.Column("description", sa.Text()))
    op.add_column(
        "workflows", sa.Column("version", sa.Text(), server_default="1.0.0", nullable=False)
    )
    op.add_column(
        "workflows", sa.Column("definition", sa.Text(), server_default="{}", nullable=False)
    )
    op.add_column("workflows", sa.Column("variables", sa.Text()))
    op.add_column(
        "workflows", sa.Column("on_failure", sa.Text(), server_default="stop", nullable=False)
    )
    op.add_column("workflows", sa.Column("timeout", sa.Integer()))
    op.add_column("workflows", sa.Column("metadata", sa.Text()))
    op.create_table(
        "workflow_executions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("workflow_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("started_at", models.Time()),
        sa.Column("completed_at", models.Time()),
        sa.Column("duration_ms", sa.Integer()),
        sa.Column("error", sa.Text()),
        sa.Column("created_at", models.Time(), server_default=models.now()),
        sa.Column("updated_at", models.Time(), server_default=models.now()),
        sa.PrimaryKeyConstraint("id", name="pk_workflow_executions"),
        sa.ForeignKeyConstraint(
            ["workflow_id"],
            ["workflows.id"],
            name="workflow_executions_workflow_id_fkey",
            ondelete="CASCADE",
        ),
    )
    op.create_index("idx_workflow_executions_workflow_id", "workflow_executions", ["workflow_id"])
    op.create_index("idx_workflow_executions_status", "workflow_executions", ["status"])
    op.create_index(
        "idx_workflow_executions_created_at", "workflow_executions", [sa.text("created_at DESC")]
    )


def downgrade() -> None:
    op.drop_table("workflow_executions")
    for name in reversed(
        ("description", "version", "definition", "variables", "on_failure", "timeout", "metadata")
    ):
        op.drop_column("workflows", name)
