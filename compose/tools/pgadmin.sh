#!/bin/sh
# pgAdmin that knows the stack's server; it asks for the role's password when one connects.
set -eu
export PGADMIN_SERVER_JSON_FILE=/tmp/servers.json
cat > "$PGADMIN_SERVER_JSON_FILE" <<JSON
{"Servers": {"1": {"Group": "Servers", "Name": "the stack", "Host": "postgres", "Port": 5432,
  "MaintenanceDB": "$POSTGRES_DB", "Username": "$APP_ROLE", "SSLMode": "${PGSSLMODE:-prefer}"}}}
JSON
exec /entrypoint.sh
