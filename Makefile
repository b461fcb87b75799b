# Every target works straight after a clone: it makes and fills .venv from the lock files when they are newer.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Says what takes so long; needs nothing installed.
VISIBLY := tools/visibly.py
# Which tests: make test T="tests/executors -k claim"
T ?=

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ATS needs Python 3.11 or newer: run make with PYTHON=/path/to/python3.11")'
	@$(PYTHON) $(VISIBLY) "making an environment in $(VENV)" $(PYTHON) -m venv $(VENV)

$(VENV)/runtime.stamp: $(BIN)/python requirements/runtime.lock pyproject.toml
	@$(BIN)/python $(VISIBLY) "installing Python packages, once (150 MB to fetch, 700 MB unpacked)" \
	  $(BIN)/python -m pip install --require-hashes -r requirements/runtime.lock
	@$(BIN)/python $(VISIBLY) "installing ATS itself" $(BIN)/python -m pip install --no-deps --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/runtime.stamp requirements/dev.lock
	@$(BIN)/python $(VISIBLY) "installing what tests and checks need" \
	  $(BIN)/python -m pip install --require-hashes -r requirements/dev.lock
	@touch $@

$(VENV)/archive.stamp: $(VENV)/runtime.stamp requirements/archive.lock
	@$(BIN)/python $(VISIBLY) "installing what archives need (55 MB to fetch)" \
	  $(BIN)/python -m pip install --require-hashes -r requirements/archive.lock
	@touch $@

$(VENV)/search.stamp: $(VENV)/runtime.stamp requirements/search.lock
	@$(BIN)/python $(VISIBLY) "installing what a search of settings needs" \
	  $(BIN)/python -m pip install --require-hashes -r requirements/search.lock
	@touch $@

# Node 22 or newer from PATH, else from PyPI; then the page's packages and its build, as far as they are not up to date.
$(VENV)/web.stamp: $(VENV)/dev.stamp requirements/web.lock
	@node -e 'process.exit(parseInt(process.versions.node) < 22)' 2>/dev/null \
	  || $(BIN)/python $(VISIBLY) "fetching Node" \
	    $(BIN)/python -m pip install --require-hashes -r requirements/web.lock
	@touch $@

$(VENV)/browser.stamp: $(VENV)/dev.stamp requirements/browser.lock
	@$(BIN)/python $(VISIBLY) "installing what drives the browser" \
	  $(BIN)/python -m pip install --require-hashes -r requirements/browser.lock
	@touch $@

$(VENV)/docs.stamp: $(VENV)/dev.stamp requirements/docs.lock
	@$(BIN)/python $(VISIBLY) "installing what makes the documentation" \
	  $(BIN)/python -m pip install --require-hashes -r requirements/docs.lock
	@touch $@

# Debian's, with a font that has the rupee sign. Installing it needs root; nothing else here does.
.PHONY: chromium
chromium:
	@command -v chromium >/dev/null || test "$$(id -u)" = 0 || { \
	  echo "make test-web drives Debian's Chromium, which is not installed, and you are not root." >&2; \
	  echo "Run once: sudo apt-get install chromium fonts-dejavu-core" >&2; exit 1; }
	@command -v chromium >/dev/null || { \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; }

.PHONY: web
web: $(VENV)/web.stamp ## build the web page
	$(BIN)/python -m ats.commands.web

.PHONY: setup
setup: $(VENV)/runtime.stamp ## install into .venv what ATS needs to run

.PHONY: setup-archive
setup-archive: $(VENV)/archive.stamp ## install what `ats archive` needs besides (170 MB)

.PHONY: setup-search
setup-search: $(VENV)/search.stamp ## install what `ats sweep --search bayes` needs besides

.PHONY: demo
demo: $(VENV)/runtime.stamp ## the main job on embedded Kafka and Postgres: no account, no key, no Docker
	@$(BIN)/ats demo

# Files of tests go to this many processes, each with a broker and a database of its own; 0: one after another, in one.
JOBS ?= 2

.PHONY: test
test: $(VENV)/docs.stamp ## every test, end-to-end on real Kafka and Postgres included
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(T)

# The official parser of AsyncAPI, beside the page's packages; as locked, integrity included.
$(VENV)/asyncapi.stamp: $(VENV)/web.stamp tools/messages/parser/package-lock.json
	$(BIN)/python -m ats.commands.web --prefix ../tools/messages/parser install --no-save --no-audit
	@touch $@

# The page built and checked, and what its tests need.
.PHONY: check-web
check-web: chromium $(VENV)/browser.stamp $(VENV)/asyncapi.stamp web
	$(BIN)/python -m ats.commands.web run lint
	$(BIN)/python -m ats.commands.web run typecheck

.PHONY: test-web
test-web: check-web ## the web page: its checks, callbacks, and a browser that goes the whole way (pictures in test-results/web)
	$(BIN)/python -m pytest tests/web $(T)

.PHONY: lint
lint: $(VENV)/dev.stamp ## style, formatting, spelling, strict types and the rules of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/python -m tools.house

.PHONY: docs docs-serve docs-reference
docs-reference: $(VENV)/docs.stamp
	$(BIN)/python -m tools.reference docs/reference

docs: docs-reference ## the documentation as a site in build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-serve: docs-reference ## the same on http://127.0.0.1:8000, built anew when a page changes
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

# Not compiled to bytecode: that takes as long as the rest, of which the notebook imports a part.
$(VENV)/notebook.stamp: $(VENV)/dev.stamp requirements/notebook.lock
	@$(BIN)/python $(VISIBLY) "installing marimo (52 MB to fetch)" \
	  $(BIN)/python -m pip install --no-compile --upgrade --require-hashes --no-deps --target $(VENV)/notebook -r requirements/notebook.lock
	@touch $@

.PHONY: notebook
notebook: $(VENV)/notebook.stamp ## install marimo, for the notebooks of clients/examples, beside everything else (190 MB)

.PHONY: bench-peers
bench-peers: $(VENV)/dev.stamp requirements/bench.lock ## install what benchmarks compare with, beside everything else
	$(BIN)/python -m pip install --quiet --upgrade --require-hashes --no-deps --target $(VENV)/peers -r requirements/bench.lock

.PHONY: bench
bench: $(VENV)/dev.stamp ## every benchmark, as ratios in one run
	for bench in benchmarks/[a-z]*.py; do $(BIN)/python -m benchmarks.$$(basename $$bench .py) || exit 1; done

.PHONY: wheel
wheel: $(VENV)/dev.stamp ## a wheel in dist, with the engine's machine code for this Python
	$(BIN)/python -m tools.ship_kernels
	$(BIN)/python -m hatchling build --target wheel --directory dist

.PHONY: lock
lock: $(BIN)/python ## resolve the lock files anew (needs uv from PyPI)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -q -o requirements/runtime.lock
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -q -o requirements/dev.lock
	$(BIN)/uv pip compile --group archive -c requirements/dev.lock --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -q -o requirements/archive.lock
	$(BIN)/uv pip compile --group search -c requirements/dev.lock --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -q -o requirements/search.lock
	$(BIN)/uv pip compile --group browser --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -q -o requirements/browser.lock
	$(BIN)/uv pip compile --group docs -c requirements/dev.lock --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -q -o requirements/docs.lock
	$(BIN)/uv pip compile --group web --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -q -o requirements/web.lock
	$(BIN)/uv pip compile --group notebook -c requirements/dev.lock --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -q -o requirements/notebook.lock
	$(BIN)/uv pip compile --group bench --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -q -o requirements/bench.lock

.PHONY: help
help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10
