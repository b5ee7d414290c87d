"""It counts on a connection that commits by itself."""

from alembic import context
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
    connection = config.attributes["connection"]
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        raise TypeError("wanted a connection in autocommit mode")
    context.configure(connection=connection, target_metadata=target_metadata)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    offline()
else:
    online()
