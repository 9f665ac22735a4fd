# FlowForge from the command line. `make` alone lists the targets; all of them set up .venv by themselves.
# Needed on the machine: Python 3.11 or newer, make, git. Nothing here asks a question or wants a terminal.

VENV := .venv
RUN  := $(VENV)/bin/python
# Where an interpreter is not named by PYTHON=…, the first of these that is recent enough makes the environment.
PYTHONS := $(PYTHON) python3.11 python3.12 python3.13 python3

.DEFAULT_GOAL := help
.PHONY: help run demo test lint types layers format schema lock bench faults clean base dev

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: base ## start everything as one process, run a workflow, serve until Ctrl-C
	@exec $(RUN) manage.py up

demo: base ## the same, then exit: 0 if the workflow completed
	@exec $(RUN) manage.py up --demo

test: dev ## all tests, on SQLite and on PostgreSQL + Valkey (ARGS="-k name" narrows)
	@exec $(RUN) -m tests.support.lanes $(ARGS)

lint: dev ## ruff: faults and formatting
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .

types: dev ## mypy, strict
	@exec $(RUN) -m mypy

layers: dev ## who may import whom (docs/architecture.md)
	@exec $(VENV)/bin/lint-imports --no-logo

format: dev ## let ruff rewrite what it can
	@$(RUN) -m ruff check --fix .
	@$(RUN) -m ruff format .

schema: base ## write docs/openapi.json from the code
	@exec $(RUN) manage.py spectacular --format openapi-json --file docs/openapi.json --validate --fail-on-warn

lock: dev ## write requirements/*.txt anew from requirements/*.in (ARGS=--upgrade: newest versions)
	@exec $(RUN) requirements/lock.py $(ARGS)

bench: dev ## FlowForge and other engines on the same workloads, on this machine (docs/benchmarks.md)
	@exec $(RUN) -m tests.bench $(ARGS)

faults: dev ## break things on purpose, look whether anything was lost or doubled (about 20 minutes; docs/faults.md)
	@exec $(RUN) -m tests.faults $(ARGS)

clean: ## remove what tools have left (not .venv, not .flowforge)
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache staticfiles
	@find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# The environment holds a copy of the lock that it was installed from: equal means there is nothing to do.
base dev:
	@test -x $(RUN) && cmp -s requirements/$@.txt $(VENV)/$@.lock || { \
	  for python in $(PYTHONS); do \
	    $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	      && exec $$python requirements/install.py $@; \
	  done; \
	  echo 'FlowForge needs Python 3.11 or newer on the PATH (or: make PYTHON=/path/to/python3)' >&2; exit 1; }
