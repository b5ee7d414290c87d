"""Its scripts are in a package of the app."""

from alembic import context
from sqlalchemy import create_engine, pool

from shop.models import Base

config = context.config
target_metadata = Base.metadata


def offline():
    context.configure(
        url=config.get_main_option("sqlalchemy.url"),
        target_metadata=target_metadata,
        literal_binds=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def online():
    with create_engine(
        config.get_main_option("sqlalchemy.url"), poolclass=pool.NullPool
    ).connect() as connection:
        context.configure(connection=connection, target_metadata=target_metadata)
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    offline()
else:
    online()
