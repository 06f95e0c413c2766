# Needs python3 >= 3.11 with venv and pip, and make; each target does the set-up it needs.
# Another interpreter: make setup PYTHON=python3.12.  More arguments for pytest: make test ARGS=-x

PYTHON ?= python3
CI_BUDGET_S ?= 1200
export CI_BUDGET_S
# Fresh seeds of the simulator begin here; drawn anew with each run.
SWAMPD_SEED_BASE ?= $(shell od -An -N3 -tu4 /dev/urandom | tr -d ' ')
SWAMPD_SEED_BASE := $(SWAMPD_SEED_BASE)
export SWAMPD_SEED_BASE

BOOT := .boot
BIN := .venv/bin
STAMP := .venv/.setup-stamp
PROTOS := $(sort $(wildcard proto/swampd/v1/*.proto))

# uv makes .venv here, from the interpreter that was asked for, and trusts what the system trusts.
export UV_PROJECT_ENVIRONMENT := .venv
export UV_PYTHON_DOWNLOADS := never
export UV_SYSTEM_CERTS := 1
unexport VIRTUAL_ENV

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo test lint proto check-proto sim strace test-servers test-long bench

help:
	@echo 'targets: setup demo test lint proto sim test-servers test-long bench'

# --- set-up -------------------------------------------------------------------------------------

setup: $(STAMP)

$(STAMP): pyproject.toml uv.lock | $(BOOT)/bin/uv
	$(BOOT)/bin/uv sync --frozen --python $(BOOT)/bin/python
	@touch $@

$(BOOT)/bin/uv:
	@command -v $(PYTHON) >/dev/null || { \
	  echo 'setup: no $(PYTHON) found; install Python 3.11 or newer, or name one: make setup PYTHON=...' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "setup: Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) --version 2>&1); name another: make setup PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo 'setup: $(PYTHON) lacks venv or pip; install them (Debian: the package python3-venv)' >&2; exit 1; }
	$(PYTHON) -m venv --clear $(BOOT)
	$(BOOT)/bin/pip install --quiet --disable-pip-version-check 'uv>=0.13,<1'

# --- checks -------------------------------------------------------------------------------------

lint: setup check-proto
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

test: setup
	$(BIN)/python -m pytest -n 3 --dist worksteal -m 'not long and not servers' $(ARGS)

# Faults of single system calls are injected by strace, a package of the system.
strace:
	@command -v strace >/dev/null || { \
	  apt-get update --quiet && apt-get install --quiet --yes --no-install-recommends strace; }

test-long: setup strace
	@echo 'fresh seeds: SWAMPD_SEED_BASE=$(SWAMPD_SEED_BASE)'
	@SWAMPD_RULES=$$(mktemp -d) && export SWAMPD_RULES && trap 'rm -rf "$$SWAMPD_RULES"' EXIT && \
	  $(BIN)/python -m pytest -n 2 --dist worksteal -m 'long and not servers' --timeout=$(CI_BUDGET_S) $(ARGS) && \
	  $(BIN)/python -m tests.sim --judge-rules "$$SWAMPD_RULES"

test-servers: setup
	$(BIN)/python -m pytest -n 3 --dist worksteal -m servers --timeout=600 $(ARGS)

# Runs `python -m $(2)` if it exists, else says what is missing.
define run_if_built
	@if [ -e $(subst .,/,$(firstword $(2)))/__main__.py ]; then \
	  set -x; $(BIN)/python -m $(2) $(ARGS); \
	else echo '$(1): not built yet'; fi
endef

demo: setup
	$(call run_if_built,demo,tests.demo)

sim: setup
	$(call run_if_built,sim,tests.sim --seeds 600 --aimed 10 --mutants --crash-points)

bench: setup
	$(call run_if_built,bench,bench)

# --- the contract -------------------------------------------------------------------------------

# Generates Python from the .proto files into the directory $(1).
define generate_proto
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -Iproto \
	  --python_out=$(1) --grpc_python_out=$(1) --mypy_out=quiet:$(1) --mypy_grpc_out=quiet:$(1) $(PROTOS)
endef

ifeq ($(PROTOS),)
proto check-proto: setup
	@echo '$@: there is no file in proto/ yet'
else
proto: setup
	@mkdir -p swampd/v1
	rm -f swampd/v1/*_pb2.py swampd/v1/*_pb2.pyi swampd/v1/*_pb2_grpc.py swampd/v1/*_pb2_grpc.pyi
	$(call generate_proto,.)

check-proto: setup
	@new=$$(mktemp -d) && trap 'rm -rf "$$new"' EXIT && \
	{ $(call generate_proto,"$$new"); } && \
	{ diff -rq -x __init__.py -x __pycache__ "$$new/swampd/v1" swampd/v1 || { \
	  echo 'check-proto: swampd/v1 is not what proto/ generates; run make proto' >&2; exit 1; }; }
endif
