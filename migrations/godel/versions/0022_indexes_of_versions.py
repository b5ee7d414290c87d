"""Indexes of versions, built while agents and teams are written.

Apart from the columns, so that no revision is half inside a transaction and half outside. Both ways
can be run again from wherever they were stopped.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_INDEXES: tuple[tuple[str, str, list[Any], sa.TextClause | None], ...] = (
    ("idx_agents_version", "agents", ["id", "version"], None),
    ("idx_swarms_version", "teams", ["id", "version"], None),
)


def upgrade() -> None:
    if op.get_context().dialect.name != "postgresql":
        for name, table, columns, where in _INDEXES:
            op.create_index(name, table, columns, sqlite_where=where)
        return
    with op.get_context().autocommit_block():
        for name, table, columns, where in _INDEXES:
            # One that was left invalid when this was broken off would stay so.
            op.drop_index(name, table, postgresql_concurrently=True, if_exists=True)
            op.create_index(
                name, table, columns, postgresql_where=where, postgresql_concurrently=True
            )


def downgrade() -> None:
    if op.get_context().dialect.name != "postgresql":
        for name, table, *_ in reversed(_INDEXES):
            op.drop_index(name, table)
        return
    with op.get_context().autocommit_block():
        for name, table, *_ in reversed(_INDEXES):
            op.drop_index(name, table, postgresql_concurrently=True, if_exists=True)
