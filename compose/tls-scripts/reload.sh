#!/bin/sh
# Takes the certificate that scripts/certs has renewed, without a restart. SERVER
set -eu
sh /usr/local/lib/tls/install.sh "$1" postgres
case $1 in
    postgres)
        psql --no-psqlrc --quiet --username postgres --dbname postgres --tuples-only \
            --command 'SELECT pg_reload_conf()' | grep -q t ;;
    redis)
        sh /usr/local/lib/stack/admin.sh \
            'CONFIG SET tls-cert-file /run/tls/redis.pem tls-key-file /run/tls/redis.pem' |
            grep -qx OK ;;
    pgbouncer) kill -HUP 1 ;;
esac
