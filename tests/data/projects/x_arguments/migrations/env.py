"""Its URL is one of Alembic's -x arguments, and so is the tenant."""

from alembic import context
from shop.models import Base
from sqlalchemy import create_engine, pool

given = context.get_x_argument(as_dictionary=True)
target_metadata = Base.metadata
if given["tenant"] != "main":
    raise ValueError("which tenant?")


def offline():
    context.configure(url=given["db"], target_metadata=target_metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def online():
    with create_engine(given["db"], poolclass=pool.NullPool).connect() as connection:
        context.configure(connection=connection, target_metadata=target_metadata)
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    offline()
else:
    online()
