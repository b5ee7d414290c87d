from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade():
    with op.get_context().autocommit_block():
        op.create_index("item_name", "item", ["name"], postgresql_concurrently=True)


def downgrade():
    op.drop_index("item_name", "item")
