# vaultd: everything sets itself up. `make demo`, `make test`, `make bench`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-long lint types check bench lock clean servers

demo: $(VENV)/.demo
	@$(BIN)/vaultd demo --keep "$$(mktemp -d)/demo"

test: $(VENV)/.dev servers
	$(BIN)/ruff format --check vaultd tests tools bench
	$(BIN)/ruff check vaultd tests tools bench
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 --dist loadfile

# What takes minutes: long simulations, the kill loops, 256 MB objects, Ceph.
test-long: $(VENV)/.dev servers
	@sh tests/setup-servers.sh long
	$(BIN)/pytest -m long -n 2 --dist loadfile

lint: $(VENV)/.dev
	$(BIN)/ruff format vaultd tests tools bench
	$(BIN)/ruff check --fix vaultd tests tools bench

types: $(VENV)/.dev
	$(BIN)/mypy

bench: $(VENV)/.dev servers
	@sh bench/setup.sh
	$(BIN)/python -m bench $(PARTS)

servers:
	@sh tests/setup-servers.sh

# A plain Debian has python3 without ensurepip, and perhaps without pip.
$(VENV)/bin/python:
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || sh tests/setup-servers.sh pip
	$(PYTHON) -m venv --without-pip $(VENV)

$(VENV)/.demo: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing what vaultd needs into $(VENV) …"
	@$(PYTHON) -m pip --python $(BIN)/python install -q --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.lock
	@$(PYTHON) -m pip --python $(BIN)/python install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.demo
	@$(PYTHON) -m pip --python $(BIN)/python install -q --disable-pip-version-check --require-hashes --no-build-isolation --only-binary :all: --no-binary pyftpdlib,wsgidav -r requirements-dev.lock
	@touch $@

lock:
	uv pip compile --universal --generate-hashes --no-header --no-annotate --no-emit-index-url --python-version 3.11 pyproject.toml setuptools.in -o requirements.lock
	uv pip compile --universal --generate-hashes --no-header --no-annotate --no-emit-index-url --python-version 3.11 --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
