"""Its URL comes from the app's settings."""

from alembic import context
from shop import settings
from shop.models import Base
from sqlalchemy import create_engine, pool

target_metadata = Base.metadata


def offline():
    context.configure(
        url=settings.DATABASE_URI, target_metadata=target_metadata, literal_binds=True
    )
    with context.begin_transaction():
        context.run_migrations()


def online():
    with create_engine(settings.DATABASE_URI, poolclass=pool.NullPool).connect() as connection:
        context.configure(connection=connection, target_metadata=target_metadata)
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    offline()
else:
    online()
