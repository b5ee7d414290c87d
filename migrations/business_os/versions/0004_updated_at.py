"""The database keeps updated_at, whatever a statement gives.

SQLite's triggers cannot change the row that is to be written, so they change it afterwards.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = ("users", "businesses", "conversations")
FUNCTION = """
CREATE OR REPLACE FUNCTION update_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at = now();
    RETURN NEW;
END
$$
"""
POSTGRES = """
CREATE TRIGGER {table}_updated_at BEFORE UPDATE ON {table}
FOR EACH ROW EXECUTE FUNCTION update_updated_at()
"""
SQLITE = """
CREATE TRIGGER {table}_updated_at AFTER UPDATE ON {table} FOR EACH ROW
BEGIN
    UPDATE {table} SET updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now') WHERE id = NEW.id;
END
"""


def upgrade() -> None:
    trigger = SQLITE
    if op.get_context().dialect.name == "postgresql":
        op.execute(FUNCTION.strip())
        trigger = POSTGRES
    for table in TABLES:
        op.execute(trigger.format(table=table).strip())


def downgrade() -> None:
    on_postgres = op.get_context().dialect.name == "postgresql"
    for table in reversed(TABLES):
        op.execute(f"DROP TRIGGER {table}_updated_at" + (f" ON {table}" if on_postgres else ""))
    if on_postgres:
        op.execute("DROP FUNCTION update_updated_at()")
