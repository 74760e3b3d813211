# Two commands on a fresh machine: `make demo`, `make test`. Each makes .venv when it is not there.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
BIGQUERY := .venv-bigquery
AIRFLOW := .venv-airflow
APART := $(BIGQUERY)/.installed $(AIRFLOW)/.installed
export PYTHONWARNINGS ?= ignore::FutureWarning,ignore::DeprecationWarning

.DEFAULT_GOAL := help
.PHONY: help demo test check lint bench gpu models schemas train-demo clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.demo  ## score the demo images with the demo model; rows, counts and a query
	@$(BIN)/python -m demo

test: $(VENV)/.dev $(APART) lint  ## everything that must hold
	$(BIN)/python -m pytest

check: $(VENV)/.dev $(APART) lint  ## the quick part of it, under two minutes
	$(BIN)/python -m pytest -m "not slow" -x

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(VENV)/.dev  ## images/s of the job and of each stage, beside transformers' pipeline
	$(BIN)/python -m bench

gpu: $(VENV)/.dev  ## tests and benchmark on CUDA, where there is a device
	$(BIN)/python -m pytest tests/gpu
	$(BIN)/python -m bench.gpu

models: $(VENV)/.dev  ## classify with a small model of every family; writes docs/models.md
	$(BIN)/python -m tests.families

schemas: $(VENV)/.dev  ## write the generated files of schemas/ and deploy/ again
	$(BIN)/python -m schemas
	$(BIN)/python -m pipelines template metadata > deploy/metadata.json

train-demo: $(VENV)/.dev  ## draw the demo's pictures and train its model again (minutes)
	$(BIN)/python -m demo.train
	$(BIN)/python -m demo.make_images

clean:  ## remove what make made
	rm -rf $(VENV) $(BIGQUERY) $(AIRFLOW) out build *.egg-info

# The stamps are as new as what was installed from, so a second call installs nothing.
$(VENV)/.demo: setup.py constraints.txt
	@$(MAKE) --no-print-directory $(BIN)/pip
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[sql]'
	@touch $@

$(VENV)/.dev: setup.py constraints.txt
	@$(MAKE) --no-print-directory $(BIN)/pip
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.demo

# An emulator of BigQuery for the tests; it wants another DuckDB than ours.
$(BIGQUERY)/.installed: tests/bigquery.txt
	$(PYTHON) -m venv $(BIGQUERY)
	$(BIGQUERY)/bin/pip install --quiet --disable-pip-version-check -r tests/bigquery.txt
	@touch $@

# Airflow, to read the DAG of deploy/ as it would; it wants other versions of nearly everything.
$(AIRFLOW)/.installed: tests/airflow.txt
	$(PYTHON) -m venv $(AIRFLOW)
	$(AIRFLOW)/bin/pip install --quiet --disable-pip-version-check --no-deps -r tests/airflow.txt
	@touch $@

$(BIN)/pip:
	$(PYTHON) -m venv $(VENV)
