from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.execute("create table if not exists item (id integer primary key, name varchar(50))")


def downgrade():
    op.drop_table("item")
