"""The database keeps updated_at.

For agents and teams that is milliseconds since 1970, and only where a statement leaves it alone:
godel sets it itself, by its own clock.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_NOW = "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')"
_NOW_MS = "CAST(strftime('%s', 'now') || substr(strftime('%f', 'now'), 4) AS INTEGER)"
_TIMED = ("sessions", "budgets")
_COUNTED = {"agents": "update_agents_updated_at", "teams": "update_swarms_updated_at"}
_TIME = """\
CREATE FUNCTION update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at = now();
    RETURN NEW;
END
$$"""
_MILLISECONDS = """\
CREATE FUNCTION update_updated_at_ms() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at = floor(extract(epoch FROM clock_timestamp()) * 1000);
    RETURN NEW;
END
$$"""


def upgrade() -> None:
    if _on_postgres():
        op.execute(_TIME)
        op.execute(_MILLISECONDS)
    for table, name in _COUNTED.items():
        op.execute(f"CREATE TRIGGER {name} {_counted(table)}")
    for table in _TIMED:
        op.execute(f"CREATE TRIGGER update_{table}_updated_at {_timed(table)}")


def downgrade() -> None:
    on_postgres = _on_postgres()
    triggers = {f"update_{table}_updated_at": table for table in _TIMED}
    triggers |= {name: table for table, name in _COUNTED.items()}
    for name, table in triggers.items():
        op.execute(f"DROP TRIGGER {name}" + (f" ON {table}" if on_postgres else ""))
    if on_postgres:
        op.execute("DROP FUNCTION update_updated_at_ms()")
        op.execute("DROP FUNCTION update_updated_at_column()")


def _timed(table: str) -> str:
    if _on_postgres():
        return f"BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION update_updated_at_column()"
    # A trigger of SQLite cannot change the row on its way. Its own change does not fire it again.
    return (
        f"AFTER UPDATE ON {table} FOR EACH ROW BEGIN"
        f" UPDATE {table} SET updated_at = {_NOW} WHERE id = NEW.id; END"
    )


def _counted(table: str) -> str:
    if _on_postgres():
        return (
            f"BEFORE UPDATE ON {table} FOR EACH ROW"
            " WHEN (NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at)"
            " EXECUTE FUNCTION update_updated_at_ms()"
        )
    return (
        f"AFTER UPDATE ON {table} FOR EACH ROW WHEN NEW.updated_at IS OLD.updated_at"
        f" BEGIN UPDATE {table} SET updated_at = {_NOW_MS} WHERE id = NEW.id; END"
    )


def _on_postgres() -> bool:
    return op.get_context().dialect.name == "postgresql"
