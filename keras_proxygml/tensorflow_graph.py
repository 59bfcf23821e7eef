"""What a TensorFlow graph can do, and Keras has no word for."""

import functools

import keras
import numpy as np

# XLA takes a second or more to compile a part of a graph, and then saves milliseconds a step. From
# about so many proxies on, it pays within a few hundred steps.
_WORTH_COMPILING = 2**12


def is_worth_compiling(num_proxies):
    """Tells whether the parts of a head are compiled by XLA where they can be.

    Args:
        num_proxies: C·N, how many proxies there are in all.

    Returns:
        A bool.
    """
    return num_proxies >= _WORTH_COMPILING


def by_xla(function):
    """Compiles a function of many proxies by XLA where it is part of a TensorFlow graph on CPUs.

    There, Keras runs the operations of a graph one by one, each over the whole of `[B, C, N]`. XLA
    needs a few passes for many operations. On one GPU, Keras compiles the whole graph by XLA.

    The function is compiled once for each shape, however many models call it: TensorFlow keeps
    compiled code for the life of the process.

    Args:
        function: A function of tensors and Python numbers, and of nothing else that changes.

    Returns:
        A function `(num_proxies, *tensors)`. It runs `function(*tensors)` as it is where that is
        eager, on JAX or PyTorch, on a GPU, by a TensorFlow without XLA, or where the C·N =
        `num_proxies` proxies are too few for XLA to pay.
    """

    @functools.cache
    def compiled():
        import tensorflow as tf

        return tf.function(function, jit_compile=True, autograph=False)

    @functools.wraps(function)
    def run(num_proxies, *tensors):
        # A NumPy number would become a tensor, whose value a shape can't depend on.
        tensors = [x.item() if isinstance(x, np.generic) else x for x in tensors]
        is_compiled = is_worth_compiling(num_proxies) and _is_graph_on_cpus()
        return (compiled() if is_compiled else function)(*tensors)

    return run


def _is_graph_on_cpus():
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    return not (tf.executing_eagerly() or has_gpu) and tf.test.is_built_with_xla()


def raise_unless(condition, message, value):
    """Has a TensorFlow graph raise an error when it runs, unless XLA runs it, which can't.

    On other backends, and for Keras's own symbolic tensors, nothing happens.

    Args:
        condition: What must hold. Scalar, bool.
        message: The words of the error.
        value: A tensor whose value follows them.
    """
    if keras.backend.backend() == "tensorflow" and not keras.utils.is_keras_tensor(condition):
        import tensorflow as tf

        tf.debugging.Assert(condition, [message, value])
