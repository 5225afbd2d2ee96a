.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
export DO_NOT_TRACK := 1

help: ## say what can be done here
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# pip checks every hash; --no-deps because the lock is complete. One stamp a lock, so a second run costs nothing.
$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed and '$(PYTHON)' was not found: install it or say PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements/runtime.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing the locked dependencies into $(VENV) (about a minute, once) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements/runtime.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.demo: requirements/demo.lock $(VENV)/.runtime
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements/demo.lock
	@touch $@

$(VENV)/.dev: requirements/dev.lock $(VENV)/.runtime
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.lock
	@touch $@

setup: $(VENV)/.dev $(VENV)/.demo ## make the virtual environment with everything in it

demo: $(VENV)/.demo ## one campaign on real orders, end to end; ends by itself
	@$(BIN)/campaigns demo

up: $(VENV)/.runtime ## start Prefect, sandbox ESP, gateway and worker until Ctrl-C
	@$(BIN)/campaigns up

# Three on two cores: a worker waits for servers and clocks half of its time.
test: setup ## the whole suite, on SQLite and PostgreSQL
	@$(BIN)/python -m pytest -n 3 --dist loadfile --ignore=tests/demo
	@$(BIN)/python -m pytest tests/demo

explore: setup ## the property tests with new random examples each time (the suite repeats the same ones)
	@OMS_HYPOTHESIS=explore $(BIN)/python -m pytest -n 3 --dist loadfile -m hypothesis --ignore=tests/demo

kill-matrix: setup ## kill real processes 1,000 times at every point; rewrites the table of docs/reliability.md
	@$(BIN)/python -m tests.kills --write

check: setup ## format, lint, types, import contracts, fast tests
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports && $(BIN)/python -m pytest -m "not slow"

format: setup ## rewrite to the house style
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

lock: ## resolve the dependencies anew (hashes, no registry's host)
	@$(PYTHON) -m venv var/lock-venv && var/lock-venv/bin/pip install -q uv
	@var/lock-venv/bin/python requirements/lock.py

clean: ## remove what was made here: environment and runtime files
	rm -rf $(VENV) var .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

.PHONY: help setup demo up test explore kill-matrix check format lock clean
