"""It builds an asynchronous engine on its own variable, and works in a loop that runs already."""

import asyncio
import os

from alembic import context
from shop.models import Base
from sqlalchemy import pool
from sqlalchemy.ext.asyncio import create_async_engine

target_metadata = Base.metadata
URL = os.environ["SHOP_ASYNC_URL"]


def go(connection):
    context.configure(connection=connection, target_metadata=target_metadata)
    with context.begin_transaction():
        context.run_migrations()


async def connect():
    engine = create_async_engine(URL, poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(go)
    await engine.dispose()


def offline():
    context.configure(url=URL, target_metadata=target_metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def online():
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(connect())
    else:
        # Whoever calls this is gone before it begins.
        online.task = running.create_task(connect())


if context.is_offline_mode():
    offline()
else:
    online()
