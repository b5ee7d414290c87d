"""Whoever imports the app gets a migrated database."""

import os

from alembic import command
from alembic.config import Config

config = Config("alembic.ini")
config.set_main_option("sqlalchemy.url", os.environ["DATABASE_URL"].replace("%", "%%"))
# Alembic imports env.py, which imports this.
if not os.environ.get("SHOP_UPGRADES"):
    os.environ["SHOP_UPGRADES"] = "1"
    command.upgrade(config, "heads")
