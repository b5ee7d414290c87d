"""What the upstream image makes of its environment."""

import os

SERVER_MODE = True
DATA_DIR = "/var/lib/pgadmin"
DEFAULT_SERVER = "0.0.0.0"
DEFAULT_SERVER_PORT = int(os.environ["PGADMIN_LISTEN_PORT"])
LOG_FILE = os.devnull
UPGRADE_CHECK_ENABLED = False
