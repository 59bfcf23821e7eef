"""Checks of what every loss takes."""

import keras
import numpy as np
from keras import ops

from keras_proxygml.checks import refuse
from keras_proxygml.numerics import raise_unless, widen, widen_integers
from keras_proxygml.types import Tensor


def check_labels(labels: Tensor) -> Tensor:
    """Raises if labels are not class numbers. Call it before Keras casts them.

    Args:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers, or whole numbers in float32 or
            float64, which Keras's own data generators give. A list or an array.

    Returns:
        The labels as an array or tensor.

    Raises:
        ValueError: If the labels are names, fractions, half-precision floats or one-hot rows. A
            TensorFlow graph raises for fractions when it runs, unless XLA compiles it.
    """
    if labels is None:
        hint = "Give fit the labels too: as its second argument, or in batches (inputs, labels)."
        refuse("labels", "be class numbers", "None", hint)
    if not hasattr(labels, "dtype"):
        labels = ops.convert_to_numpy(labels)
    dtype = getattr(labels.dtype, "name", str(labels.dtype)).removeprefix("torch.")
    if dtype.startswith(("str", "bytes", "object")):
        hint = "Number the names: classes, labels = numpy.unique(names, return_inverse=True)."
        refuse("labels", "be class numbers", f"dtype {dtype}", hint)
    # TensorFlow does not know the rank once fit has seen both [B] and [B, 1].
    shape = None if getattr(labels.shape, "rank", 1) is None else tuple(labels.shape)
    if shape is not None and len(shape) != 1 and shape[1:] != (1,):
        refuse(
            "labels",
            "be [B] or [B, 1], one class number a sample",
            f"shape {shape}",
            "Turn one-hot rows into class numbers with labels.argmax(axis=-1); Keras's data sets "
            "give numbers with label_mode='int', its generators with class_mode='sparse'.",
        )
    if "int" not in dtype and dtype not in ("float32", "float64"):
        hint = "Cast them with labels.astype('int32') before anything rounds them."
        allowed = "be integers, or whole numbers in float32 or float64"
        refuse("labels", allowed, f"dtype {dtype}", hint)
    if "float" in dtype:
        _check_whole(labels)
    return labels


def _is_class(labels):
    labels = ops.convert_to_tensor(labels)  # float32 on JAX, for any dtype
    # From here on, float32 rounds neighboring integers to one number, or int32 overflows. The ends
    # are floats, because JAX takes no integer of more than 32 bits.
    end = 2.0**24 if keras.backend.standardize_dtype(labels.dtype) == "float32" else 2.0**31
    is_whole = ops.equal(labels, ops.floor(labels))
    return ops.logical_and(is_whole, ops.abs(labels) < end)


def _check_whole(labels):
    is_class = _is_class(labels)
    all_are = ops.all(is_class)
    allowed = "be class numbers: integers, or whole numbers below 2**24 in float32"
    try:
        is_right = bool(all_are)
    except TypeError:  # what the tracers of TensorFlow, JAX and Keras raise
        raise_unless(all_are, f"`labels` must {allowed}. Received: ", labels)
        return
    if not is_right:
        wrong = np.asarray(ops.convert_to_numpy(labels))[~ops.convert_to_numpy(is_class)]
        refuse("labels", allowed, wrong[0], "Give labels.astype('int32') of the classes.")


def as_integers(labels: Tensor) -> Tensor:
    """Casts whole floats and narrow integers to int32.

    Args:
        labels: Class of each sample, checked by `check_labels`. `[B]` or `[B, 1]`.

    Returns:
        The same labels, integers. A fraction, which can occur only in a compiled graph, becomes -1,
        which is not a class.
    """
    if "int" in keras.backend.standardize_dtype(labels.dtype):
        return widen_integers(labels)
    return ops.cast(ops.where(_is_class(labels), labels, -1.0), "int32")


