# Whether a running server knows a password, and how it is told one. No argument list, no
# environment and no log of a server holds it: it goes to them on the standard input.

logs_in() { # postgres|redis ROLE PASSWORD
    local quoted=${3//\\/\\\\}
    quoted=${quoted//\"/\\\"}
    case $1 in
        # To the app's database, since others need not let every role in.
        postgres) printf '%s\n' "$3" | compose exec -T postgres sh -c 'exec psql --no-psqlrc --quiet \
            --host 127.0.0.1 --username "$0" --dbname "$POSTGRES_DB" --password --command SELECT' "$2" \
            >/dev/null 2>&1 ;;
        redis) printf 'AUTH %s "%s"\nPING\n' "$2" "$quoted" |
            compose exec -T redis redis-cli -s /run/redis/redis.sock 2>/dev/null | grep -qx PONG ;;
    esac
}

tell() { # postgres|redis ROLE PASSWORD
    case $1 in
        # psql sends the verifier of what it reads.
        postgres) printf '%s\n%s\n' "$3" "$3" |
            compose exec -T postgres psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username postgres \
                --dbname postgres --command "\\password \"$2\"" >/dev/null 2>&1 ;;
        redis) compose exec -T redis sh /usr/local/lib/stack/admin.sh \
            "ACL SETUSER $2 resetpass #$(printf '%s' "$3" | sha256sum | cut -c 1-64)" </dev/null |
            grep -qx OK ;;
    esac
}
