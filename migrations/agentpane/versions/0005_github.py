"""GitHub: installations, tokens, repositories, and which installation a project has."""

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# bootstrapd: allow add-foreign-key,
# because the first release, 0.1.0, makes the tables too: nobody has rows in them yet.

_TIME = models.Time(zone=False)
_NOW = models.now(zone=False)
_FOREIGN_KEY = "projects_github_installation_id_github_installations_id_fk"


def upgrade() -> None:
    op.create_table(
        "github_installations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("installation_id", sa.Text(), nullable=False),
        sa.Column("account_login", sa.Text(), nullable=False),
        sa.Column("account_type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False, server_default="active"),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("updated_at", _TIME, nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("id", name="github_installations_pkey"),
        sa.UniqueConstraint("installation_id", name="github_installations_installation_id_unique"),
    )
    op.create_table(
        "github_tokens",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("encrypted_token", sa.Text(), nullable=False),
        sa.Column("token_type", sa.Text(), nullable=False, server_default="pat"),
        sa.Column("scopes", sa.Text()),
        sa.Column("github_login", sa.Text()),
        sa.Column("github_id", sa.Text()),
        sa.Column("is_valid", sa.Boolean(), server_default=sa.true()),
        sa.Column("last_validated_at", _TIME),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("updated_at", _TIME, nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("id", name="github_tokens_pkey"),
    )
    op.create_table(
        "repository_configs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("installation_id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("repo", sa.Text(), nullable=False),
        sa.Column("config", models.JSON),
        sa.Column("synced_at", _TIME),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("updated_at", _TIME, nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("id", name="repository_configs_pkey"),
        sa.ForeignKeyConstraint(
            ["installation_id"],
            ["github_installations.id"],
            name="repository_configs_installation_id_github_installations_id_fk",
            ondelete="CASCADE",
        ),
    )
    with op.batch_alter_table("projects") as projects:
        projects.add_column(sa.Column("github_installation_id", sa.Text()))
        projects.create_foreign_key(
            _FOREIGN_KEY, "github_installations", ["github_installation_id"], ["id"]
        )


def downgrade() -> None:
    with op.batch_alter_table("projects") as projects:
        projects.drop_constraint(_FOREIGN_KEY, type_="foreignkey")
        projects.drop_column("github_installation_id")
    op.drop_table("repository_configs")
    op.drop_table("github_tokens")
    op.drop_table("github_installations")
