# make demo           sets up and runs the quickstart
# make lint           checks style, formatting and types
# make test           sets up, lints, and runs the tests on TensorFlow, except the slow ones
# make test-all       does the same with the slow tests, and the runtimes of exports
# make test-wheel     builds the wheel, and runs its commands in an empty environment
# make test-backends  sets up and runs the tests on JAX and PyTorch, except the slow ones
# make test-backends-all  does the same with the slow tests
# make test-lowest    sets up and runs the tests on the lowest versions that pyproject.toml allows
# make docs           builds the site in docs/_build/html, and lists its external links
# make format         formats the code

PYTHON ?= python3
BIN := .venv/bin
BACKENDS_BIN := .venv-backends/bin
# Worker processes share the cores with TensorFlow's threads, so more than four do not help.
PYTEST := -m pytest -n auto --maxprocesses 4 --dist worksteal
# These tests do not depend on the backend, so they run on TensorFlow only.
NUMPY_ONLY := cli datasets metrics serve search/test_[cfiqs]*.py search/test_gallery*.py test_inspection.py
WITHOUT_BACKEND := $(foreach part,$(NUMPY_ONLY) test_docs*.py test_examples.py,--ignore-glob 'tests/$(part)')
SPHINX := KERAS_BACKEND=tensorflow $(BIN)/sphinx-build -q -W --keep-going -d docs/_build/doctrees
export TF_CPP_MIN_LOG_LEVEL ?= 2
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo lint test test-all test-wheel test-lowest docs format clean
.PHONY: test-backends test-jax test-torch test-backends-all test-jax-all test-torch-all

demo: .venv/installed
	KERAS_BACKEND=tensorflow $(BIN)/python examples/quickstart.py

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	KERAS_BACKEND=tensorflow $(BIN)/python $(PYTEST) -m "not slow"

test-all: lint .venv/installed-export
	KERAS_BACKEND=tensorflow $(BIN)/python $(PYTEST)

test-wheel:
	PYTHON=$(PYTHON) .ci/test-wheel

test-backends: test-jax test-torch
test-backends-all: test-jax-all test-torch-all

test-jax test-torch: test-%: .venv-backends/installed
	KERAS_BACKEND=$* $(BACKENDS_BIN)/python $(PYTEST) $(WITHOUT_BACKEND) -m "not slow"

test-jax-all test-torch-all: test-%-all: .venv-backends/installed
	KERAS_BACKEND=$* $(BACKENDS_BIN)/python $(PYTEST) $(WITHOUT_BACKEND)

# Old packages warn of each other's new versions, and the lowest Starlette leaves files open.
OLD := DeprecationWarning PendingDeprecationWarning pytest.PytestUnraisableExceptionWarning
test-lowest: .venv-lowest/installed
	KERAS_BACKEND=tensorflow .venv-lowest/bin/python $(PYTEST) -m "not slow" $(foreach kind,$(OLD),-W ignore::$(kind))

# Warnings are errors, so every link and cross-reference resolves. Nothing is fetched.
docs: .venv/docs-installed
	$(SPHINX) -b html docs docs/_build/html
	$(SPHINX) -b linkcheck docs docs/_build/links
	@grep -o '"uri": "http[^"]*' docs/_build/links/output.json | cut -c9- | sort -u

format: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .venv-backends .venv-lowest build dist *.egg-info
	rm -rf docs/_build docs/api .pytest_cache .ruff_cache .mypy_cache .hypothesis

.venv/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -r requirements.txt
	$(BIN)/pip install -q --no-deps -e .
	touch $@

.venv/docs-installed: .venv/installed requirements-docs.txt
	$(BIN)/pip install -q -r requirements-docs.txt
	touch $@

.venv-lowest/installed: pyproject.toml
	$(PYTHON) -m venv .venv-lowest
	$(PYTHON) tests/lowest_versions.py > .venv-lowest/requirements.txt
	.venv-lowest/bin/pip install -q -r .venv-lowest/requirements.txt
	.venv-lowest/bin/pip install -q --no-deps -e .
	touch $@

.venv/installed-export: .venv/installed requirements-export.txt
	$(BIN)/pip install -q -r requirements-export.txt
	touch $@

.venv-backends/installed: requirements.txt requirements-backends.txt requirements-export.txt pyproject.toml
	$(PYTHON) -m venv .venv-backends
	$(BACKENDS_BIN)/pip install -q -r requirements-backends.txt
	$(BACKENDS_BIN)/pip install -q --no-deps -e .
	touch $@
