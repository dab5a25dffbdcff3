# Each target does its own set-up: Debian packages by apt (as root), Python packages by pip into .venv.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
JOBS   ?= 2

.PHONY: demo test lint bench campaign lab-up lab-down setup setup-test

$(STAMP): pyproject.toml
	@sh tools/setup.sh venv "$(PYTHON)" "$(VENV)"
	@touch $@

setup: $(STAMP)
	@sh tools/setup.sh system $(BIN)/python

setup-test: $(STAMP)
	@sh tools/setup.sh system $(BIN)/python test

demo: setup
	$(BIN)/agent demo $(if $(KEEP),--keep)

test: setup-test
	$(BIN)/python -m pytest -m "not lab and not campaign" -n $(JOBS) --dist loadgroup
	$(BIN)/python -m pytest -m "lab and not campaign"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python bench/run.py

campaign: setup-test
	@echo "seed $${AGENT_SEED:=$$(date +%s)}, commit $$(git rev-parse HEAD 2>/dev/null || echo unknown)"; \
	export AGENT_SEED; $(BIN)/python -m pytest -m campaign tests && \
	$(BIN)/python -m pytest -m "hypothesis and not campaign" --hypothesis-profile campaign --hypothesis-seed "$$AGENT_SEED" -n $(JOBS) tests && \
	$(BIN)/python -m pytest -m campaign tests/lab/campaign_lifecycle.py

lab-up: setup
	$(BIN)/agent lab up

lab-down: setup
	$(BIN)/agent lab down
