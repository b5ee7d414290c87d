"""agentpane: projects, their kanban boards, and the agents that work on them."""

from bootstrap import app

APP = app.App(
    name="agentpane",
    title="projects, their tasks and the agents that work on them",
    alembic=app.shipped_migrations("agentpane"),
    metadata="bootstrap.apps.agentpane.models:Base.metadata",
    seeds="bootstrap.apps.agentpane.seeds:seed",
    sqlite="./data/agentpane.db",
    postgres={"host": "", "port": "5432", "db": "agentpane", "user": "agentpane"},
    test_db="agentpane_test",
    aliases={
        "BOOTSTRAPD_STORAGE": ("DB_MODE",),
        "BOOTSTRAPD_SQLITE_PATH": ("DB_PATH", "SQLITE_DATA_DIR/agentpane.db"),
    },
    accepts={"DB_MODE": ("sqlite", "postgres")},
)
