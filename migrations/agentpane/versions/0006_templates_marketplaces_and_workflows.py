"""Templates, marketplaces and workflows."""

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TIME = models.Time(zone=False)
_NOW = models.now(zone=False)


def upgrade() -> None:
    op.create_table(
        "templates",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("github_owner", sa.Text(), nullable=False),
        sa.Column("github_repo", sa.Text(), nullable=False),
        sa.Column("branch", sa.Text(), server_default="main"),
        sa.Column("config_path", sa.Text(), server_default=".claude"),
        sa.Column("project_id", sa.Text()),
        sa.Column("status", sa.Text(), server_default="active"),
        sa.Column("last_sync_sha", sa.Text()),
        sa.Column("last_synced_at", _TIME),
        sa.Column("sync_error", sa.Text()),
        sa.Column("sync_interval_minutes", sa.Integer()),
        sa.Column("next_sync_at", _TIME),
        sa.Column("cached_skills", models.JSON),
        sa.Column("cached_commands", models.JSON),
        sa.Column("cached_agents", models.JSON),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("updated_at", _TIME, nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("id", name="templates_pkey"),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name="templates_project_id_projects_id_fk",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "template_projects",
        sa.Column("template_id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("template_id", "project_id", name="template_projects_pkey"),
        sa.ForeignKeyConstraint(
            ["template_id"],
            ["templates.id"],
            name="template_projects_template_id_templates_id_fk",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name="template_projects_project_id_projects_id_fk",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "marketplaces",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("github_owner", sa.Text(), nullable=False),
        sa.Column("github_repo", sa.Text(), nullable=False),
        sa.Column("branch", sa.Text(), server_default="main"),
        sa.Column("plugins_path", sa.Text(), server_default="plugins"),
        sa.Column("is_default", sa.Boolean(), server_default=sa.false()),
        sa.Column("is_enabled", sa.Boolean(), server_default=sa.true()),
        sa.Column("status", sa.Text(), server_default="active"),
        sa.Column("last_sync_sha", sa.Text()),
        sa.Column("last_synced_at", _TIME),
        sa.Column("sync_error", sa.Text()),
        sa.Column("cached_plugins", models.JSON),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("updated_at", _TIME, nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("id", name="marketplaces_pkey"),
    )
    op.create_table(
        "workflows",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("nodes", models.JSON),
        sa.Column("edges", models.JSON),
        sa.Column("source_template_id", sa.Text()),
        sa.Column("source_template_name", sa.Text()),
        sa.Column("viewport", models.JSON),
        sa.Column("status", sa.Text(), server_default="draft"),
        sa.Column("tags", models.JSON),
        sa.Column("thumbnail", sa.Text()),
        sa.Column("ai_generated", sa.Boolean()),
        sa.Column("ai_model", sa.Text()),
        sa.Column("ai_confidence", sa.Integer()),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("updated_at", _TIME, nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("id", name="workflows_pkey"),
        sa.ForeignKeyConstraint(
            ["source_template_id"],
            ["templates.id"],
            name="workflows_source_template_id_templates_id_fk",
            ondelete="SET NULL",
        ),
    )


def downgrade() -> None:
    op.drop_table("workflows")
    op.drop_table("marketplaces")
    op.drop_table("template_projects")
    op.drop_table("templates")
