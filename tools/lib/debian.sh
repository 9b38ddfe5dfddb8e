# shellcheck shell=bash
# Packages from Debian through private apt lists: apt's own signature check, but nothing is installed, no root is
# needed and the machine's sources, lists and caches stay as they are.

debian_hint='set ROSTER_DEBIAN_MIRROR to a Debian mirror (…/debian), or give your own builds: HAPROXY_2_6=/path HAPROXY_3_0=/path'

# Once a run: writes $work/apt/apt.conf and fetches the lists of every suite that a recipe uses.
debian_open() {
    [[ ! -e $work/apt/ready ]] || return 0
    local tool keyring
    for tool in apt-get apt-cache dpkg dpkg-deb; do
        command -v "$tool" >/dev/null || fail "this system has no $tool. Install HAProxy 2.6 and 3.0 yourself and set HAPROXY_2_6=/path HAPROXY_3_0=/path"
    done
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [[ -e $keyring ]] || keyring=${keyring%.gpg}.pgp
    [[ -e $keyring ]] || fail "Debian's signing keys are missing. Install with: sudo apt-get install -y debian-archive-keyring"

    mkdir -p "$work"/apt/{lists/partial,archives/partial,none.d}
    : >"$work/apt/status"
    debian_write_conf
    debian_find_mirrors
    {
        debian_suite deb bookworm "$keyring"
        debian_suite deb-src trixie "$keyring"
    } >"$work/apt/sources.list"
    say "fetching Debian's package lists from $debian_mirror"
    logged 'package lists' debian_apt get update || fail "no package lists from $debian_mirror; $debian_hint"
    touch "$work/apt/ready"
}

# The machine's proxy and credential settings stay in force; its update hooks do not run.
debian_write_conf() {
    cat >"$work/apt/apt.conf" <<EOF
#clear APT::Update;
APT::Update::Error-Mode "any";
APT::Sandbox::User "$(id -un)";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Dir::Etc::preferences "$work/apt/none";
Dir::Etc::preferencesparts "$work/apt/none.d";
Dir::State "$work/apt";
Dir::State::lists "$work/apt/lists";
Dir::State::status "$work/apt/status";
Dir::Cache "$work/apt";
Dir::Cache::archives "$work/apt/archives";
EOF
}

# debian_apt get|cache ARGUMENT…
debian_apt() {
    local tool=apt-$1
    shift
    "$tool" -qq -c "$work/apt/apt.conf" -o Dir::Etc::sourcelist="$work/apt/sources.list" -o Dir::Etc::sourceparts=- "$@"
}

# The mirror that this machine is already set up for. `update --print-uris` reads the sources and fetches nothing.
debian_find_mirrors() {
    debian_mirror=${ROSTER_DEBIAN_MIRROR:-}
    debian_security=${ROSTER_DEBIAN_SECURITY_MIRROR:-}
    [[ -z $debian_mirror ]] || return 0
    local uris
    uris=$(apt-get -c "$work/apt/apt.conf" update --print-uris 2>/dev/null |
        sed -n "s|^'\(.*\)/dists/.*/InRelease' .*|\1|p" || true)
    debian_mirror=$(grep -m 1 -E '/debian(\.list)?(/[0-9]{8}T[0-9]{6}Z)?/*$' <<<"$uris" || true)
    debian_security=$(grep -m 1 -E '/debian-security(\.list)?(/[0-9]{8}T[0-9]{6}Z)?/*$' <<<"$uris" || true)
    [[ -n $debian_mirror ]] || fail "no Debian mirror among this machine's apt sources; $debian_hint"
}

# debian_suite deb|deb-src CODENAME KEYRING
debian_suite() {
    printf '%s [signed-by=%s] %s %s main\n' "$1" "$3" "$debian_mirror" "$2"
    if [[ -n $debian_security ]]; then
        printf '%s [signed-by=%s] %s %s-security main\n' "$1" "$3" "$debian_security" "$2"
    fi
}

# Versions that the lists name, newest first. A mirror can name a version that it does not hold (yet, or any more),
# so callers try the next one when the newest cannot be fetched.
# debian_versions PACKAGE Packages|Sources
debian_versions() {
    debian_apt cache madison "$1" | awk -F ' *[|] *' -v kind="$2" '$3 ~ kind "$" { print $2 }' | sort -rVu
}

# debian_fetch PACKAGE=VERSION COMMAND…: into the current folder.
debian_fetch() {
    local what=$1
    shift
    debian_apt get "$@" "$what" >"$work/fetch.log" 2>&1 && return 0
    say "  $what failed: $(grep -m 1 '^E:' "$work/fetch.log" || true)"
    return 1
}

# debian_unpack FOLDER PACKAGE…: downloads binary packages and unpacks them below FOLDER.
debian_unpack() {
    local into=$1 package version deb
    shift
    mkdir -p "$into"
    for package in "$@"; do
        deb=
        for version in $(debian_versions "$package" Packages); do
            rm -rf "$work/deb" && mkdir "$work/deb"
            if (cd "$work/deb" && debian_fetch "$package=$version" download); then
                deb=$(echo "$work"/deb/*.deb)
                break
            fi
        done
        [[ -n $deb ]] || fail "the package $package cannot be fetched from $debian_mirror; $debian_hint"
        dpkg-deb -x "$deb" "$into"
        dpkg-deb -f "$deb" Depends >>"$into/.depends"
    done
}

# debian_source FOLDER PACKAGE VERSION-PREFIX: downloads and unpacks a source package to FOLDER, with Debian's patches.
# Sets debian_source_version.
debian_source() {
    local into=$1 package=$2 prefix=$3 version
    for version in $(debian_versions "$package" Sources); do
        [[ $version == "$prefix"* ]] || continue
        rm -rf "$work/dsc" && mkdir "$work/dsc"
        if (cd "$work/dsc" && debian_fetch "$package=$version" source --download-only); then
            logged "unpack $package" dpkg-source -x "$work"/dsc/*.dsc "$into" || fail "$package $version does not unpack"
            debian_source_version=$version
            return 0
        fi
    done
    fail "no source of $package $prefix* on $debian_mirror; $debian_hint"
}
