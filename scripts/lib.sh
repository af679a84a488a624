# What the scripts share: a virtual environment with locked dependencies, made when it is missing or outdated.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv

say() { printf '%s\n' "$*" >&2; }

find_python() {
    # Without the environments of this folder, should one be activated: they cannot make themselves anew.
    local candidate PATH=${PATH//"$root/.venv-test/bin:"/}
    PATH=${PATH//"$root/.venv/bin:"/}
    for candidate in "${PYTHON:-}" python3.13 python3.12 python3.11 python3; do
        [ -n "$candidate" ] && command -v "$candidate" >/dev/null || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    say "compose-agent needs Python 3.11 or newer: install it, or name it with PYTHON=/path/to/python3"
    return 1
}

make_venv() {
    local python=$1
    rm -rf "$venv"
    if ! "$python" -m venv "$venv" >/dev/null 2>&1; then
        rm -rf "$venv" # Debian's python3 comes without ensurepip
        local package
        package=python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv
        if [ "$(id -u)" != 0 ]; then
            say "this Python cannot make virtual environments: install $package and run this again"
            return 1
        fi
        say "installing $package"
        { apt-get update && apt-get install -y --no-install-recommends "$package"; } >"$root/.cache/apt.log" 2>&1 ||
            { tail -n 5 "$root/.cache/apt.log" >&2; return 1; }
        "$python" -m venv "$venv"
    fi
}

locks_of() { if [ "$1" = test ]; then echo requirements-dev.lock; else echo requirements-build.lock requirements.lock; fi; }

# The state of everything an environment of this kind is made from.
stamp_of() {
    local python=$1 kind=$2
    (
        cd "$root"
        # shellcheck disable=SC2046 # names of locks, without spaces
        { "$python" -V; pwd; cat pyproject.toml $(locks_of "$kind"); } | sha256sum
    )
}

# prepare_venv run|test: leaves $venv with exactly what the locks name, and this checkout installed in it. That of
# the tests is apart (.venv-test), so that testing never takes the ground from under a running agent.
prepare_venv() {
    local kind=$1 python stamp lock
    [ "$kind" = run ] || venv=$root/.venv-$kind
    mkdir -p "$root/.cache"
    python=$(find_python)
    stamp=$(stamp_of "$python" "$kind")
    [ "$(cat "$venv/stamp" 2>/dev/null)" = "$stamp" ] && return
    if [ -e "$venv" ] && ! [ -O "$venv" ]; then
        say "$venv belongs to another user: run this as that user, or remove it"
        return 1
    fi
    say "preparing $venv (once, and when dependencies change)"
    make_venv "$python"
    for lock in $(locks_of "$kind"); do
        "$venv/bin/pip" install --disable-pip-version-check -q --require-hashes -r "$root/$lock"
    done
    "$venv/bin/pip" install --disable-pip-version-check -q --no-deps --no-build-isolation -e "$root"
    printf '%s\n' "$stamp" >"$venv/stamp"
}
