# make quickstart   install, then simulate-train-generate-validate in minutes: quickstart/report.html
# make test         install, then lint, types, import contract and tests
# make docs         install, then the documentation, warnings as errors: docs/_build/html
# make clean        remove the environment and everything built
#
# PYTHON=python3.12 chooses the interpreter (3.11 or newer); PYTEST_ARGS="-x -k geometry" goes to pytest.

PYTHON ?= python3
PYTEST_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip --disable-pip-version-check install -c constraints.txt
SOURCES := $(shell find src -type f -not -name '*.pyc')

# Each stamp stands for one finished installation. A development installation (editable) also serves `quickstart`.
CREATED := $(VENV)/.created
FOR_USE := $(VENV)/.use
FOR_TEST := $(VENV)/.test
FOR_DOCS := $(VENV)/.docs

.PHONY: quickstart test lint docs clean
.DELETE_ON_ERROR:

quickstart: $(or $(wildcard $(FOR_TEST)),$(FOR_USE))
	$(BIN)/caloforge quickstart

test: lint
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(FOR_TEST)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(FOR_DOCS)
	$(BIN)/sphinx-build --fail-on-warning --keep-going --builder html docs docs/_build/html

clean:
	rm -rf $(VENV) build dist quickstart docs/_build docs/reference/api
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(CREATED):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "caloforge needs Python 3.11 or newer; choose one with: make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# torch is installed in the same call as everything else, so that its version is the tested one.
$(FOR_USE): $(CREATED) pyproject.toml constraints.txt $(SOURCES)
	$(INSTALL) .
	@touch $@

$(FOR_TEST): $(CREATED) pyproject.toml constraints.txt
	$(INSTALL) -e '.[test,geant4]'
	@touch $@

$(FOR_DOCS): $(FOR_TEST)
	$(INSTALL) -e '.[docs]'
	@touch $@
