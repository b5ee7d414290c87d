# Runs once, on a new volume: the app's role, which owns its database and is no superuser, and one
# that may read statistics. Passwords go to psql on its standard input, which sends their SCRAM
# verifiers: no argument list, no environment and no log of the server ever holds one.
set -eu

as_admin() {
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username postgres \
        --set role="$1" --set database="$POSTGRES_DB" "${@:2}"
}

role() { # NAME SECRET
    as_admin "$1" --dbname postgres <<'SQL'
SELECT format('CREATE ROLE %I LOGIN', :'role')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
SQL
    local password
    password=$(cat "/run/secrets/$2")
    printf '%s\n%s\n' "$password" "$password" |
        as_admin "$1" --dbname postgres --command '\password :"role"' 2>/dev/null
}

role postgres postgres_admin_password
role "$APP_ROLE" postgres_password
role monitor postgres_monitor_password
as_admin "$APP_ROLE" --dbname "$POSTGRES_DB" <<'SQL'
ALTER DATABASE :"database" OWNER TO :"role";
ALTER SCHEMA public OWNER TO :"role";
REVOKE CONNECT, TEMPORARY ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO monitor;
GRANT pg_monitor TO monitor;
SQL
[ ! -w "${PGDATA%/*}/.first-start" ] || echo done > "${PGDATA%/*}/.first-start"
