# The commands of the project.  `make demo` and `make test` need Python 3.11, its venv module and make: the rest they
# install into .venv, in either order, and again whenever pyproject.toml or constraints.txt changes.

PYTHON ?= python3
ARGS ?=

.PHONY: help demo test check format pages examples schema picture screenshot clean
.NOTPARALLEL:
.DEFAULT_GOAL := help

# A finished installation leaves a stamp named after all that it was made from: this place, this Python, these files.
# No stamp, no trust: what was interrupted, moved or outdated is made again from nothing.
KEY := $(shell { pwd; $(PYTHON) --version 2>&1; cat pyproject.toml constraints.txt; } | cksum | tr ' ' '-')
CAN_SERVE := .venv/can-serve-$(KEY)
CAN_TEST := .venv/can-test-$(KEY)
INSTALL := .venv/bin/python -m pip --disable-pip-version-check install --constraint constraints.txt --editable

GENERATED := examples/node_modules examples/generated examples/relay/build examples/relay/src/__generated__

help:
	@echo 'make demo     serve a sample discussion; make demo ARGS=--check does the main job once and ends'
	@echo 'make test     all checks and tests, as in continuous integration'
	@echo 'make check    the checks alone: format, lint, types, import contracts'
	@echo 'make format   format the code, and mend what the linter can mend'
	@echo 'make pages    build GraphiQL, the page at /graphql, unless it is built'
	@echo 'make examples install what the clients in examples need, generate their types, and check them'
	@echo 'make schema   print the schema into schema.graphql; make picture draws docs/reply.svg from a real run'
	@echo 'make screenshot  takes docs/graphiql.png of a real run, with Chromium and Node'
	@echo 'make clean    remove .venv and the caches, never a database'

demo: pages
	@exec .venv/bin/palabre demo $(ARGS)

test: check pages
	.venv/bin/python -m pytest --numprocesses=auto --dist=worksteal $(ARGS)

check: $(CAN_TEST)
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/mypy --strict
	.venv/bin/lint-imports

format: $(CAN_TEST)
	.venv/bin/ruff format
	.venv/bin/ruff check --fix

pages: $(CAN_SERVE)
	@.venv/bin/python graph/web/build.py

examples:
	cd examples && npm ci && npm run generate && npm run check

schema: $(CAN_SERVE)
	.venv/bin/palabre schema > schema.graphql
	.venv/bin/python docs/reference.py

picture: $(CAN_SERVE)
	.venv/bin/python docs/picture.py

screenshot: $(CAN_TEST) pages
	PALABRE_TEST_PICTURE=docs/graphiql.png .venv/bin/python -m pytest tests/test_browser.py

clean:
	rm -rf .venv graph/web/dist tests/browser/node_modules $(GENERATED) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

$(CAN_SERVE):
	@$(PYTHON) -c '' 2>/dev/null || { echo 'Palabre needs Python 3.11 or newer, and `$(PYTHON)` does not run.  On Debian: apt install python3 python3-venv'; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Palabre needs Python 3.11 or newer; this is $$($(PYTHON) --version).  Name another: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo 'Python came without its venv module.  On Debian: apt install python3-venv'; exit 1; }
	@echo 'Making .venv: once, about a minute.'
	@$(PYTHON) -m venv --clear .venv
	@$(INSTALL) .
	@touch $@

# The stamp is the only sign that all is there, so it is taken away while something is added.
$(CAN_TEST): | $(CAN_SERVE)
	@rm $(CAN_SERVE)
	@$(INSTALL) '.[test,postgres,mail,otel]'
	@touch $(CAN_SERVE) $@
