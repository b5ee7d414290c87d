"""Its version table is in a schema that it makes itself."""

from alembic import context
from shop.models import Base
from sqlalchemy import create_engine, pool, text

config = context.config
target_metadata = Base.metadata
versions = {"version_table": "revision", "version_table_schema": "meta"}


def offline():
    context.configure(
        url=config.get_main_option("sqlalchemy.url"),
        target_metadata=target_metadata,
        literal_binds=True,
        **versions,
    )
    with context.begin_transaction():
        context.run_migrations()


def online():
    url = config.get_main_option("sqlalchemy.url")
    with create_engine(url, poolclass=pool.NullPool).connect() as connection:
        connection.execute(text("create schema if not exists meta"))
        connection.commit()
        context.configure(connection=connection, target_metadata=target_metadata, **versions)
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    offline()
else:
    online()
