# shellcheck shell=bash
# moto, which answers as AWS does. It is Python, and gets an environment of its own.

# Exactly these versions, and of moto only what EC2, Auto Scaling and IAM need.
moto_packages='moto==5.2.5 Flask==3.1.3 flask-cors==6.0.5 boto3==1.44.5 botocore==1.44.5 s3transfer==0.19.3
    jmespath==1.1.0 cryptography==50.0.2 Jinja2==3.1.6 PyYAML==6.0.3 requests==2.34.2 responses==0.26.3
    Werkzeug==3.1.9 xmltodict==1.0.4'

moto_server() {
    local name=moto at
    local recipe="recipe 1, ${moto_packages%% *}"
    ! entry_ready $name "$recipe" || return 0
    python3 -c 'import ensurepip, venv' >/dev/null 2>&1 ||
        fail "not found: python3 with venv. Set MOTO_SERVER=/path to a moto_server, or install with: sudo apt-get install -y python3-venv"
    cache_lock
    ! entry_ready $name "$recipe" || return 0
    say "$name: taking the Python package ${moto_packages%% *}"
    at=$work/$name
    logged "python environment" python3 -m venv "$at/python"
    # shellcheck disable=SC2086 # one word for each package
    PIP_REQUIRE_VIRTUALENV=0 logged "pip install" "$at/python/bin/python" -m pip install --only-binary :all: $moto_packages ||
        fail "moto cannot be fetched for this machine; set MOTO_SERVER=/path to a moto_server of yours"
    # The environment's own scripts name the folder that it was made in; it is moved.
    mkdir -p "$at/bin"
    cat >"$at/bin/moto_server" <<'EOF'
#!/bin/sh
exec "${0%/*}/../python/bin/python" -m moto.server "$@"
EOF
    chmod 755 "$at/bin/moto_server"
    entry_finish $name "$recipe" "${moto_packages%% *}"
}
