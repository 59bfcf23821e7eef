"""Checks of what every loss takes."""

import keras
import numpy as np
from keras import ops

from keras_proxygml.graph import widen, widen_integers
from keras_proxygml.tensorflow_graph import raise_unless


def check_similarities(similarities):
    """Raises if similarities are not `[B, C, N]`.

    Args:
        similarities: Cosines of samples and proxies.

    Raises:
        ValueError: If their rank is not 3.
    """
    if len(similarities.shape) != 3:
        raise ValueError(
            f"`similarities` must be [B, C, N]. Received: shape {tuple(similarities.shape)}. End "
            f"the model in a proxy layer such as keras_proxygml.ProxyGML(num_classes)."
        )


def check_labels(labels):
    """Raises if labels are not class numbers; before Keras casts them, while one can tell.

    Args:
        labels: Class of each sample. `[B]` or `[B, 1]`: integers, or whole numbers in float32 or
            float64, which Keras's own data generators give. A list or an array.

    Returns:
        The labels as an array or tensor.

    Raises:
        ValueError: If the labels are names, fractions, rounded or one-hot rows. In a graph of
            TensorFlow's, fractions raise as it runs, unless XLA compiles it.
    """
    if labels is None:
        raise ValueError(
            "`labels` must be class numbers. Received: None. Give fit the labels too: arrays as "
            "its second argument, or batches of (inputs, labels)."
        )
    if not hasattr(labels, "dtype"):
        labels = ops.convert_to_numpy(labels)
    dtype = getattr(labels.dtype, "name", str(labels.dtype)).removeprefix("torch.")
    if dtype.startswith(("str", "bytes", "object")):
        raise ValueError(
            f"`labels` must be class numbers. Received: dtype {dtype}. Number the names: "
            f"classes, labels = numpy.unique(names, return_inverse=True)."
        )
    # TensorFlow knows no rank after fit has seen both [B] and [B, 1].
    shape = None if getattr(labels.shape, "rank", 1) is None else tuple(labels.shape)
    if shape is not None and len(shape) != 1 and shape[1:] != (1,):
        raise ValueError(
            f"`labels` must be [B] or [B, 1], one class number a sample. Received: shape {shape}. "
            f"Turn one-hot rows into class numbers with labels.argmax(axis=-1); Keras's data sets "
            f"give numbers with label_mode='int', its generators with class_mode='sparse'."
        )
    if "int" not in dtype and dtype not in ("float32", "float64"):
        raise ValueError(
            f"`labels` must be integers, or whole numbers in float32 or float64. Received: dtype "
            f"{dtype}. Make them labels.astype('int32') where they are not rounded yet."
        )
    if "float" in dtype:
        _check_whole(labels)
    return labels


def _is_class(labels):
    # From there on, neighboring integers share a number in float32, or int32 has none.
    end = 2**24 if keras.backend.standardize_dtype(labels.dtype) == "float32" else 2**31
    is_whole = ops.equal(labels, ops.floor(labels))
    return ops.logical_and(is_whole, ops.abs(labels) < end)


def _check_whole(labels):
    is_class = _is_class(labels)
    all_are = ops.all(is_class)
    message = (
        "`labels` must be class numbers: integers, or whole numbers below 2**24 in float32. "
        "Received: "
    )
    try:
        is_right = bool(all_are)
    except TypeError:  # what the tracers of TensorFlow, JAX and Keras raise
        raise_unless(all_are, message, labels)
        return
    if not is_right:
        wrong = np.asarray(ops.convert_to_numpy(labels))[~ops.convert_to_numpy(is_class)]
        raise ValueError(f"{message}{wrong[0]}. Give labels.astype('int32') of the classes.")


def as_integers(labels):
    """Makes integers of whole floats, and 32 bits of fewer.

    Args:
        labels: Class of each sample, as `check_labels` lets them pass. `[B]` or `[B, 1]`.

    Returns:
        The same, integers; -1, which is no class, for a fraction, which only a compiled graph lets
        pass.
    """
    if "int" in keras.backend.standardize_dtype(labels.dtype):
        return widen_integers(labels)
    return ops.cast(ops.where(_is_class(labels), labels, -1.0), "int32")


def check_range(labels, num_classes):
    """Raises if a label is no class, where the labels' values can be read.

    Inside a compiled graph they can't: there the loss itself is NaN, except that TensorFlow's
    graph raises as it runs where XLA does not compile it.

    Args:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers.
        num_classes: C, how many classes there are.

    Raises:
        ValueError: If a label is below 0 or not below `num_classes`.
    """
    is_wrong = ops.logical_or(labels < 0, labels >= num_classes)
    allowed = f"`labels` must be from 0 to {num_classes - 1}, one of the num_classes."
    advice = (
        "If they count from 1, subtract 1. Number other labels with numpy.unique(labels, "
        "return_inverse=True), or give the proxy layer as many num_classes as there are."
    )
    try:
        none_wrong = not bool(ops.any(is_wrong))
    except TypeError:  # what the tracers of TensorFlow, JAX and Keras raise
        # A batch may be empty: a replica's share of the last one.
        least, most = ops.min(labels, initial=num_classes), ops.max(labels, initial=-1)
        ends = ops.stack([least, most])
        message = f"{allowed} {advice} Received, the smallest and the largest:"
        raise_unless(ops.logical_not(ops.any(is_wrong)), message, ends)
        return
    if none_wrong:
        return
    wrong = np.asarray(ops.convert_to_numpy(labels))[ops.convert_to_numpy(is_wrong)]
    raise ValueError(
        f"{allowed} Received: {wrong[0]} ({len(wrong)} of {len(labels)} labels are out of range). "
        f"{advice}"
    )


def checked(labels, similarities):
    """Checks labels and similarities, flattens the ones and widens the others.

    Args:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers in `[0, C)`.
        similarities: Cosines of samples and proxies. `[B, C, N]`, floats.

    Returns:
        Labels `[B]`, and similarities `[B, C, N]`, float32 or float64.

    Raises:
        ValueError: If labels are not integers in `[0, C)`, or similarities are not `[B, C, N]`.
    """
    similarities = widen(ops.convert_to_tensor(similarities))
    check_similarities(similarities)
    labels = as_integers(check_labels(labels))
    check_range(labels, similarities.shape[1])
    return ops.reshape(labels, (ops.shape(similarities)[0],)), similarities
