#!/bin/sh
# nginx in a container, and an eye on the addresses behind it: `gateway.sh CONFIGURATION`.
#
# nginx asks for the address of a name once. Containers come and go with other addresses, and `--scale` adds some, so
# this asks again every few seconds and has nginx take up what has changed, without a request being cut. While a service
# has no address at all, nginx keeps the last it knew and answers 503 for it.
set -eu
configuration=$1
pause_seconds=${2:-2}

names=$(sed -n 's/^ *server \([a-z][a-z0-9.-]*\):[0-9].*/\1/p' "$configuration" | sort -u)

# Each name with all its addresses; fails if one has none.
addresses() {
    for name in $names; do
        found=$(getent ahostsv4 "$name" | awk '{print $1}' | sort -u | tr '\n' ' ')
        [ -n "$found" ] || return 1
        echo "$name $found"
    done
}

known=$(addresses || true)
nginx -e stderr -c "$configuration" -g 'daemon off;' &
nginx=$!
trap 'kill -QUIT "$nginx"; wait "$nginx"; exit 0' TERM INT QUIT

while kill -0 "$nginx" 2>/dev/null; do
    sleep "$pause_seconds" &
    wait $! || true
    if now=$(addresses) && [ "$now" != "$known" ]; then
        nginx -e stderr -c "$configuration" -s reload && known=$now
    fi
done
wait "$nginx"
