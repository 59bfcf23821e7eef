"""What a TensorFlow graph can do, and Keras has no word for."""

import functools

import keras


def by_xla(function):
    """Has XLA compile a function of tensors where it is part of a TensorFlow graph.

    On a CPU and under `tf.distribute` Keras leaves TensorFlow to run a graph's operations one by
    one, each over the whole of `[B, C, N]`; XLA makes few passes of many. What is run eagerly, or
    on JAX or PyTorch, or by a TensorFlow without XLA, stays as it is.

    Args:
        function: A function of tensors, and of Python numbers that are constants to it.

    Returns:
        A function of the same arguments and results.
    """

    @functools.wraps(function)
    def run(*arguments):
        if keras.backend.backend() != "tensorflow":
            return function(*arguments)
        import tensorflow as tf

        if tf.executing_eagerly() or not tf.test.is_built_with_xla():
            return function(*arguments)
        return tf.function(function, jit_compile=True, autograph=False)(*arguments)

    return run


def raise_unless(condition, message, value):
    """Has a TensorFlow graph raise an error when it runs, unless XLA runs it, which can't.

    On other backends nothing happens.

    Args:
        condition: What must hold. Scalar, bool.
        message: The words of the error.
        value: A tensor whose value follows them.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.debugging.Assert(condition, [message, value])
