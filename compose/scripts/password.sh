# How a password is made, and how it stands in its file.

# 32 letters and digits, which need no quoting on any road: 190 bits.
password() { head -c 4096 /dev/urandom | LC_ALL=C tr -dc A-Za-z0-9 | cut -c 1-32; }

content_of() { # SECRET PASSWORD
    case $1 in
        redis_monitor.json) printf '{"redis://monitor@redis:6379": "%s", "rediss://monitor@redis:6379": "%s"}' "$2" "$2" ;;
        *) printf '%s' "$2" ;;
    esac
}

password_in() { # FILE
    case $1 in
        *redis_monitor.json*) sed -n 's/.*: *"\([^"]*\)".*/\1/p' "$1" ;;
        *) cat "$1" ;;
    esac
}

# A new file beside the secrets, on the disk and not only in the cache.
new_file() { # TEXT
    local new
    new=$(mktemp "$secrets/.new.XXXXXX")
    printf '%s' "$1" > "$new"
    chmod 444 "$new"
    sync "$new"
    printf '%s\n' "$new"
}
