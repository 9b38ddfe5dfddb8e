# shellcheck shell=bash
# The cache of real servers: `${ROSTER_CACHE:-~/.cache/roster}/NAME/`, one folder for each entry.
#
# An entry is built in a work folder beside it and renamed when it is finished, its `ready` file written last.
# So a folder without a fitting `ready` file is a leftover: it is removed and built again.

say() { printf 'setup: %s\n' "$*" >&2; }

# Within `cache_build` the reason is kept for the report of everything that is missing.
fail() {
    if [[ -n ${failure:-} ]]; then
        printf '%s\n' "$*" >"$failure"
    else
        printf 'setup: error: %s\n' "$*" >&2
    fi
    exit 1
}

cache_open() {
    cache=${ROSTER_CACHE:-${HOME:?set HOME or ROSTER_CACHE}/.cache/roster}
    mkdir -p "$cache" || fail "cannot write to $cache; set ROSTER_CACHE to a folder of yours"
    cache=$(cd "$cache" && pwd)
}

# One set-up at a time builds; the others wait for it and find its entries.
cache_lock() {
    exec 9>"$cache/.lock"
    if ! flock --nonblock 9; then
        say "waiting for another set-up that works in $cache"
        flock 9
    fi
    rm -rf "$cache"/.work.*
    work=$(mktemp -d "$cache/.work.XXXXXX")
    trap 'rm -rf "$work"' EXIT
}

# entry_recipe NAME: prints what an entry is made by. Programs with libraries of their own hold the path of their folder.
entry_recipe() { printf '%s in %s' "${recipes[$1]}" "$cache"; }

# entry_ready NAME: was NAME finished by today's recipe?
entry_ready() {
    local recipe
    { read -r recipe <"$cache/$1/ready"; } 2>/dev/null && [[ $recipe == "$(entry_recipe "$1")" ]]
}

# entry_finish NAME VERSION: moves $work/NAME to its place.
entry_finish() {
    printf '%s\n%s\n' "$(entry_recipe "$1")" "$2" >"$work/$1/ready"
    rm -rf "${cache:?}/$1"
    mv "$work/$1" "$cache/$1"
    say "$1: ready, $2 in $cache/$1"
}

# cache_build NAME…: builds each entry that is not ready, by the function `entry_NAME`. One that cannot be built does not
# stop the others. Sets not_built to a line for each that failed.
cache_build() {
    local name status
    not_built=()
    for name in "$@"; do
        ! entry_ready "$name" || continue
        say "$name: ${recipes[$name]}"
        failure=$work/failure
        echo "the set-up of $name broke off" >"$failure"
        # Not `(…) ||`, in which a failing command would not end the recipe.
        set +e
        (
            set -e
            "entry_${name//[.-]/_}"
        )
        status=$?
        set -e
        ((status == 0)) || not_built+=("$name: $(<"$failure")")
        failure=
    done
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
