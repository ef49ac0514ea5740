# Two commands for a new user: `make run` and `make test`. Both set up what they need, once.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/.venv/bin:$(PATH)
UV_VERSION := $(shell sed -n 's/^UV_VERSION=//p' buildspecs/packages.sh)
# Set by some images: every start would compile every package again, for seconds.
unexport PYTHONDONTWRITEBYTECODE

# Files of tests run beside each other, one more than there are cores: they wait for processes most of the time.
BESIDE ?= --numprocesses=$(shell expr $$(nproc) + 1) --dist=loadfile --no-loadscope-reorder

.PHONY: run test check setup clean
.DEFAULT_GOAL := help

help: ## show this
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

run: setup ## start the local AWS and send it the current commit, until prod waits for approval
	@$(BIN)/pipeline local up

test: setup ## every check and test, the whole journey of a commit included; TESTS=… for some
	@$(BIN)/pipeline doctor --install
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
ifdef TESTS
	@$(BIN)/python -m pytest $(BESIDE) $(TESTS)
else  # the journey has the machine for itself: it runs all that the others run, and waits as long as people would;
      # a whole Airflow has company of one: with more, its own time limits fail tasks
	@$(BIN)/python -m pytest -m journey
	@$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile -m "airflow and not journey and not benchmark"
	@$(BIN)/python -m pytest $(BESIDE) -m "not airflow and not journey and not benchmark"
endif

check: setup ## the quick part of the tests: no Docker, no journey
	@$(BIN)/python -m pytest $(BESIDE) -m "not docker and not journey and not airflow and not benchmark"

setup: .venv/ready node_modules/.package-lock.json

.venv/ready: requirements-dev.lock pyproject.toml
	@echo "Setting up Python in .venv, from requirements-dev.lock"
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: install Python 3.11 or newer"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; this is " + sys.version)'
	@$(PYTHON) -m venv --clear .venv 2>/dev/null || { \
	  echo "Installing python3-venv (apt-get), which Debian keeps apart from Python"; \
	  apt-get install -y -qq python3-venv >/dev/null && $(PYTHON) -m venv --clear .venv; }
	@$(BIN)/pip install --quiet uv==$(UV_VERSION) || { \
	  echo "No packages can be had: is there a network, or an index to name (PIP_INDEX_URL, UV_INDEX_URL)?"; exit 1; }
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --require-hashes -r requirements-dev.lock
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --no-deps -e .
	@touch $@

node_modules/.package-lock.json: package-lock.json
	@command -v npm >/dev/null || { echo "npm is missing: install Node.js 20 or newer with npm"; exit 1; }
	@echo "Installing the CDK CLI (npm ci)"
	@npm ci --loglevel=error --no-fund --no-audit >/dev/null
	@touch $@

clean: ## stop the local AWS and remove all that was set up
	@if [ -x $(BIN)/pipeline ]; then $(BIN)/pipeline local down; fi
	@rm -rf .venv .airflow .local node_modules cdk.out reports
