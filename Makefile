# The way in. `make` alone lists what there is.

HOME_DIRECTORY ?= .holdfast
HOLDFAST = .venv/bin/holdfast

.DEFAULT_GOAL := help
.PHONY: help setup demo test up down clean

help:  ## List the targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## Make .venv with the locked libraries, and fetch the servers this machine lacks.
	@sh infrastructure/local/setup.sh

demo: up  ## Start the stack, run a shop on it, kill a worker on the way, and audit the result.
	@$(HOLDFAST) demo --home $(HOME_DIRECTORY)

test: setup  ## Run every check and test.
	@.venv/bin/tox

up: setup  ## Start the stack.
	@$(HOLDFAST) up --home $(HOME_DIRECTORY)

down:  ## Stop the stack. Its data stay.
	@if [ -x $(HOLDFAST) ]; then $(HOLDFAST) down --home $(HOME_DIRECTORY); else echo "Nothing was ever set up here."; fi
