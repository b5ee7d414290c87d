"""What the databases of godel do by themselves: they keep updated_at, and know who may do what."""

import sqlalchemy as sa

from bootstrap import serverside
from bootstrap.apps.godel import views

# Their updated_at is a time, set by the database; worktrees got theirs for this.
TIMED = (
    "sessions",
    "budgets",
    "users",
    "api_keys",
    "pi_instances",
    "pi_sessions",
    "worktrees",
    "conversation_trees",
    "agent_roles",
    "openclaw_instances",
    "provider_routing_rules",
    "todos",
)
# Their updated_at is milliseconds since 1970.
COUNTED = {"agents": "update_agents_updated_at", "teams": "update_swarms_updated_at"}
# Row level security is on, and lets everybody do everything.
SECURED = (
    "pi_instances",
    "pi_sessions",
    "worktrees",
    "conversation_trees",
    "conversation_nodes",
    "agent_roles",
    "openclaw_instances",
    "provider_routing_rules",
    "todos",
)

_MILLISECONDS = """\
CREATE FUNCTION update_updated_at_ms() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at = floor(extract(epoch FROM clock_timestamp()) * 1000);
    RETURN NEW;
END
$$"""
_SQLITE_MS = "CAST(strftime('%s', 'now') || substr(strftime('%f', 'now'), 4) AS INTEGER)"


def attach(metadata: sa.MetaData) -> None:
    """Have `metadata.create_all` make triggers, policies and views, and `drop_all` drop them."""
    serverside.attach(metadata, _made, _dropped)


def _made(dialect: str) -> list[str]:
    on_postgres = dialect == "postgresql"
    made = [serverside.UPDATED_AT, _MILLISECONDS] if on_postgres else []
    made += [_counted(name, table, dialect) for table, name in COUNTED.items()]
    made += [serverside.updated_at(table, dialect) for table in TIMED]
    for table in SECURED if on_postgres else ():
        made.append(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        made.append(f"CREATE POLICY {table}_everyone ON {table} USING (true) WITH CHECK (true)")
    return made + views.made(dialect)


def _dropped(dialect: str) -> list[str]:
    dropped = views.dropped()
    if dialect == "postgresql":
        dropped.append("DROP FUNCTION IF EXISTS update_updated_at_column() CASCADE")
        dropped.append("DROP FUNCTION IF EXISTS update_updated_at_ms() CASCADE")
    return dropped


def _counted(name: str, table: str, dialect: str) -> str:
    """Only where a statement leaves updated_at alone: the document's program sets it itself."""
    if dialect == "postgresql":
        return (
            f"CREATE TRIGGER {name} BEFORE UPDATE ON {table} FOR EACH ROW"
            " WHEN (NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at)"
            " EXECUTE FUNCTION update_updated_at_ms()"
        )
    return (
        f"CREATE TRIGGER {name} AFTER UPDATE ON {table} FOR EACH ROW"
        " WHEN NEW.updated_at IS OLD.updated_at"
        f" BEGIN UPDATE {table} SET updated_at = {_SQLITE_MS} WHERE id = NEW.id; END"
    )
