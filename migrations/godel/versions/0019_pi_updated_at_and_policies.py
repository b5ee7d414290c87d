"""Pi's tables keep updated_at, and on PostgreSQL have policies that let everybody do all."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_NOW = "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')"
_TABLES = (
    "pi_instances",
    "pi_sessions",
    "worktrees",
    "conversation_trees",
    "agent_roles",
    "openclaw_instances",
    "provider_routing_rules",
    "todos",
)
_SECURED = (*_TABLES, "conversation_nodes")


def upgrade() -> None:
    for table in _TABLES:
        op.execute(_trigger(table))
    if op.get_context().dialect.name == "postgresql":
        for table in _SECURED:
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            op.execute(f"CREATE POLICY {table}_everyone ON {table} USING (true) WITH CHECK (true)")


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        for table in reversed(_SECURED):
            op.execute(f"DROP POLICY {table}_everyone ON {table}")
            op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    for table in reversed(_TABLES):
        on = f" ON {table}" if op.get_context().dialect.name == "postgresql" else ""
        op.execute(f"DROP TRIGGER update_{table}_updated_at{on}")


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
