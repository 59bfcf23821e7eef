"""Values and gradients of one function on any backend, eager and compiled."""

import warnings

import keras
import numpy as np
import pytest

MODES = {
    "tensorflow": ["eager", "graph", pytest.param("xla", marks=pytest.mark.slow)],
    "jax": ["eager", "compiled"],
    "torch": ["eager", "compiled"],
}[keras.backend.backend()]
# PyTorch's compiler takes minutes.
FAST_MODES = [m for m in MODES if (keras.backend.backend(), m) != ("torch", "compiled")]


def value_and_gradients(function, arrays, mode="eager"):
    """Returns (outputs, gradients of outputs[0] for each array), all NumPy.

    `function` takes the arrays as tensors and returns a tuple of tensors, a scalar first.
    """
    backend = keras.backend.backend()
    outputs, gradients = globals()[f"_{backend}"](function, arrays, mode)
    as_numpy = keras.ops.convert_to_numpy
    return [as_numpy(o) for o in outputs], [as_numpy(g) for g in gradients]


def _tensorflow(function, arrays, mode):
    import tensorflow as tf

    def run(*tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            outputs = function(*tensors)
        return outputs, tape.gradient(outputs[0], tensors)

    if mode != "eager":
        run = tf.function(run, jit_compile=mode == "xla")
    return run(*(tf.constant(a) for a in arrays))


def _jax(function, arrays, mode):
    import jax

    def run(*tensors):
        outputs = function(*tensors)
        return outputs[0], outputs

    run = jax.value_and_grad(run, argnums=tuple(range(len(arrays))), has_aux=True)
    if mode == "compiled":
        run = jax.jit(run)
    (_, outputs), gradients = run(*(jax.numpy.asarray(a) for a in arrays))
    return outputs, gradients


def _torch(function, arrays, mode):
    import torch

    tensors = [torch.tensor(np.asarray(a), requires_grad=True) for a in arrays]
    with warnings.catch_warnings():
        if mode == "compiled":
            warnings.simplefilter("ignore")  # PyTorch's compiler warns of PyTorch's code
        run = torch.compile(function) if mode == "compiled" else function
        outputs = run(*tensors)
        outputs[0].backward()
    return outputs, [tensor.grad for tensor in tensors]


def uniform(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32")


def finite(total, arrays, mode="eager"):
    """Value, gradients; `total` returns (sum, each value)."""
    outputs, gradients = value_and_gradients(total, arrays, mode)
    assert np.isfinite(outputs).all(), outputs
    assert all(np.isfinite(gradient).all() for gradient in gradients), outputs
    return outputs, gradients
