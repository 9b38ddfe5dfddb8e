# shellcheck shell=bash
# Azure's own clients for Python, which judge the stand-in for ARM and our client. They get an environment of their own.

# Exactly these versions, with all that they need.
azure_packages='azure-mgmt-compute==39.0.0 azure-mgmt-network==33.1.0 azure-identity==1.27.0 azure-core==1.41.0
    azure-mgmt-core==1.6.0 certifi==2026.10.18 cffi==2.1.1 charset-normalizer==3.5.2 cryptography==50.0.2 idna==3.20
    isodate==0.7.2 msal==1.39.0 msal-extensions==1.3.1 pycparser==3.12 PyJWT==2.15.1 requests==2.34.2
    typing_extensions==4.16.0 urllib3==2.8.0'

azure_clients() {
    local name=azure-clients at
    local recipe="recipe 1, ${azure_packages%% *}"
    ! entry_ready $name "$recipe" || return 0
    python3 -c 'import ensurepip, venv' >/dev/null 2>&1 ||
        fail "not found: python3 with venv. Set AZURE_PYTHON=/path to a Python that has ${azure_packages%% *}, or install with: sudo apt-get install -y python3-venv"
    cache_lock
    ! entry_ready $name "$recipe" || return 0
    say "$name: taking the Python package ${azure_packages%% *} and its like"
    at=$work/$name
    logged "python environment" python3 -m venv "$at/python"
    # shellcheck disable=SC2086 # one word for each package
    PIP_REQUIRE_VIRTUALENV=0 logged "pip install" "$at/python/bin/python" -m pip install --no-deps --only-binary :all: $azure_packages ||
        fail "Azure's clients cannot be fetched for this machine; set AZURE_PYTHON=/path to a Python that has them"
    entry_finish $name "$recipe" "${azure_packages%% *}"
}
