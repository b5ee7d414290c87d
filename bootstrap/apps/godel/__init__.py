"""godel: agents, teams, workflows and events, on SQLite or PostgreSQL."""

from bootstrap import app

APP = app.App(
    name="godel",
    title="agents, teams, workflows and events",
    alembic=app.shipped_migrations("godel"),
    metadata="bootstrap.apps.godel.models:Base.metadata",
    sqlite="./godel.db",
    postgres={"host": "localhost", "port": "5432", "db": "godel", "user": "godel"},
    test_db="godel_test",
    aliases={
        "DATABASE_URL": ("POSTGRES_URL",),
        "BOOTSTRAPD_STORAGE": ("DASH_STORAGE", "DASH_STORAGE_TYPE"),
        "BOOTSTRAPD_SQLITE_PATH": ("DASH_SQLITE_PATH",),
    },
    config_file=app.ConfigFile(
        "config/godel.yaml",
        {
            "storage.type": "BOOTSTRAPD_STORAGE",
            "storage.sqlite.path": "BOOTSTRAPD_SQLITE_PATH",
            "storage.postgres.url": "DATABASE_URL",
        },
    ),
)
