"""What Keras's operations lack: wider dtypes, unit vectors, own gradients, and XLA for parts."""

import functools

import keras
import numpy as np
from keras import ops

# The logit of a class that takes no part in a softmax. It is finite, because 0 · -inf in a gradient
# is NaN.
ABSENT = -1e30

# XLA takes a second or more to compile a part of a graph, and then saves milliseconds per step.
# From about this number of proxies on, that pays off within a few hundred steps.
_WORTH_COMPILING = 2**12


def widen(tensor):
    """Casts half-precision floats to float32 and does not change wider ones.

    Args:
        tensor: Any shape, floats.

    Returns:
        The same values, float32, or float64 if `tensor` is.
    """
    is_double = keras.backend.standardize_dtype(tensor.dtype) == "float64"
    return ops.cast(tensor, "float64" if is_double else "float32")


def widen_integers(tensor):
    """Casts 8- and 16-bit integers to int32, whose range holds any number of classes.

    Args:
        tensor: Any shape, integers or floats.

    Returns:
        The same values, int32 if `tensor` has 8 or 16 bits.
    """
    narrow = ("int8", "uint8", "int16", "uint16")
    is_narrow = keras.backend.standardize_dtype(tensor.dtype) in narrow
    return ops.cast(tensor, "int32") if is_narrow else tensor


def unit(vectors):
    """Scales vectors to length 1 over their last axis, in float32 or wider.

    Vectors shorter than 1e-12 are not scaled. Zero stays zero, with a finite gradient.

    Args:
        vectors: Any floats. `[..., D]`.

    Returns:
        `[..., D]`, float32, or float64 where `vectors` are.
    """
    vectors = widen(vectors)
    return vectors * reciprocal_length(vectors)


def reciprocal_length(vectors):
    """Computes one over the length of each vector, or 1 for those shorter than 1e-12.

    Args:
        vectors: Floats, float32 or float64. `[..., D]`.

    Returns:
        `[..., 1]`, in the dtype of `vectors`.
    """
    squares = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    return ops.rsqrt(ops.where(squares > 1e-24, squares, 1.0))


def custom_gradient(function):
    """Gives a function of tensors its own gradient, on every backend.

    Args:
        function: A function of tensors. It returns its result, and a function from the gradient
            of the result to the gradients of the arguments.

    Returns:
        A function from the same tensors to the result.
    """

    @ops.custom_gradient
    @functools.wraps(function)
    def adapted(*tensors):
        result, gradient = function(*tensors)

        def adapted_gradient(*arguments, upstream=None):
            # On PyTorch, Keras passes the arguments too, and `upstream` by its name.
            return gradient(arguments[0] if upstream is None else upstream)

        return result, adapted_gradient

    return adapted


def _shared_graph(function, **options):
    """A function that makes, once, a `tf.function`: it holds one graph for each shape."""

    @functools.cache
    def make():
        import tensorflow as tf

        return tf.function(function, autograph=False, **options)

    return make


def _is_in_graph():
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.executing_eagerly()


def is_worth_compiling(num_proxies):
    """Tells whether there are enough proxies for XLA to pay off.

    Args:
        num_proxies: C·N, how many proxies there are in all.

    Returns:
        A bool.
    """
    return num_proxies >= _WORTH_COMPILING


def by_xla(function):
    """Compiles a function of many proxies by XLA in a TensorFlow graph on CPUs.

    There, Keras runs the operations of a graph one by one, each over the whole of `[B, C, N]`. XLA
    needs a few passes for many operations. On one GPU, Keras compiles the whole graph by XLA.

    The function gets one graph for each shape, even if many models call it, because TensorFlow
    keeps graphs and compiled code until the process ends.

    Args:
        function: A function of tensors and Python numbers, and of nothing else that changes.

    Returns:
        A function `(num_proxies, *tensors)`. It runs `function(*tensors)` without XLA in eager
        mode, on JAX or PyTorch, on a GPU, in a TensorFlow without XLA, or if the C·N =
        `num_proxies` proxies are too few for XLA to pay off.
    """

    compiled, in_graph = _shared_graph(function, jit_compile=True), _shared_graph(function)

    @functools.wraps(function)
    def run(num_proxies, *tensors):
        # A NumPy number would become a tensor, whose value a shape can't depend on.
        tensors = [x.item() if isinstance(x, np.generic) else x for x in tensors]
        if not _is_in_graph():
            return function(*tensors)
        is_compiled = is_worth_compiling(num_proxies) and _can_compile()
        return (compiled() if is_compiled else in_graph())(*tensors)

    return run


def _can_compile():
    import tensorflow as tf

    return tf.test.is_built_with_xla() and not tf.config.list_physical_devices("GPU")


def raise_unless(condition, message, value):
    """Makes a TensorFlow graph raise an error when it runs. XLA ignores it.

    On other backends, and for Keras's own symbolic tensors, nothing happens.

    Args:
        condition: What must hold. Scalar, bool.
        message: The text of the error.
        value: A tensor whose value follows the text.
    """
    if keras.backend.backend() == "tensorflow" and not keras.utils.is_keras_tensor(condition):
        import tensorflow as tf

        tf.debugging.Assert(condition, [message, value])
