# The two commands that always work on a fresh machine are `make demo` and `make test`.
VENV := .venv
BIN := $(VENV)/bin
KEEP ?=
PORT ?=

# Unless PYTHON names one: python3, or the system's of the same version if python3 was compiled without optimisation by
# profile, as version managers do. Distributions have theirs optimised, and everything takes three quarters of the time.
define CHOOSE_PYTHON
import os, subprocess, sys, sysconfig
system = "/usr/bin/python%d.%d" % sys.version_info[:2]
compiled_quickly = "--enable-optimizations" not in (sysconfig.get_config_var("CONFIG_ARGS") or "")
instead = compiled_quickly and os.access(system, os.X_OK) and not subprocess.call([system, "-c", "import ensurepip, venv"], stderr=-3)
print(system if instead else sys.executable)
endef
export CHOOSE_PYTHON

.DEFAULT_GOAL := help
.PHONY: help setup demo test conformance postgres browser images check format docs bench crash clean

help: ## Show what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.ready ## Set up .venv with Cumulet and its tools

$(VENV)/.ready: pyproject.toml
	@python="$${PYTHON:-$$(python3 -c "$$CHOOSE_PYTHON")}"; \
	  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Cumulet needs Python 3.11 or newer; name one with PYTHON=..."; exit 1; }; \
	  $$python -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv is missing: on Debian, apt install python3-venv"; exit 1; }; \
	  echo "Setting up $(VENV) with $$python ..."; \
	  test -x $(BIN)/python || $$python -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

node_modules/.ready: package.json package-lock.json
	@command -v npm >/dev/null || { echo "The tests need Node.js 18 or newer with npm"; exit 1; }
	@echo "Setting up node_modules ..."
	@npm ci --silent --no-audit --no-fund
	@touch $@

demo: setup ## Run the notes application: deploy it, use it, show what happened (KEEP=1 leaves it running, PORT=...)
	@$(BIN)/python examples/notes/demo.py $(if $(KEEP),--keep) $(if $(PORT),--port $(PORT))

# The tests start a server of their own from these programs; what a system runs already is left alone.
postgres:
	@command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "Installing PostgreSQL for the tests ..."; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null; \
	  else \
	    echo "The tests start a PostgreSQL of their own, and its programs are missing: on Debian, apt install postgresql"; exit 1; \
	  fi; }

# Chromium without a window, for what only a browser does: preflights, and answers that a page may not read.
browser:
	@command -v chromedriver >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "Installing Chromium for the tests ..."; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium chromium-driver >/dev/null; \
	  else \
	    echo "The tests drive a browser, and its programs are missing: on Debian, apt install chromium chromium-driver"; exit 1; \
	  fi; }

# A worker that dies ends the run, with the test's name: xdist gives one that takes its place nothing to do, and waits for it.
# Podman makes container images, and a C compiler what is in them.
images:
	@command -v podman >/dev/null && command -v cc >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "Installing Podman and a C compiler for the tests ..."; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends podman gcc libc6-dev >/dev/null; \
	  else \
	    echo "The tests of functions from container images are left out: they need root, podman and a C compiler"; \
	  fi; }

test: setup node_modules/.ready postgres browser images ## Run every test
	@$(BIN)/python -m pytest -n 2 --dist loadgroup --max-worker-restart 0

conformance: setup ## Hold DynamoDB against what AWS answers, to the letter and to the byte
	@$(BIN)/python -m pytest -q tests/conformance tests/clients -k dynamodb

check: setup ## Check style, types and the arrows of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/house

format: setup ## Bring the code into shape
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: setup ## Write the generated documents anew
	@$(BIN)/python -m cumulet.store.keyspace > docs/keyspace.md
	@$(BIN)/python -m cumulet.services.matrix > docs/operations.md

bench: setup ## Measure, as ratios in one run
	@$(BIN)/python benchmarks/run.py

crash: setup postgres ## Kill processes, nodes and the database under load, two hundred times (takes a quarter of an hour)
	@CUMULET_CRASH_ROUNDS=200 $(BIN)/python -m pytest -q --timeout 3600 -o faulthandler_timeout=0 tests/crash

clean: ## Remove what was set up or built
	rm -rf $(VENV) node_modules dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
