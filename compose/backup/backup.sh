#!/usr/bin/env bash
# Dumps of the app's database into /backups, and their retention.
#
#   schedule   one every BACKUP_INTERVAL_S seconds, for ever
#   once       one now; prints its name
#   list       those that there are, the newest first
#   check      succeeds if the newest is no older than it may be
#
# A dump is there under its name only when it is complete and could be read to its end.
set -euo pipefail
folder=/backups
# sed reads all of it: a list that nobody reads to its end would fail.
newest() { list | sed -n 1p; }

list() {
    find "$folder" -maxdepth 1 -type f -name "$PGDATABASE-????????T??????Z.dump" -printf '%f\n' |
        sort --reverse
}

# A file, since an environment can be read by others.
log_in() {
    local password
    password=$(sed 's/[:\\]/\\&/g' /run/secrets/postgres_password)
    (umask 077; printf '*:*:*:*:%s\n' "$password" > "$PGPASSFILE")
}

once() {
    local name
    name=$PGDATABASE-$(date -u +%Y%m%dT%H%M%SZ).dump
    log_in
    rm -f "$folder"/.part-"$PGDATABASE"-*
    (umask 077; pg_dump --format=custom --file "$folder/.part-$name")
    pg_restore --file /dev/null "$folder/.part-$name"
    sync "$folder/.part-$name"
    mv "$folder/.part-$name" "$folder/$name"
    list | tail -n +$((BACKUP_KEEP + 1)) | while read -r old; do
        rm -f "$folder/$old"
        echo "deleted $old: the newest $BACKUP_KEEP are kept" >&2
    done
    echo "$name"
}

age_s() { # of the newest; far more than any interval if there is none
    local last
    last=$(newest)
    [ -n "$last" ] || { echo 999999999; return; }
    echo $(($(date +%s) - $(stat --format %Y "$folder/$last")))
}

schedule() {
    trap 'exit 0' TERM INT
    local wait_s
    while true; do
        wait_s=$((BACKUP_INTERVAL_S - $(age_s)))
        if [ "$wait_s" -le 0 ]; then
            if name=$(once); then echo "made $name"; wait_s=$BACKUP_INTERVAL_S
            else echo "no backup was made; trying again in 60 s" >&2; wait_s=60; fi
        fi
        sleep "$wait_s" &
        wait $!
    done
}

check() {
    [ "$(age_s)" -le $((BACKUP_INTERVAL_S + BACKUP_INTERVAL_S / 2 + 300)) ]
}

case ${1:-schedule} in
    schedule | once | list | check) "${1:-schedule}" ;;
    *) echo "backup: wanted schedule, once, list or check, found '$1'" >&2; exit 2 ;;
esac
