"""What a TensorFlow graph can do, and Keras has no word for."""

import functools

import keras


def by_xla(function):
    """Has XLA compile a function of tensors where it is part of a TensorFlow graph on CPUs.

    There Keras leaves TensorFlow to run a graph's operations one by one, each over the whole of
    `[B, C, N]`; XLA makes few passes of many. On one GPU Keras compiles the whole graph by XLA.
    What is run eagerly, or on JAX or PyTorch, or by a TensorFlow without XLA, stays as it is.

    Args:
        function: A function of tensors.

    Returns:
        A function of the same arguments and results.
    """

    @functools.wraps(function)
    def run(*tensors):
        if keras.backend.backend() != "tensorflow":
            return function(*tensors)
        import tensorflow as tf

        has_gpu = bool(tf.config.list_physical_devices("GPU"))
        if tf.executing_eagerly() or has_gpu or not tf.test.is_built_with_xla():
            return function(*tensors)
        return tf.function(function, jit_compile=True, autograph=False)(*tensors)

    return run


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
