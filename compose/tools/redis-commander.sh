#!/bin/sh
# Redis Commander with its connection in a file, not in its environment or arguments.
set -eu
umask 077
mkdir -p /tmp/config
cp "$COMMANDER_HOME"/config/*.json /tmp/config/
quoted() { sed 's/\\/\\\\/g; s/"/\\"/g'; }
cat > /tmp/config/local.json <<JSON
{
  "noSave": true,
  "server": {"address": "0.0.0.0", "port": 8081,
    "httpAuth": {"username": "admin", "password": "$(quoted < /run/secrets/redis_commander_password)"}},
  "connections": [{"label": "the stack", "host": "redis", "port": 6379, "dbIndex": 0,
    "username": "app", "password": "$(quoted < /run/secrets/redis_password)"${REDIS_TLS:+, "tls": true}}]
}
JSON
export NODE_CONFIG_DIR=/tmp/config
cd "$COMMANDER_HOME"
exec node bin/redis-commander.js
