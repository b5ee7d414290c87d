"""The app's settings, which it cannot be imported without."""

import logging.config
import os

DATABASE_URI = os.environ["SHOP_DATABASE_URI"]
# It is the only one who may speak.
logging.config.dictConfig({"version": 1, "disable_existing_loggers": True, "root": {"level": 60}})
