"""updated_at is kept by triggers, and agents have it too.

The trigger writes the column with every update: on a table without it no update could succeed.
"""

import re

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NOW = "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')"
_TABLES = ("swarms", "agents", "sessions", "budgets")


def upgrade() -> None:
    if _on_sqlite():
        _add_column_on_sqlite()
    else:
        op.add_column(
            "agents",
            sa.Column("updated_at", models.Time(), server_default=models.now(), nullable=False),
        )
        op.execute(
            "CREATE FUNCTION update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS $$\n"
            "BEGIN\n"
            "    NEW.updated_at = now();\n"
            "    RETURN NEW;\n"
            "END\n"
            "$$"
        )
    for table in _TABLES:
        op.execute(f"CREATE TRIGGER update_{table}_updated_at {_body(table)}")


def downgrade() -> None:
    for table in _TABLES:
        on = "" if _on_sqlite() else f" ON {table}"
        op.execute(f"DROP TRIGGER update_{table}_updated_at{on}")
    if not _on_sqlite():
        op.execute("DROP FUNCTION update_updated_at_column()")
    op.drop_column("agents", "updated_at")


def _add_column_on_sqlite() -> None:
    """SQLite adds no column whose default is computed: the table is made anew.

    Alembic's batch mode would do that with the constraints in an order of chance.
    """
    connection = op.get_bind()
    old = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = 'agents'"
    columns, constraints = str(connection.scalar(sa.text(old))).split("CONSTRAINT", 1)
    columns = re.sub('^CREATE TABLE "?agents"?', "CREATE TABLE agents_new", columns)
    new = f"updated_at TEXT DEFAULT ({_NOW}) NOT NULL, \n\tCONSTRAINT"
    connection.exec_driver_sql(columns + new + constraints)
    connection.exec_driver_sql(f"INSERT INTO agents_new SELECT *, {_NOW} FROM agents")
    connection.exec_driver_sql("DROP TABLE agents")
    connection.exec_driver_sql("ALTER TABLE agents_new RENAME TO agents")


def _body(table: str) -> str:
    if not _on_sqlite():
        return f"BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION update_updated_at_column()"
    # A trigger of SQLite cannot change the row on its way. Its own change does not fire it again.
    return (
        f"AFTER UPDATE ON {table} FOR EACH ROW BEGIN"
        f" UPDATE {table} SET updated_at = {_NOW}"
        " WHERE id = NEW.id; END"
    )


def _on_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"
