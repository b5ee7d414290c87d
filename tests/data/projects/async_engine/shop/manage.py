"""The app's own command: it calls Alembic from within a loop, and nothing comes of it."""

import asyncio

from alembic import command
from alembic.config import Config


async def main():
    command.upgrade(Config("alembic.ini"), "heads")


if __name__ == "__main__":
    asyncio.run(main())