def numbered(labels: Tensor) -> Tensor:
    """Numbers classes from 0, unless labels are tensors, because JAX would cut int64 to 32 bits.

    Args:
        labels: Class of each sample, checked by `check_labels`. `[B]` or `[B, 1]`.

    Returns:
        The same tensor, or the class numbers of an array, `[B]`, int32.
    """
    if ops.is_tensor(labels):
        return labels
    return np.unique(np.reshape(labels, -1), return_inverse=True)[1].astype("int32")


def check_range(labels: Tensor, num_classes: int) -> None:
    """Raises if a label is not a class, where the values of labels can be read.

    A compiled graph can't read them, and the loss is NaN there. TensorFlow's graphs raise when
    they run, unless XLA compiles them.

    Args:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers.
        num_classes: C, how many classes there are.

    Raises:
        ValueError: If a label is below 0 or not below `num_classes`.
    """
    is_wrong = ops.logical_or(labels < 0, labels >= num_classes)
    allowed = f"be from 0 to {num_classes - 1}, one of the num_classes"
    hint = (
        "If they count from 1, subtract 1. Number other labels with numpy.unique(labels, "
        "return_inverse=True), or give the proxy layer as many num_classes as there are."
    )
    try:
        none_wrong = not bool(ops.any(is_wrong))
    except TypeError:  # what the tracers of TensorFlow, JAX and Keras raise
        # A batch may be empty, if it is a replica's share of the last batch.
        least, most = ops.min(labels, initial=num_classes), ops.max(labels, initial=-1)
        message = f"`labels` must {allowed}. {hint} Received, the smallest and the largest:"
        raise_unless(ops.logical_not(ops.any(is_wrong)), message, ops.stack([least, most]))
        return
    if none_wrong:
        return
    wrong = np.asarray(ops.convert_to_numpy(labels))[ops.convert_to_numpy(is_wrong)]
    count = f"{len(wrong)} of {len(labels)} labels are out of range"
    refuse("labels", allowed, f"{wrong[0]} ({count})", hint)


def check_rank(similarities: Tensor) -> None:
    """Raises if similarities are not `[B, C, N]`.

    Args:
        similarities: Cosines of samples and proxies.

    Raises:
        ValueError: If their rank is not 3.
    """
    if len(similarities.shape) != 3:
        refuse(
            "similarities",
            "be [B, C, N]",
            f"shape {tuple(similarities.shape)}",
            "End the model in a proxy layer such as keras_proxygml.ProxyGML(num_classes).",
        )


def check_similarities(labels: Tensor, similarities: Tensor) -> tuple[Tensor, Tensor]:
    """Checks labels and similarities, flattens the labels and widens the floats.

    Args:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers in `[0, C)`.
        similarities: Cosines of samples and proxies. `[B, C, N]`, floats.

    Returns:
        Labels `[B]`, and similarities `[B, C, N]`, float32 or float64.

    Raises:
        ValueError: If labels are not integers in `[0, C)`, or similarities are not `[B, C, N]`.
    """
    similarities = widen(ops.convert_to_tensor(similarities))
    check_rank(similarities)
    labels = as_integers(check_labels(labels))
    check_range(labels, similarities.shape[1])
    return ops.reshape(labels, (ops.shape(similarities)[0],)), similarities


def check_embeddings(labels: Tensor, embeddings: Tensor) -> tuple[Tensor, Tensor]:
    """Checks labels and embeddings, flattens the labels and widens the floats.

    Args:
        labels: Class of each sample. `[B]` or `[B, 1]`, any integers.
        embeddings: Vectors. `[B, D]`, floats.

    Returns:
        Labels `[B]`, and embeddings `[B, D]`, float32 or float64.

    Raises:
        ValueError: If labels are not integers `[B]` or `[B, 1]`, or embeddings are not `[B, D]`.
    """
    embeddings = widen(ops.convert_to_tensor(embeddings))
    if len(embeddings.shape) != 2:
        refuse(
            "embeddings",
            "be [B, D]",
            f"shape {tuple(embeddings.shape)}",
            "End the model in its embeddings, without a proxy layer, and flatten or pool feature "
            "maps.",
        )
    labels = ops.convert_to_tensor(numbered(check_labels(labels)))
    return ops.reshape(labels, (ops.shape(embeddings)[0],)), embeddings
