"""dash: swarms of agents, their events, sessions and budgets, on PostgreSQL or SQLite."""

from bootstrap import app

APP = app.App(
    name="dash",
    title="swarms, agents, events, sessions and budgets",
    alembic=app.shipped_migrations("dash"),
    metadata="bootstrap.apps.dash.models:Base.metadata",
    sqlite="./dash.db",
    postgres={"host": "localhost", "port": "5432", "db": "dash", "user": "dash"},
    test_db="dash_test",
    aliases={
        "BOOTSTRAPD_REDIS_HOST": ("REDIS_HOST",),
        "BOOTSTRAPD_REDIS_PORT": ("REDIS_PORT",),
    },
)
