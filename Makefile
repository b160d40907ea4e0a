# `make` alone lists the targets.

HOME_DIRECTORY ?= .holdfast
HOLDFAST = .venv/bin/holdfast
TOX = .venv/bin/tox
SETUP = sh infrastructure/local/setup.sh

.DEFAULT_GOAL := help
.PHONY: help setup demo test unit lint up down clean lock

help:  ## List the targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## Create .venv with all locked packages, and fetch missing servers.
	@$(SETUP) --tests

demo: up  ## Start the stack, place orders, kill a worker, and audit the result.
	@$(HOLDFAST) demo --home $(HOME_DIRECTORY)

test: setup  ## Run the checks and tests.
	@$(TOX)

unit:  ## Run the tests that need no server.
	@$(SETUP) --tests --without-servers
	@$(TOX) -q -e unit

lint:  ## Check style, types and imports.
	@$(SETUP) --tests --without-servers
	@$(TOX) -q -e lint,types,imports

up:  ## Start the stack.
	@$(SETUP)
	@$(HOLDFAST) up --home $(HOME_DIRECTORY)

down:  ## Stop the stack. Its data is kept.
	@if [ -x $(HOLDFAST) ]; then $(HOLDFAST) down --home $(HOME_DIRECTORY); else echo "Nothing was ever set up here."; fi

clean: down  ## Stop the stack and remove generated files, except the stack's data.
	@for home in .holdfast-*/; do if [ -d $$home ]; then $(HOLDFAST) down --delete-data --home $$home && rm -rf $$home; fi; done
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@rm -rf .venv .tox .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage* htmlcov build *.egg-info
	@rm -f .holdfast-setup.log
	@if [ -d $(HOME_DIRECTORY) ]; then echo "The stack's data is kept in $(HOME_DIRECTORY)."; fi

lock:  ## Regenerate requirements/ from pyproject.toml (after `make setup`).
	@$(TOX) -q -e lock
