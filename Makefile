# `make` sets everything up and runs the pipeline; `make test` sets everything up and checks it.
# Both use .venv here, whether or not an environment is active.

PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet
export PYTHONUTF8 := 1

.PHONY: repro test docs pictures lock scm clean

# DVC runs the `python` that it finds first.
repro: $(VENV)/runtime scm
	PATH="$(BIN):$$PATH" dvc repro
	@echo
	@echo "Look at reports/report.html. For dvc and digits: source $(VENV)/bin/activate"

test: $(VENV)/development
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest --cov

# Pins every dependency again, with hashes; needs uv.
lock:
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	  --custom-compile-command "make lock" --upgrade -o requirements.lock
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	  --custom-compile-command "make lock" --group dev -c requirements.lock -o requirements-dev.lock

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/runtime: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing TensorFlow, DVC and the rest into $(VENV): about 3 GB, some minutes, once"
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/development: requirements-dev.lock $(VENV)/runtime
	$(PIP) install --require-hashes -r requirements-dev.lock
	touch $@

# Without Git, as in an unpacked download, DVC must be told so.
scm:
	@if test -e .git; then $(BIN)/dvc config --local --quiet --unset core.no_scm || true; \
	  else printf '[core]\n    no_scm = true\n' > .dvc/config.local; fi

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache *.egg-info

# The pages, into site/; a warning is an error.
docs: $(VENV)/development
	$(BIN)/mkdocs build --strict --quiet
	@echo "Look at site/index.html"

# The pictures of README and pages, from a run on the sample; needs Chromium.
pictures: $(VENV)/development
	$(BIN)/python -m docs.pictures
