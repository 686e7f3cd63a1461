# `make` sets everything up and runs the pipeline; `make test` sets everything up and checks it.
# Both use .venv here, whether or not an environment is active.

PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PYTHONUTF8 := 1

.PHONY: repro test lint types lock clean

repro: $(VENV)/runtime .dvc/config.local
	dvc repro

test: $(VENV)/development .dvc/config.local
	ruff check
	ruff format --check
	mypy
	pytest

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
	pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/development: requirements-dev.lock $(VENV)/runtime
	pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	touch $@

# Without Git, as in an unpacked download, DVC must be told so.
.dvc/config.local:
	@if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then \
	  : > $@; else printf '[core]\n    no_scm = true\n' > $@; fi

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache *.egg-info
