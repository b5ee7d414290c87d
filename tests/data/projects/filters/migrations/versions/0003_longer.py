import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table("item") as batch:
        batch.alter_column("name", type_=sa.String(60), existing_type=sa.String(50))
        batch.create_unique_constraint("uq_item_name", ["name"])


def downgrade():
    with op.batch_alter_table("item") as batch:
        batch.drop_constraint("uq_item_name", type_="unique")
        batch.alter_column("name", type_=sa.String(50), existing_type=sa.String(60))
