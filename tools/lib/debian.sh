# shellcheck shell=bash
# Programs from Debian's binary packages through private apt lists: apt's own signature check, but nothing is installed,
# no root is needed and the machine's sources, lists and caches stay as they are.
#
# A program keeps the libraries of the suite that it was built for, the C library and its loader included. So a package
# of any suite runs on any Linux of the same machine type.

debian_hint='set ROSTER_DEBIAN_MIRROR to a Debian mirror (…/debian)'

# debian_entry NAME PACKAGE VERSION-PREFIX BINARY SUITE…
#
# Makes the entry NAME of the cache: NAME/bin holds BINARY (a path in PACKAGE) and NAME/lib the libraries. PACKAGE is of
# the first SUITE that can give a version with that prefix; an empty prefix takes any.
debian_entry() {
    local name=$1 package=$2 prefix=$3 binary=$4 from
    shift 4
    from=$work/unpacked-$name
    debian_unpack "$from" "$package" "$prefix" "$@"
    mkdir -p "$work/$name/bin" "$work/$name/lib"
    cp "$from$binary" "$work/$name/bin/"
    binary=$work/$name/bin/${binary##*/}
    debian_add_libraries "$binary" "$from" "$work/$name/lib"
    debian_own_libraries "$binary" "$cache/$name/lib"
    entry_finish "$name" "$package $debian_version from Debian's $debian_suite"
}

# debian_add_libraries BINARY UNPACKED FOLDER: copies every library that BINARY needs, directly or not.
debian_add_libraries() {
    local binary name found todo=("$1")
    while ((${#todo[@]} > 0)); do
        binary=${todo[0]}
        todo=("${todo[@]:1}")
        for name in $(debian_needs "$binary"); do
            [[ ! -e $3/$name ]] || continue
            found=$(find "$2" -name "$name" -not -path '*/debug/*' -print -quit)
            [[ -n $found ]] || fail "Debian's packages lack $name, which ${binary##*/} needs"
            cp -L "$found" "$3/$name"
            todo+=("$3/$name")
        done
    done
}

# debian_needs BINARY: the names of the libraries that it is linked with, and those that it loads while it runs. What is
# linked statically has none.
debian_needs() {
    "$cache/patchelf/bin/patchelf" --print-needed "$1" 2>/dev/null || true
    # The C library loads this one when a thread ends.
    [[ ${1##*/} != libc.so.6 ]] || echo libgcc_s.so.1
}

# debian_own_libraries BINARY FOLDER: BINARY takes its loader and its libraries from FOLDER. A program that starts itself
# again, as HAProxy's master does, does so too.
debian_own_libraries() {
    local loader
    loader=$("$cache/patchelf/bin/patchelf" --print-interpreter "$1" 2>/dev/null) || return 0
    "$cache/patchelf/bin/patchelf" --force-rpath --set-interpreter "$2/${loader##*/}" --set-rpath "$2" "$1"
}

# debian_unpack FOLDER PACKAGE VERSION-PREFIX SUITE…
#
# Unpacks PACKAGE and the libraries that it depends on, directly or not, below FOLDER. Sets debian_version and debian_suite.
debian_unpack() {
    local into=$1 package=$2 prefix=$3 versions version
    shift 3
    for debian_suite in "$@"; do
        debian_open "$debian_suite" || continue
        versions=$(debian_versions "$package" "$prefix")
        for debian_version in $versions; do
            say "  $package $debian_version from Debian's $debian_suite"
            rm -rf "$into"
            ! debian_unpack_version "$into" "$package" "$debian_version" || return 0
        done
    done
    fail "no $package${prefix:+ $prefix*} can be fetched from Debian's $* on $debian_mirror; $debian_hint"
}

# debian_unpack_version FOLDER PACKAGE VERSION: PACKAGE itself is this version and no other, a library may be another.
debian_unpack_version() {
    local into=$1 package=$2 version=$3 wanted library deb
    rm -rf "$debian_at/debs" && mkdir -p "$debian_at/debs" "$into"
    debian_fetch "$package=$version" || return 1
    wanted=$(debian_libraries "$package=$version") || return 1
    # All in one go; only when a mirror names what it does not hold, each by itself.
    # shellcheck disable=SC2086
    if [[ -n $wanted ]] && ! debian_fetch $wanted; then
        for library in $wanted; do
            debian_fetch_any "${library%%=*}" || return 1
        done
    fi
    for deb in "$debian_at"/debs/*.deb; do
        dpkg-deb -x "$deb" "$into" || return 1
    done
}

# debian_libraries PACKAGE=VERSION: the libraries that it depends on, resolved by apt. What only installs and configures is
# in other sections.
debian_libraries() {
    local resolved
    resolved=$(debian_apt get -q install --simulate --no-install-recommends "$1" 2>"$debian_at/log") || {
        debian_say_why "the dependencies of $1"
        return 1
    }
    resolved=$(sed -n 's/^Inst \([^ ]*\) (\([^ ]*\).*/\1=\2/p' <<<"$resolved")
    # shellcheck disable=SC2086
    debian_apt cache show $resolved 2>"$debian_at/log" | awk '
        { field[$1] = $2 }
        /^$/ && field["Section:"] ~ /^(libs|java)$/ { print field["Package:"] "=" field["Version:"] }
        /^$/ { delete field }' | sort -u
}

# debian_fetch PACKAGE=VERSION…
debian_fetch() {
    (cd "$debian_at/debs" && debian_apt get -qq download "$@") >"$debian_at/log" 2>&1 && return 0
    debian_say_why "$(if (($# == 1)); then echo "$1"; else echo "a library"; fi)"
    return 1
}

# debian_fetch_any PACKAGE: the newest version that can be fetched.
debian_fetch_any() {
    local version
    for version in $(debian_versions "$1" ''); do
        ! debian_fetch "$1=$version" || return 0
    done
    return 1
}

debian_say_why() { say "  $1 failed: $(grep -m 1 '^E:' "$debian_at/log" || true)"; }

# Versions that the lists name, newest first. A mirror can name a version that it does not hold (yet, or any more).
# debian_versions PACKAGE VERSION-PREFIX
debian_versions() {
    debian_apt cache madison "$1" 2>/dev/null |
        awk -F ' *[|] *' -v prefix="$2" '$3 ~ /Packages$/ && index($2, prefix) == 1 { print $2 }' | sort -rVu
}

# debian_open SUITE: sets debian_at to a private apt folder with the lists of SUITE, its security and its updates, as far
# as the mirror has them.
debian_open() {
    debian_at=$work/apt/$1
    debian_find_mirrors
    [[ ! -e $debian_at/opened ]] || return "$(<"$debian_at/opened")"
    local keyring
    keyring=$(debian_keyring)
    mkdir -p "$debian_at"/{lists/partial,archives/partial,none.d}
    : >"$debian_at/status"
    debian_write_conf >"$debian_at/apt.conf"
    {
        printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$debian_mirror" "$1"
        case $1 in
        # Neither has a security suite.
        sid | experimental | *-backports) ;;
        *)
            printf 'deb [signed-by=%s] %s %s-updates main\n' "$keyring" "$debian_mirror" "$1"
            [[ -z $debian_security ]] ||
                printf 'deb [signed-by=%s] %s %s-security main\n' "$keyring" "$debian_security" "$1"
            ;;
        esac
    } >"$debian_at/sources.list"
    say "  fetching the package lists of Debian's $1 from $debian_mirror"
    # A suite without updates or security is no error. Whether the lists are of use shows when a version is looked for.
    debian_apt get -qq update >"$debian_at/log" 2>&1 || debian_say_why "a package list"
    if compgen -G "$debian_at/lists/*Packages*" >/dev/null; then
        echo 0 >"$debian_at/opened"
    else
        echo 1 >"$debian_at/opened"
        return 1
    fi
}

debian_keyring() {
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [[ -e $keyring ]] || keyring=${keyring%.gpg}.pgp
    [[ -e $keyring ]] && echo "$keyring"
}

# The machine's proxy and credential settings stay in force; its update hooks do not run. A mirror that is frozen or behind
# is good enough for tests: the signature counts, not the day until which it was to be replaced.
debian_write_conf() {
    cat <<END
#clear APT::Update;
APT::Sandbox::User "$(id -un)";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::Check-Valid-Until "false";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Dir::Etc::preferences "$debian_at/none";
Dir::Etc::preferencesparts "$debian_at/none.d";
Dir::State "$debian_at";
Dir::State::lists "$debian_at/lists";
Dir::State::status "$debian_at/status";
Dir::Cache "$debian_at";
Dir::Cache::archives "$debian_at/archives";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin";
END
}

# debian_apt get|cache ARGUMENT…
debian_apt() {
    local tool=apt-$1
    shift
    "$tool" -c "$debian_at/apt.conf" -o Dir::Etc::sourcelist="$debian_at/sources.list" -o Dir::Etc::sourceparts=- "$@"
}

# The mirror that this machine is already set up for. `update --print-uris` reads the sources and fetches nothing.
debian_find_mirrors() {
    debian_mirror=${ROSTER_DEBIAN_MIRROR:-}
    debian_security=${ROSTER_DEBIAN_SECURITY_MIRROR:-}
    [[ -z $debian_mirror ]] || return 0
    local uris
    mkdir -p "$work/apt"
    echo '#clear APT::Update;' >"$work/apt/no-hooks.conf"
    uris=$(apt-get -c "$work/apt/no-hooks.conf" update --print-uris 2>/dev/null | sed -n "s|^'\(.*\)/dists/.*/InRelease' .*|\1|p" || true)
    debian_mirror=$(grep -m 1 -E '/debian(\.list)?(/[0-9]{8}T[0-9]{6}Z)?/*$' <<<"$uris" || true)
    debian_security=$(grep -m 1 -E '/debian-security(\.list)?(/[0-9]{8}T[0-9]{6}Z)?/*$' <<<"$uris" || true)
    [[ -n $debian_mirror ]] || fail "no Debian mirror among this machine's apt sources; $debian_hint"
}
