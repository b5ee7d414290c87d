#!/bin/sh
set -eu
cd /venv/lib/python3.13/site-packages/pgadmin4
PGADMIN_SETUP_EMAIL=$PGADMIN_DEFAULT_EMAIL PGADMIN_SETUP_PASSWORD=$(cat "$PGADMIN_DEFAULT_PASSWORD_FILE") \
    /venv/bin/python setup.py setup-db
/venv/bin/python setup.py load-servers "$PGADMIN_SERVER_JSON_FILE" --user "$PGADMIN_DEFAULT_EMAIL"
exec /venv/bin/python pgAdmin4.py
