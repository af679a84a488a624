#!/bin/sh
# A sample service of the profile demo, by its name. Faults are files in /state, which scripts/demo makes and takes away.
trap 'exit 0' TERM

fault() { [ -e "/state/$1" ]; }

web() {
    # A restart begins with an empty /tmp, and so mends it.
    mkdir -p /tmp/www
    echo "hello from the demo" >/tmp/www/index.html
    httpd -p 8080 -h /tmp/www
    while sleep 1; do
        if fault break; then
            rm -f /state/break /tmp/www/index.html
            echo "ERROR the page is gone, nobody gets an answer any more" >&2
        fi
    done
}

worker() {
    n=0 mine=0
    while sleep 0.5; do
        n=$((n + 1))
        [ $((n % 20)) = 0 ] && echo "batch $((n / 20)) done"
        wget -q -O /dev/null http://demo-web:8080/ 2>/dev/null
        # The first that finds the fault takes it, so that a new replica brings relief.
        while fault burn && { [ "$mine" = 1 ] || mkdir /state/burning 2>/dev/null; }; do
            mine=1
            seq 20000 >/dev/null
        done
        [ "$mine" = 1 ] && rmdir /state/burning
        mine=0
    done
}

cache() {
    # Pages of a tmpfs count as memory and cannot be reclaimed, so this stays below the limit without being killed.
    while sleep 1; do
        if fault leak && [ ! -e /cache/filled ]; then
            echo "WARN the cache does not stop growing"
            head -c 29m /dev/zero >/cache/filled
        fi
        if fault oom; then
            rm -f /state/oom
            echo "ERROR the cache takes everything" >&2
            head -c 64m /dev/zero | tail >/dev/null
        fi
    done
}

job() {
    while sleep 1; do
        if fault crash; then
            echo "ERROR no connection to the database, giving up" >&2
            exit 1
        fi
    done
}

"$1"
