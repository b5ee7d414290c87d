"""Stages run beside each other, as parts of one.

What ran before ran alone. SQLite makes the table anew for this: the rows that go with a stage must
not go with the old table, and the keys that lead to it must lead to the new one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# bootstrapd: allow data-with-ddl, set-not-null, add-foreign-key and create-index,
# because the first release, 0.1.0, makes the tables too: nobody has rows in them yet.

TABLE = "stage_executions"
PARENT = "fk_stage_executions_parent"
BY_PARENT = "ix_stage_executions_parent"


def upgrade() -> None:
    op.add_column(TABLE, sa.Column("parent_stage_execution_id", sa.String()))
    op.add_column(TABLE, sa.Column("parallel_index", sa.Integer()))
    op.add_column(TABLE, sa.Column("parallel_type", sa.String()))
    op.add_column(TABLE, sa.Column("expected_parallel_count", sa.Integer()))
    op.execute("UPDATE stage_executions SET parallel_index = 0, parallel_type = 'single'")
    with op.batch_alter_table(TABLE) as batch:
        batch.alter_column("parallel_index", existing_type=sa.Integer(), nullable=False)
        batch.alter_column("parallel_type", existing_type=sa.String(), nullable=False)
        batch.create_foreign_key(PARENT, TABLE, ["parent_stage_execution_id"], ["execution_id"])
    # For every stage that goes the database looks for its parts.
    op.create_index(BY_PARENT, TABLE, ["parent_stage_execution_id"])


def downgrade() -> None:
    op.drop_index(BY_PARENT, TABLE)
    with op.batch_alter_table(TABLE) as batch:
        batch.drop_constraint(PARENT, type_="foreignkey")
        batch.drop_column("expected_parallel_count")
        batch.drop_column("parallel_type")
        batch.drop_column("parallel_index")
        batch.drop_column("parent_stage_execution_id")
