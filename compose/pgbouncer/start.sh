#!/bin/sh
# PgBouncer for the app: transactions of many clients on few connections. The password is written
# where only this container can read it, and forgotten with it.
set -eu
umask 077
quoted() { sed 's/"/""/g'; }

printf '"%s" "%s"\n' "$(printf '%s' "$APP_ROLE" | quoted)" \
    "$(quoted < /run/secrets/postgres_password)" > /tmp/users
cat > /tmp/pgbouncer.ini <<INI
[databases]
* = host=postgres port=5432

[pgbouncer]
listen_addr = *
listen_port = 5432
unix_socket_dir =
auth_type = scram-sha-256
auth_file = /tmp/users
pool_mode = transaction
max_client_conn = $MAX_CLIENTS
default_pool_size = $POOL_SIZE
max_prepared_statements = 200
; A server that is back is used at once, and not after 15 seconds.
server_login_retry = 1
server_tls_sslmode = ${SERVER_TLS_MODE:-disable}
${SERVER_TLS_MODE:+server_tls_ca_file = /tls/ca.crt}
client_tls_sslmode = ${CLIENT_TLS_MODE:-disable}
${CLIENT_TLS_MODE:+client_tls_key_file = /run/tls/pgbouncer.pem}
${CLIENT_TLS_MODE:+client_tls_cert_file = /run/tls/pgbouncer.pem}
INI

# Its resolver keeps an address for as long as the engine's name server allows, which is 10 minutes,
# whatever dns_max_ttl says. A server that is back at another address is found by starting anew.
follow() { # PID
    was=$(getent hosts postgres) || true
    while sleep 1; do
        now=$(getent hosts postgres) || continue
        [ "$now" = "$was" ] || kill -QUIT "$1"
    done
}
follow $$ &
exec pgbouncer /tmp/pgbouncer.ini
