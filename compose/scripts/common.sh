# What the scripts share: the stack they are for, and how to speak to it. They work in this folder,
# where compose finds compose.yml, .env and what COMPOSE_FILE names in it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

compose() { ${COMPOSE:-docker compose} "$@"; }

engine() { local words=${COMPOSE:-docker compose}; ${words% compose} "$@"; }

# The name that the engine knows one of the stack's volumes by; nothing where there is none yet.
volume() { # NAME
    engine volume ls --quiet --filter "label=com.docker.compose.project=$(deployment)" \
        --filter "label=com.docker.compose.volume=$1"
}

deployment() { compose config | sed -n 's/^name: //p'; }

# A variable of the stack: from the environment, else from .env, else its default.
setting() { # NAME DEFAULT
    local line
    [ -z "${!1:-}" ] || { printf '%s\n' "${!1}"; return; }
    line=$(sed -n "s/^$1=//p" .env 2>/dev/null | tail -n 1)
    line=${line#[\"\']}
    line=${line%[\"\']}
    printf '%s\n' "${line:-$2}"
}

secrets=$(setting SECRETS_DIR ./secrets)

# Those of these services that there are in the profiles that are on, and that run. A container that
# goes away while compose looks at it makes that fail; nobody may take this for "none runs".
running() { # SERVICES...
    local services
    for _ in 1 2 3 4 5; do
        if services=$(compose ps --services --status running 2>/dev/null); then
            grep -Fx -f <(printf '%s\n' "$@") <<< "$services" || true
            return
        fi
        sleep 0.5
    done
    compose ps --services --status running >/dev/null || die 'cannot tell what runs'
}

# SQL from the standard input, as the superuser behind the socket of the server's own container.
admin_sql() { # DATABASE [PSQL-ARGUMENTS...]
    compose exec -T postgres psql --no-psqlrc --quiet --tuples-only --no-align \
        --set ON_ERROR_STOP=1 --username postgres --dbname "$@"
}
