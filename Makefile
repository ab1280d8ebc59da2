# `make help` lists what there is. Every target that needs it makes .venv first.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo up test soak screens clients lint bench openapi lock

help:  ## this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

setup: $(READY)  ## make .venv with everything in it, and the `tidemark` command

$(READY): requirements.lock pyproject.toml
	@echo "Setting up .venv (once; about a minute)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

demo: $(READY)  ## a lifelike month for a few MSPs, on the screen, in under a minute
	@$(BIN)/tidemark demo

up: $(READY)  ## the service on this machine, with the API at one address
	@$(BIN)/tidemark up

test: $(READY)  ## all tests, on a PostgreSQL and a Valkey of their own
	@$(BIN)/python -m pytest -n auto --dist worksteal

soak: $(READY)  ## kill -9 of every part under load, 200 times, and then the sums (SOAK='--kills 20 --seed 1')
	@$(BIN)/python -m tests.soak $(SOAK)

screens: $(READY)  ## a picture of every page of the console into screens/, and README's into docs/pictures/
	@$(BIN)/python -m tests.screens

clients: $(READY)  ## clients made from openapi.yaml drive the API, and a fuzzer (fetches them; npm for TypeScript)
	@$(BIN)/python -m pytest tests/clients/check_clients.py tests/clients/check_fuzz.py

lint: $(READY)  ## format, lint, types, directions between packages
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports
	@$(BIN)/mypy

bench: $(READY)  ## figures against yardsticks (not tests)
	@$(BIN)/python -m bench

openapi: $(READY)  ## write openapi.yaml from the app
	@$(BIN)/tidemark openapi > openapi.yaml

lock: $(READY)  ## renew requirements.lock within the bounds of pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --no-annotate --all-extras --upgrade pyproject.toml -o requirements.lock
