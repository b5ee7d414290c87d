#!/bin/sh
# The certificate and key of this server, where it alone can read them: PostgreSQL accepts no key
# that others could read. SERVER OWNER
set -eu
umask 077
cat /tls/server.pem > "/run/tls/$1.new"
[ "$(id -u)" != 0 ] || chown "$2" "/run/tls/$1.new"
mv "/run/tls/$1.new" "/run/tls/$1.pem"
