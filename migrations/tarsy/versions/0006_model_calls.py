"""More about each call of a model: its kind, its thoughts, the tools that it had.

What was called before was all investigation.
"""

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COLUMNS = {
    "response_metadata": models.JSON,
    "native_tools_config": models.JSON,
    "interaction_type": sa.String(50),
    "mcp_event_id": sa.String(),
    "thinking_content": sa.String(),
}


def upgrade() -> None:
    for name, kind in COLUMNS.items():
        required = name == "interaction_type"
        default = "investigation" if required else None
        op.add_column(
            "llm_interactions",
            sa.Column(name, kind, nullable=not required, server_default=default),
        )


def downgrade() -> None:
    for name in reversed(COLUMNS):
        op.drop_column("llm_interactions", name)
