"""business_os: users, their businesses, conversations and messages, on PostgreSQL or SQLite."""

from bootstrap import app

APP = app.App(
    name="business_os",
    title="users, businesses, conversations and messages",
    alembic=app.shipped_migrations("business_os"),
    metadata="bootstrap.apps.business_os.models:Base.metadata",
    sqlite="./business_os.db",
    postgres={"host": "localhost", "port": "5432", "db": "business_os", "user": "business_os"},
    test_db="business_os_test",
    aliases={"POSTGRES_SSL": ("DATABASE_SSL",)},
)
