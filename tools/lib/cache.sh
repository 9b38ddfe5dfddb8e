# shellcheck shell=bash
# The cache of real servers: `${ROSTER_CACHE:-~/.cache/roster}/NAME/`, one folder for each entry.
#
# An entry is built in a work folder beside it and renamed when it is finished, its `ready` file written last.
# So a folder without a fitting `ready` file is a leftover: it is removed and built again.

say() { printf 'setup: %s\n' "$*" >&2; }

fail() {
    printf 'setup: error: %s\n' "$*" >&2
    exit 1
}

# Names every missing program at once, with the line that installs them.
# need "PACKAGE …" PROGRAM…
need() {
    local packages=$1 program missing=()
    shift
    for program in "$@"; do
        command -v "$program" >/dev/null || missing+=("$program")
    done
    ((${#missing[@]} == 0)) || fail "not found: ${missing[*]}. Install with: sudo apt-get install -y $packages"
}

cache_open() {
    cache=${ROSTER_CACHE:-${HOME:?set HOME or ROSTER_CACHE}/.cache/roster}
    mkdir -p "$cache" || fail "cannot write to $cache; set ROSTER_CACHE to a folder of yours"
    cache=$(cd "$cache" && pwd)
    work=
}

# One set-up at a time builds; the others wait for it and find its entries.
cache_lock() {
    [[ -z $work ]] || return 0
    exec 9>"$cache/.lock"
    if ! flock --nonblock 9; then
        say "waiting for another set-up that works in $cache"
        flock 9
    fi
    rm -rf "$cache"/.work.*
    work=$(mktemp -d "$cache/.work.XXXXXX")
    trap 'rm -rf "$work"' EXIT
}

# entry_ready NAME RECIPE: was NAME finished by this recipe?
entry_ready() {
    local recipe
    { read -r recipe <"$cache/$1/ready"; } 2>/dev/null && [[ $recipe == "$2" ]]
}

# entry_finish NAME RECIPE VERSION: moves $work/NAME to its place.
entry_finish() {
    printf '%s\n%s\n' "$2" "$3" >"$work/$1/ready"
    rm -rf "${cache:?}/$1"
    mv "$work/$1" "$cache/$1"
    say "$1: ready, $3 in $cache/$1"
}

# Runs a long command with its output kept in a log that is shown only when it fails.
# logged LABEL COMMAND…
logged() {
    local label=$1 log
    log=$work/${1//[^a-z0-9]/-}.log
    shift
    if ! "$@" >"$log" 2>&1; then
        tail -n 25 "$log" >&2
        say "failed: $label (its last lines are above)"
        return 1
    fi
}
