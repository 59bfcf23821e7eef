# make demo           sets up and runs the quickstart
# make test           sets up, lints and tests on TensorFlow
# make test-backends  sets up and tests on JAX and PyTorch, in an environment of their own

PYTHON ?= python3
BIN := .venv/bin
BACKENDS_BIN := .venv-backends/bin
# Plain NumPy, or documents: once is enough.
WITHOUT_BACKEND := $(foreach part,metrics datasets test_docs.py test_examples.py,--ignore tests/$(part))
export TF_CPP_MIN_LOG_LEVEL ?= 2
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-backends test-jax test-torch format clean

demo: .venv/installed
	KERAS_BACKEND=tensorflow $(BIN)/python examples/quickstart.py

test: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	KERAS_BACKEND=tensorflow $(BIN)/python -m pytest

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
