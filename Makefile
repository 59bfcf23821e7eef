# Each target first sets up the environment that it needs.
#
# make demo           runs the quickstart
# make lint           runs ruff and mypy
# make test           lints, and tests on TensorFlow
# make test-backends  tests on JAX and PyTorch, in an environment of their own
# make test-all       does both
# make format         formats the code with ruff

PYTHON ?= python3
BIN := .venv/bin
BACKENDS_BIN := .venv-backends/bin
# These tests do not depend on the backend, so they run on TensorFlow only.
WITHOUT_BACKEND := $(foreach part,metrics datasets test_docs.py test_examples.py,--ignore tests/$(part))
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
	KERAS_BACKEND=tensorflow $(BIN)/python -m pytest

test-all: test test-backends

test-backends: test-jax test-torch

test-jax test-torch: test-%: .venv-backends/installed
	KERAS_BACKEND=$* $(BACKENDS_BIN)/python -m pytest $(WITHOUT_BACKEND)

format: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .venv-backends build dist *.egg-info .pytest_cache .ruff_cache .hypothesis

.venv/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -r requirements.txt
	$(BIN)/pip install -q --no-deps -e .
	touch $@

.venv-backends/installed: requirements.txt requirements-backends.txt pyproject.toml
	$(PYTHON) -m venv .venv-backends
	$(BACKENDS_BIN)/pip install -q -r requirements-backends.txt
	$(BACKENDS_BIN)/pip install -q --no-deps -e .
	touch $@
