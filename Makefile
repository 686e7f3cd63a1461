# `make` sets everything up and runs the pipeline; `make test` sets everything up and checks it.
# Both use .venv here, whether or not an environment is active.

PYTHON ?= python3
BIN := .venv/bin
LOWEST := .venv/lowest

# What is set for other programs: the user's Python, Jupyter, Git's hooks.
unexport GIT_DIR GIT_INDEX_FILE GIT_WORK_TREE MPLBACKEND PYTHONHOME PYTHONPATH PYTHONWARNINGS

BOOTSTRAP = @"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 8))' || \
  { echo "error: Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.12" >&2; exit 1; }; \
  "$(PYTHON)" -I bootstrap.py

.PHONY: repro runtime gpu development test coverage test-cluster test-lowest audit sbom fuzz faults docs pictures notebook lock clean

# DVC runs the `python` that it finds first.
repro: runtime
	@echo "dvc repro"
	@PATH="$$PWD/$(BIN):$$PATH" $(BIN)/python -m dvc repro
	@echo
	@$(BIN)/digits
	@echo "Activate the environment for dvc and digits: source .venv/bin/activate"

# Makes .venv, repairs it, and installs what is new; silent where nothing is to do.
runtime:
	$(BOOTSTRAP)

# The same, and CUDA's libraries, so that networks train on an NVIDIA GPU; about 3 GB.
gpu:
	$(BOOTSTRAP) --gpu

development:
	$(BOOTSTRAP) --dev

test: development
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest

# Branch coverage of the package with all processes that tests start, those of Ray too.
coverage: development
	$(BIN)/python -m pytest --override-ini=addopts= --quiet --numprocesses=2 --dist=loadfile \
	  --cov --cov-config=checks/coverage.ini tests

# Members on several Ray nodes of this machine, killed in turns, and nodes that cannot train; some
# minutes.
test-cluster: development
	$(BIN)/python -m pytest --override-ini=addopts= --numprocesses=2 --dist=loadfile \
	  tests/cluster/test_members.py tests/cluster/test_sweeps.py tests/cluster/test_two_nodes.py \
	  tests/cluster/test_unfit_nodes.py

# The same tests with the oldest versions that pyproject.toml allows; some 3 GB more.
test-lowest: development
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $(LOWEST)
	$(BIN)/uv pip install --python $(LOWEST)/bin/python --resolution lowest-direct --group dev --editable .
	$(LOWEST)/bin/python -m pytest

# Known vulnerabilities of all packages; fails where no database of them can be asked.
audit: development
	$(BIN)/python -m checks.audit

# All packages and their hashes, as CycloneDX: sbom.json.
sbom: development
	PYTHONWARNINGS=ignore $(BIN)/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml \
	  --output-reproducible --output-format JSON --output-file sbom.json

# Damaged files for every reader, until Ctrl-C.
fuzz: development
	$(BIN)/python -m checks.fuzz

# Every file operation of every stage fails once, or the process is killed there; under an hour.
# Interrupt it, and it goes on later.
faults: development
	$(BIN)/python -m checks.faults

# Pins every dependency again, with hashes; needs uv.
lock:
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	  --custom-compile-command "make lock" --upgrade -o requirements.lock
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	  --custom-compile-command "make lock" --group dev -c requirements.lock -o requirements-dev.lock

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache *.egg-info

# The pages, into site/; a warning is an error.
docs: development
	$(BIN)/mkdocs build --strict --quiet
	@echo "Look at site/index.html"

# Kaggle's notebook and its badge in README, from notebooks/kaggle.py.
notebook: development
	$(BIN)/python -m notebooks.build

# The pictures of README and pages, from a run on the sample; needs Chromium.
pictures: development
	$(BIN)/python -m docs.pictures
