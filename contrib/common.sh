# Sourced by the scripts of contrib/: packages, build, children that end with the script. Needs bash.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

say() { printf '%s\n' "$*" >&2; }
die() { say "$(basename "$0"): $*"; exit 1; }

# Installs what contrib/packages names and the machine lacks.
need_packages() {
    local missing=() package
    while read -r package; do
        dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done < <(grep -v '^#' contrib/packages)
    [ ${#missing[@]} -eq 0 ] && return
    [ "$(id -u)" = 0 ] || die "as root, install first: ${missing[*]}"
    say "installing ${#missing[@]} packages: ${missing[*]}"
    # The lists' servers start no services here: there is no init to start them, and the scripts bring their own.
    local policy=/usr/sbin/policy-rc.d made=
    [ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" && made=1; }
    local failed=
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}"; } \
        >"${TMPDIR:-/tmp}/yunqiao-apt.$$.log" 2>&1 || failed=1
    [ -z "$made" ] || rm -f "$policy"
    [ -z "$failed" ] || { tail -n 20 "${TMPDIR:-/tmp}/yunqiao-apt.$$.log" >&2; die "could not install packages"; }
    rm -f "${TMPDIR:-/tmp}/yunqiao-apt.$$.log"
}

# build PRESET [TARGET...]: configures and builds, saying little unless it fails.
build() {
    local preset=$1 log
    shift
    log=$(mktemp)
    if ! { cmake --preset "$preset" && cmake --build "build/$preset" -j "$(nproc)" ${*:+--target "$@"}; } >"$log" 2>&1; then
        tail -n 60 "$log" >&2
        rm -f "$log"
        die "the build failed"
    fi
    rm -f "$log"
}

# Children end with the script, last first: `spawn NAME command…` leaves the process id in $spawned.
children=()
spawn() {
    local name=$1
    shift
    "$@" &
    spawned=$!
    children+=("$spawned:$name")
}
end_children() {
    local i entry pid
    for ((i = ${#children[@]} - 1; i >= 0; i--)); do
        entry=${children[i]}
        pid=${entry%%:*}
        kill -TERM "$pid" 2>/dev/null || continue
        for _ in $(seq 300); do
            kill -0 "$pid" 2>/dev/null || continue 2
            read -r -t 0.1 <> <(:) || true
        done
        kill -KILL "$pid" 2>/dev/null || true
    done
    children=()
}

# wait_line FILE PATTERN SECONDS PID: waits until a line matches, while the process lives; prints it.
wait_line() {
    local file=$1 pattern=$2 seconds=$3 pid=$4 i
    for ((i = 0; i < seconds * 10; i++)); do
        grep -m 1 -E "$pattern" "$file" 2>/dev/null && return
        kill -0 "$pid" 2>/dev/null || return 1
        read -r -t 0.1 <> <(:) || true
    done
    return 1
}

# json FILE-OR-TEXT MEMBER: one member of a one-line JSON object.
json() {
    python3 -c 'import json, sys; print(json.loads(sys.argv[1])[sys.argv[2]])' "$1" "$2"
}
