#!/bin/sh
# Succeeds on the PONG after a login. The password is in no argument list and no environment. It is
# this container's own: the secret's file that a container sees is the one it was started with, which
# a rotation replaces.
{ printf 'AUTH admin '; cat /run/redis/admin; printf '\nPING\n'; } |
    redis-cli -h 127.0.0.1 "$@" | grep -qx PONG
