#!/bin/sh
# Redis with users in place of one password for all. The files hold passwords; what Redis reads,
# in memory alone, are their hashes.
set -eu
umask 077

hash() { printf '%s' "$1" | sha256sum | cut -c 1-64; }

app=$(cat /run/secrets/redis_password)
monitor=$(sed -n 's/.*: *"\([^"]*\)".*/\1/p' /run/secrets/redis_monitor.json)
[ -n "$app" ] || { echo "redis: the secret redis_password is empty; run: make secrets" >&2; exit 1; }
[ -n "$monitor" ] || { echo "redis: the secret redis_monitor.json names no password" >&2; exit 1; }
# For scripts that are run inside this container, until it ends.
head -c 32 /dev/urandom | sha256sum | cut -c 1-64 > /run/redis/admin

cat > /run/redis/users.acl <<USERS
user default off
user admin on #$(hash "$(cat /run/redis/admin)") ~* &* +@all
user app on #$(hash "$app") ~* &* +@all -@admin -@dangerous +info +keys +sort +flushdb
user monitor on #$(hash "$monitor") -@all +ping +info +select +config|get +slowlog|get +slowlog|len +latency|latest +latency|histogram +client|list +client|setname
USERS
exec docker-entrypoint.sh redis-server --aclfile /run/redis/users.acl \
    --unixsocket /run/redis/redis.sock "$@"
