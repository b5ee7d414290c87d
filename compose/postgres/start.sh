#!/usr/bin/env bash
# Goes before the image's own entrypoint, which runs the scripts of initdb/ on a new volume.
set -eu

# Data that this image would not find, it would leave beside a new, empty database.
while read -r found; do
    [ "${found%/global/pg_control}" != "$PGDATA" ] || continue
    other=${found%/global/pg_control}
    printf '%s\n' "postgres: $other holds data of PostgreSQL $(cat "$other/PG_VERSION"), and this image, \
$PG_MAJOR, keeps its own in $PGDATA; nothing was started. Use the image and the volume path that \
belong to that data (compose.postgres17.yml up to 17), or dump and restore to change the version" >&2
    exit 1
done < <(find /var/lib/postgresql -maxdepth 5 -path '*/global/pg_control' 2>/dev/null)

# A first start that is killed half-way leaves a server without roles, which the image would take
# for a complete one. As long as this file says so, nobody could have logged in yet: start over.
# (Before 18 the volume has no place for it.)
first=${PGDATA%/*}/.first-start
if [ "$(cat "$first" 2>/dev/null)" = begun ]; then
    echo 'postgres: the first start did not come to its end; starting over' >&2
    rm -rf "${PGDATA:?}"
elif [ -z "$(ls -A "$PGDATA" 2>/dev/null)" ] && mkdir -p "${PGDATA%/*}" 2>/dev/null; then
    { echo begun > "$first"; } 2>/dev/null && chmod 666 "$first" || true
fi

# The image would keep the superuser's password in the server's environment for good. What it gets
# is of no use to anybody: initdb/10-roles.sh sets the one of the secret.
POSTGRES_PASSWORD=$(head -c 32 /dev/urandom | sha256sum | cut -c 1-64)
export POSTGRES_PASSWORD
exec docker-entrypoint.sh "$@"
