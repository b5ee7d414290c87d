"""tarsy: the history of alerts that were worked on, on SQLite or PostgreSQL."""

from bootstrap import app

APP = app.App(
    name="tarsy",
    title="history of alerts: sessions, stages, interactions, events, chats",
    alembic=app.shipped_migrations("tarsy"),
    metadata="bootstrap.apps.tarsy.models:Base.metadata",
    sqlite="./history.db",
    postgres={"host": "localhost", "port": "5432", "db": "tarsy", "user": "tarsy"},
    test_db="tarsy_test",
    aliases={
        "DATABASE_URL": ("HISTORY_DATABASE_URL",),
        "BOOTSTRAPD_ENABLED": ("HISTORY_ENABLED",),
        "POSTGRES_HOST": ("DATABASE_HOST",),
        "POSTGRES_PORT": ("DATABASE_PORT",),
        "POSTGRES_DB": ("DATABASE_NAME",),
        "POSTGRES_USER": ("DATABASE_USER",),
        "POSTGRES_PASSWORD": ("DATABASE_PASSWORD",),
    },
)
