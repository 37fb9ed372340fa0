# `make help` lists the targets. `demo` and `test` set the environment up when it is needed.
VENV   := .venv
PYTHON ?= python3
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
EXTRAS := --extra postgres --extra salesforce --extra sms --extra payments --extra s3 --extra oidc --extra splink
GROUPS ?= not slow
# The tests write some 400,000 small files: into memory where it has 8 GB of room for them, else where /tmp is.
MEMORY := $(shell df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > 8000000 { print "/dev/shm" }')
TMP    := $(if $(MEMORY),TMPDIR=$(MEMORY))
KEPT   := $(if $(MEMORY),-o tmp_path_retention_policy=failed)

.DEFAULT_GOAL := help
.PHONY: help setup setup-all demo test check dagster console bench crash clean lock

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## create .venv with everything; .venv/bin/dunning works after it

$(STAMP): requirements.lock pyproject.toml
	@set -e; if command -v uv >/dev/null 2>&1; then \
		test -x $(BIN)/python || uv venv --quiet --python '>=3.11,<3.14' $(VENV); \
		uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements.lock; \
		uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .; \
	else \
		$(PYTHON) -c 'import sys; assert (3,11) <= sys.version_info < (3,14), "Python 3.11 to 3.13 is needed: make PYTHON=python3.12"'; \
		test -x $(BIN)/python || $(PYTHON) -m venv $(VENV); \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .; \
	fi
	@touch $(STAMP)

# The lock files are complete, so --no-deps: nothing is resolved again, every file has its hash.
# Spark (about 400 MB) and real dbt (its own pins, so an environment of its own) are for CI and for who wants them.
setup-all: setup ## setup, and the Spark and dbt environments beside it
	@set -e; if command -v uv >/dev/null 2>&1; then \
		uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements-spark.lock; \
		test -x .venv-dbt/bin/python || uv venv --quiet --python $(BIN)/python .venv-dbt; \
		uv pip install --quiet --python .venv-dbt/bin/python --no-deps --require-hashes -r requirements-dbt.lock; \
	else \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-spark.lock; \
		test -x .venv-dbt/bin/python || $(PYTHON) -m venv .venv-dbt; \
		.venv-dbt/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dbt.lock; \
	fi

demo: setup ## the whole pipeline on a generated company
	@$(BIN)/dunning demo

test: setup ## the tests; GROUPS='' runs the long ones too
	@$(TMP) $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(KEPT) $(if $(GROUPS),-m "$(GROUPS)") $(ARGS)

check: setup ## ruff, mypy, import contracts, SQL lint
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m dunning_pipeline.sql_models.lint dbt_like_sql

dagster: setup ## the Dagster UI on http://127.0.0.1:3000
	@mkdir -p .dunning/dagster && cp -n assets/dagster.yaml .dunning/dagster/dagster.yaml || true
	@DAGSTER_HOME=$(CURDIR)/.dunning/dagster $(BIN)/dg dev --host 127.0.0.1 -w workspace.yaml

console: setup ## the clerk's console on http://127.0.0.1:8400
	@$(BIN)/dunning console

bench: setup ## every figure of the README, each with its floor
	@for b in pipeline identity dunning dunning_decision letters delivery console; do $(BIN)/python -m benchmarks.$$b || exit 1; done

crash: setup ## kill -9 the delivery at random points and count what arrived
	@$(BIN)/python -m tests.crash.harness

lock: ## renew requirements*.lock after a change of pyproject.toml (needs uv)
	uv lock --quiet
	uv export --quiet --no-emit-project --no-header $(EXTRAS) --group dev -o requirements.lock
	uv export --quiet --no-emit-project --no-header --no-dev --extra spark -o requirements-spark.lock
	uv export --quiet --no-emit-project --no-header --no-dev --extra dbt -o requirements-dbt.lock

clean: ## remove the environment, the state and the caches
	rm -rf $(VENV) .venv-dbt .dunning .pytest_cache .mypy_cache .ruff_cache .hypothesis dbt_like_sql/target test-artefacts
