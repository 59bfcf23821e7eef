# make demo           sets up and runs the quickstart
# make lint           checks style, formatting and types
# make test           sets up, lints, and runs the tests on TensorFlow, except the slow ones
# make test-all       does the same with the slow tests, and the runtimes of exports
# make test-backends  sets up and runs the tests on JAX and PyTorch, in another environment
# make format         formats the code

PYTHON ?= python3
BIN := .venv/bin
BACKENDS_BIN := .venv-backends/bin
# Worker processes share the cores with TensorFlow's threads, so more than four do not help.
PYTEST := -m pytest -n auto --maxprocesses 4 --dist worksteal
# These tests do not depend on the backend, so they run on TensorFlow only.
NUMPY_ONLY := metrics datasets search/test_[ciqs]*.py search/test_gallery.py test_inspection.py
WITHOUT_BACKEND := $(foreach part,$(NUMPY_ONLY) test_docs.py test_examples.py,--ignore-glob 'tests/$(part)')
export TF_CPP_MIN_LOG_LEVEL ?= 2
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo lint test test-all test-backends test-jax test-torch format clean

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

test-backends: test-jax test-torch

test-jax test-torch: test-%: .venv-backends/installed
	KERAS_BACKEND=$* $(BACKENDS_BIN)/python $(PYTEST) $(WITHOUT_BACKEND)

format: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .venv-backends build dist *.egg-info
	rm -rf .pytest_cache .ruff_cache .mypy_cache .hypothesis

.venv/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -r requirements.txt
	$(BIN)/pip install -q --no-deps -e .
	touch $@

.venv/installed-export: .venv/installed requirements-export.txt
	$(BIN)/pip install -q -r requirements-export.txt
	touch $@

.venv-backends/installed: requirements.txt requirements-backends.txt requirements-export.txt pyproject.toml
	$(PYTHON) -m venv .venv-backends
	$(BACKENDS_BIN)/pip install -q -r requirements-backends.txt
	$(BACKENDS_BIN)/pip install -q --no-deps -e .
	touch $@
