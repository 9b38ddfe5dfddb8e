# shellcheck shell=bash
# What is written in Python gets an environment of its own, with exactly these versions.

# moto, which answers as AWS does: only what EC2, Auto Scaling and IAM need.
moto_packages=(moto==5.2.5 Flask==3.1.3 flask-cors==6.0.5 boto3==1.44.5 botocore==1.44.5 s3transfer==0.19.3
    jmespath==1.1.0 cryptography==50.0.2 Jinja2==3.1.6 PyYAML==6.0.3 requests==2.34.2 responses==0.26.3
    Werkzeug==3.1.9 xmltodict==1.0.4)

# Azure's own clients, which judge the stand-in for ARM and our client, with all that they need.
azure_packages=(azure-mgmt-compute==39.0.0 azure-mgmt-network==33.1.0 azure-identity==1.27.0 azure-core==1.41.0
    azure-mgmt-core==1.6.0 certifi==2026.10.18 cffi==2.1.1 charset-normalizer==3.5.2 cryptography==50.0.2 idna==3.20
    isodate==0.7.2 msal==1.39.0 msal-extensions==1.3.1 pycparser==3.12 PyJWT==2.15.1 requests==2.34.2
    typing_extensions==4.16.0 urllib3==2.8.0)

moto_server() {
    python_entry moto 'MOTO_SERVER=/path to a moto_server' moto_launcher "${moto_packages[@]}"
}

azure_clients() {
    local yours="AZURE_PYTHON=/path to a Python that has ${azure_packages[0]}"
    python_entry azure-clients "$yours" : "${azure_packages[@]}" --no-deps
}

# The environment's own scripts name the folder that it was made in; it is moved.
moto_launcher() {
    mkdir -p "$1/bin"
    cat >"$1/bin/moto_server" <<'END'
#!/bin/sh
exec "${0%/*}/../python/bin/python" -m moto.server "$@"
END
    chmod 755 "$1/bin/moto_server"
}

# python_entry NAME YOURS FINISH PACKAGE… [PIP-OPTION…]: YOURS is what an operator may set instead, and `FINISH FOLDER`
# adds to the entry what is not Python's.
python_entry() {
    local name=$1 yours=$2 finish=$3 package=$4
    local recipe="recipe 1, $package"
    shift 3
    ! entry_ready "$name" "$recipe" || return 0
    python3 -c 'import ensurepip, venv' >/dev/null 2>&1 ||
        fail "not found: python3 with venv. Set $yours, or install with: sudo apt-get install -y python3-venv"
    cache_lock
    ! entry_ready "$name" "$recipe" || return 0
    say "$name: taking the Python package $package and its like"
    logged "python environment" python3 -m venv "$work/$name/python"
    PIP_REQUIRE_VIRTUALENV=0 logged "pip install" "$work/$name/python/bin/python" -m pip install --only-binary :all: "$@" ||
        fail "$name cannot be fetched for this machine; set $yours"
    "$finish" "$work/$name"
    entry_finish "$name" "$recipe" "$package"
}
