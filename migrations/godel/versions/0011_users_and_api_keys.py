"""Users, and the keys by which programs are let in."""

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_NOW = "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')"
_TABLES = ("users", "api_keys")


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", models.UUID(), server_default=models.random_uuid(), nullable=False),
        sa.Column("email", sa.String(255), nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("role", sa.String(50), server_default="user", nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("metadata", models.JSON, server_default="{}", nullable=False),
        sa.Column("created_at", models.Time(), server_default=models.now(), nullable=False),
        sa.Column("updated_at", models.Time(), server_default=models.now(), nullable=False),
        sa.Column("last_login_at", models.Time()),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email", name="users_email_key"),
        sa.CheckConstraint("role IN ('admin', 'user', 'readonly')", name="users_role_check"),
    )
    op.create_index("idx_users_email", "users", ["email"])
    op.create_index("idx_users_is_active", "users", ["is_active"])
    op.create_index("idx_users_role", "users", ["role"])
    op.create_table(
        "api_keys",
        sa.Column("id", models.UUID(), server_default=models.random_uuid(), nullable=False),
        sa.Column("key_hash", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("scopes", models.JSON, server_default='["read"]', nullable=False),
        sa.Column("rate_limit", sa.Integer(), server_default=sa.text("100"), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("is_revoked", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("revoked_at", models.Time()),
        sa.Column("user_id", models.UUID()),
        sa.Column("metadata", models.JSON, server_default="{}", nullable=False),
        sa.Column("created_at", models.Time(), server_default=models.now(), nullable=False),
        sa.Column("updated_at", models.Time(), server_default=models.now(), nullable=False),
        sa.Column("expires_at", models.Time()),
        sa.Column("last_used_at", models.Time()),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("key_hash", name="api_keys_key_hash_key"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="api_keys_user_id_fkey", ondelete="SET NULL"
        ),
    )
    op.create_index(
        "idx_api_keys_active_valid",
        "api_keys",
        ["is_active", "is_revoked", "expires_at"],
        sqlite_where=sa.text("is_active = 1 AND is_revoked = 0"),
        postgresql_where=sa.text("is_active AND NOT is_revoked"),
    )
    op.create_index("idx_api_keys_created_at", "api_keys", [sa.text("created_at DESC")])
    op.create_index(
        "idx_api_keys_expires_at",
        "api_keys",
        ["expires_at"],
        sqlite_where=sa.text("expires_at IS NOT NULL"),
        postgresql_where=sa.text("expires_at IS NOT NULL"),
    )
    op.create_index("idx_api_keys_is_active", "api_keys", ["is_active"])
    op.create_index("idx_api_keys_is_revoked", "api_keys", ["is_revoked"])
    op.create_index("idx_api_keys_key_hash", "api_keys", ["key_hash"])
    op.create_index("idx_api_keys_user_id", "api_keys", ["user_id"])
    for table in _TABLES:
        op.execute(_trigger(table))


def downgrade() -> None:
    op.drop_table("api_keys")
    op.drop_table("users")


def _trigger(table: str) -> str:
    name = f"CREATE TRIGGER update_{table}_updated_at"
    if op.get_context().dialect.name == "postgresql":
        return (
            f"{name} BEFORE UPDATE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION update_updated_at_column()"
        )
    return (
        f"{name} AFTER UPDATE ON {table} FOR EACH ROW BEGIN"
        f" UPDATE {table} SET updated_at = {_NOW} WHERE id = NEW.id; END"
    )
