# `make help` lists the targets. Every target sets the environment up first when needed.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV ?= .venv
EXTRAS ?= cpu,server,dev
PYTHON ?=
CHROMIUM ?=
SEED ?= 7
DEMO_DIR ?= demo-out
ARGS ?=
export PYTHON CHROMIUM

comma := ,
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp-$(subst $(comma),-,$(EXTRAS))

.PHONY: help setup demo test test-faults test-load test-browser test-extras lint bench serve examples clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-12s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv with pinned versions (PYTHON=..., TORCH_INDEX=..., EXTRAS=cpu,server,dev)

$(STAMP): pyproject.toml constraints.txt scripts/setup.sh
	@scripts/setup.sh "$(VENV)" -e ".[$(EXTRAS)]"
	@touch "$@"

demo: $(STAMP) ## ingest the example documents, ask, show answer, page, box and a picture
	@$(BIN)/python examples/demo.py --out "$(DEMO_DIR)" $(ARGS)

test: $(STAMP) ## the test suite (ARGS=... for pytest)
	$(BIN)/python -m pytest $(ARGS)

test-faults: $(STAMP) ## the long fault-injection and fuzz suites
	HYDRA_RAG_TEST_LONG=1 $(BIN)/python -m pytest -m faults $(ARGS)

test-load: $(STAMP) ## 50 clients beside a 500-page ingest, 10,000 operations of two tenants, 1,500 fuzzed requests
	HYDRA_RAG_TEST_LONG=1 $(BIN)/python -m pytest tests/api/server/test_load.py \
	  tests/api/server/test_tenants.py tests/api/server/test_schema.py $(ARGS)

test-extras: $(STAMP) ## each extra alone, and the wheel beside openai-agents, langchain-openai, langgraph
	@scripts/extras.sh

test-postgres: $(STAMP) ## the store on a PostgreSQL server that the environment brings (part of `make test` too)
	$(BIN)/python -m pytest tests/postgres $(ARGS)

test-browser: $(STAMP) ## the page in Chromium (installs Chromium where it may)
	@scripts/browser.sh
	@scripts/setup.sh "$(VENV)" -e ".[$(EXTRAS),browser]"
	$(BIN)/python -m pytest -m browser tests/browser $(ARGS)

lint: $(STAMP) ## ruff, mypy --strict, import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP) ## search speed and recall of the index beside brute force (minutes); more in docs/benchmarks.md
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/index_speed.py $(ARGS)

serve: $(STAMP) ## HTTP server and web page on 127.0.0.1:8000
	$(BIN)/hydra-rag serve $(ARGS)

examples: $(STAMP) ## make the example documents anew (SEED=n)
	$(BIN)/python examples/make_examples.py --seed $(SEED) $(ARGS)

clean: ## remove the environment, caches and everything built
	rm -rf "$(VENV)" "$(DEMO_DIR)" build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
