#!/bin/sh
# Succeeds on the PONG after a login. The password is in no argument list and no environment.
{ printf 'AUTH app '; cat /run/secrets/redis_password; printf '\nPING\n'; } |
    redis-cli -h 127.0.0.1 "$@" | grep -qx PONG
