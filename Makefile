# Everything one does with this repository. `make` alone lists it.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CARGO ?= cargo
CARGO_DENY_VERSION := 0.20.2
# 3: some servers could not be had. Their tests say so; the others run.
SETUP_OR_SOME := tools/setup test || (($$? == 3))

# Where `make install` puts roster: DESTDIR, for packagers, then PREFIX.
PREFIX ?= /usr/local
DESTDIR ?=

.PHONY: help run build install test soak faults bench lint setup deny units clean-cache need-cargo

help: ## List what there is to do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Show Roster at work: a real HAProxy, changing servers, live traffic
	@ROSTER_HAPROXY=$$(tools/setup demo); export ROSTER_HAPROXY; tools/need cargo; \
	$(CARGO) build --locked --package roster --package roster-demo; \
	exec "$${CARGO_TARGET_DIR:-target}/debug/roster-demo"

build: need-cargo ## Build roster for use
	$(CARGO) build --locked --release --package roster

# Without cargo, as root has none, `install` takes what `make build` has built.
install: $(if $(shell command -v $(CARGO)),build) ## Install roster, its manual pages and completions (PREFIX=/usr/local, DESTDIR=)
	@tools/install "$${CARGO_TARGET_DIR:-target}/release/roster" "$(DESTDIR)$(PREFIX)"

test: ## Run every check: format, lints, all tests on real servers
	@$(SETUP_OR_SOME)
	@$(MAKE) lint
	$(CARGO) test --locked --workspace --no-fail-fast

soak: ## Run the tests that take long or need a machine that allows them
	@$(SETUP_OR_SOME)
	$(CARGO) test --locked --workspace --no-fail-fast -- --ignored

faults: ## Try each fault under load on every HAProxy, and print what a user notices
	@$(SETUP_OR_SOME)
	$(CARGO) test --locked --package roster --test it -- --ignored --nocapture every_fault_on_every_haproxy_under_load

bench: ## Measure Roster against a real HAProxy, alone and behind a Data Plane API
	@tools/setup test
	@exec bench/run

lint: need-cargo ## Check the format, the lints and that each dependency has its reason
	@tools/check-dependencies
	@tools/check-scenarios
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

setup: ## Put the real servers for the tests into the cache (~/.cache/roster or ROSTER_CACHE)
	@tools/setup test

deny: need-cargo ## Check licences, origins and advisories of all dependencies
	@$(CARGO) deny --version >/dev/null 2>&1 || { \
	    echo "cargo-deny is missing. Install with: cargo install cargo-deny --locked --version $(CARGO_DENY_VERSION)" >&2; exit 1; }
	$(CARGO) deny check

units: ## Show how exposed each systemd unit leaves its service; 2.5 is the most
	@tools/check-units

clean-cache: ## Remove the real servers from the cache
	@tools/setup clean

need-cargo:
	@tools/need cargo
