import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "witness",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("lock_timeout", sa.String(20)),
        sa.Column("locks", sa.Integer),
    )
    if op.get_context().dialect.name == "postgresql":
        op.execute(
            "insert into witness (lock_timeout, locks) select current_setting('lock_timeout'),"
            " (select count(*) from pg_locks where locktype = 'advisory')"
        )


def downgrade():
    op.drop_table("witness")
