from alembic import op

revision = "a2"
down_revision = "a1"
branch_labels = None
depends_on = None


def upgrade():
    op.create_index("item_name", "item", ["name"])


def downgrade():
    op.drop_index("item_name", "item")
