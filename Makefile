# Everything a developer does here. `make` alone lists the targets.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo dev docs docs-serve reference test test-slow test-all test-pythons test-lowest test-generated test-celery test-topologies faults chaos mutate-guards check lint types pyright outside schemathesis screenshots test-unit format openapi bench sbom hashes clean

PYTHON ?= python3
BIN := .venv/bin
BOTH := RUNNER_TEST_SERVER=valkey,redis
TESTER ?= pytest
READY := .venv/.ready
TOOLS := build/tools/.ready
OUTSIDE := build/outside/.ready
EXTRAS := http cli embedded httpx metrics reload

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## Create .venv with everything installed (skipped when up to date)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) --version 2>&1): try make PYTHON=python3.12 setup"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || \
		{ rm -rf .venv; echo "$(PYTHON) -m venv failed: install the venv module (Debian, Ubuntu: apt-get install python3-venv) and try again"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(READY) ## Watch jobs keep to a rate limit, no Redis needed; KEEP=1: and then look at the dashboard until Ctrl-C
	$(BIN)/python -m runner demo $(if $(KEEP),--keep)

dev: $(READY) ## Server, API and worker in one process
	$(BIN)/python -m runner dev

test: $(READY) ## The suite on Valkey and on Redis, 5 minutes (ALLOW_NO_REDIS=1: without redis-server)
	$(BOTH) $(BIN)/python -m $(TESTER) -n auto -m "not slow"

test-slow: $(READY) ## What `make test` leaves out: the longest tests, and others again on Redis
	$(BOTH) $(BIN)/python -m $(TESTER) -n auto -m slow

test-all: $(READY) ## Both
	$(BOTH) $(BIN)/python -m $(TESTER) -n auto

test-pythons: $(READY) ## The tests of units, workers and the service on each other Python that is supported and found here; BRIEF=1: some
	$(BIN)/python -m tests.pythons $(if $(BRIEF),--brief) $(TESTER)

test-lowest: $(READY) ## The same on this Python with the lowest versions of all dependencies
	$(BIN)/python -m tests.pythons --lowest $(TESTER)

test-generated: $(READY) ## The tests with generated examples, with examples that nobody has tried yet
	$(BOTH) $(BIN)/python -m pytest -n auto -m hypothesis --hypothesis-profile=new tests/unit tests/store

test-topologies: $(READY) ## The tests of scripts, workers and processes on Sentinel, on a cluster and behind TLS
	RUNNER_TEST_SERVER=valkey-sentinel,valkey-cluster,redis-sentinel,redis-cluster,redis-tls \
		$(BIN)/python -m $(TESTER) -n auto tests/store tests/worker tests/process/test_worker_crashes.py tests/process/test_cli.py

test-celery: $(READY) ## The example that docs/howto/migrating.md begins with, on Celery in an environment of its own
	test -x build/celery/bin/python || $(PYTHON) -m venv build/celery
	build/celery/bin/python -m pip install --quiet --disable-pip-version-check 'celery[redis]==5.7.0' fastapi uvicorn
	CELERY_PYTHON=$(CURDIR)/build/celery/bin/python $(BIN)/python -m pytest -q tests/process/test_moving_from_celery.py

faults: $(READY) ## Every fault of docs/explanation/reliability.md, and the table of how long recovery took
	@mkdir -p build && rm -f build/faults.jsonl
	$(BOTH) $(BIN)/python -m pytest -n auto -m fault --fault-report build/faults.jsonl
	$(BIN)/python -m tests.chaos.report build/faults.jsonl

chaos: $(READY) ## Random faults for MINUTES=5, repeatable by SEED=...; 30 minutes are 230,000 jobs
	$(BIN)/python -m tests.chaos.campaign --api --minutes $(or $(MINUTES),5) $(if $(SEED),--seed $(SEED))

mutate-guards: $(READY) ## Remove one guard after another and see which test fails
	$(BIN)/python -m tests.chaos.mutate

check: lint ## Format, lint, types and fast tests, about two minutes
	@$(MAKE) --no-print-directory -j 2 types test-unit

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

pyright: $(READY) ## What pyright sees of the public types, as mypy does in `make check` (needs npx)
	npx --yes pyright@1.1.414 --pythonpath $(BIN)/python

outside: $(OUTSIDE) ## Install what `make test-slow` needs beside to let programs of others try the service; without them it skips that

$(OUTSIDE): $(READY) constraints.txt tests/outside/typescript/package.json
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[outside]'
	mkdir -p build/outside && cp tests/outside/typescript/package.json build/outside/
	cd build/outside && npm install --no-package-lock --no-audit --no-fund --ignore-scripts --loglevel=error
	@touch $@

schemathesis: $(OUTSIDE) ## Try the service by generated requests, all checks, for MINUTES=10; repeatable by SEED=...
	$(BIN)/python -m tests.outside.schemathesis_run --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))

test-unit: $(READY)
	$(BIN)/python -m pytest -q -n 2 -m "not slow" tests/unit

screenshots: $(OUTSIDE) ## Take the pictures of the dashboard in README and docs anew (needs Chromium)
	$(BIN)/python -m tests.outside.screenshots

format: $(READY) ## Format the code and fix what the linter can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

openapi: $(READY) ## Write the contract of the service to api/openapi.json
	$(BIN)/python -m api.openapi

docs: $(READY) ## Build the site of the documents into build/site: a broken link and a page that the navigation lacks are errors
	$(BIN)/python -m handbook build

docs-serve: $(READY) ## The same, and look at it at http://127.0.0.1:8090/
	$(BIN)/python -m handbook serve

reference: $(READY) ## Write the pages of docs/ that are made from the code
	$(BIN)/python -m handbook reference

bench: $(READY) ## Measure on this machine
	$(BIN)/python -m bench

sbom: $(TOOLS) ## The bill of materials of an installation with all extras, build/sbom.cdx.json (CycloneDX)
	rm -rf build/installed
	$(PYTHON) -m venv --without-pip build/installed
	build/tools/bin/python -m pip --python build/installed/bin/python install --quiet --disable-pip-version-check -c constraints.txt '.[all]'
	build/tools/bin/cyclonedx-py environment --output-reproducible --pyproject pyproject.toml -o build/sbom.cdx.json build/installed/bin/python

hashes: $(TOOLS) ## The hashes of all that an installation with all extras takes, build/requirements.txt, for pip's --require-hashes
	build/tools/bin/pip-compile --quiet --generate-hashes $(EXTRAS:%=--extra %) -c constraints.txt --strip-extras --no-header --no-annotate \
		--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options -o build/requirements.txt pyproject.toml

$(TOOLS): constraints.txt
	$(PYTHON) -m venv --clear build/tools
	build/tools/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt cyclonedx-bom pip-tools
	@touch $@

clean: ## Remove .venv, caches and build output (the data in .runner/ stays)
	rm -rf .venv .bench build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
