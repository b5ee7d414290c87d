"""Batches, names by convention, and tables that are none of the app's business."""

from alembic import context
from shop.models import Base
from sqlalchemy import create_engine, pool

config = context.config
target_metadata = Base.metadata


def is_ours(thing, name, kind, reflected, other):
    return not (kind == "table" and name.startswith("legacy_"))


options = {"include_object": is_ours, "render_as_batch": True}


def offline():
    context.configure(
        url=config.get_main_option("sqlalchemy.url"),
        target_metadata=target_metadata,
        literal_binds=True,
        **options,
    )
    with context.begin_transaction():
        context.run_migrations()


def online():
    with create_engine(
        config.get_main_option("sqlalchemy.url"), poolclass=pool.NullPool
    ).connect() as connection:
        context.configure(connection=connection, target_metadata=target_metadata, **options)
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    offline()
else:
    online()
