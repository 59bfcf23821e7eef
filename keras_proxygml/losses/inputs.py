"""Checks of what every loss takes."""

import numpy as np
from keras import ops

from keras_proxygml.checks import refuse
from keras_proxygml.numerics import raise_unless, widen, widen_integers


def check_integers(labels):
    """Raises if labels are not integers `[B]` or `[B, 1]`. Call it before Keras casts them.

    Args:
        labels: Class of each sample, a tensor or an array.

    Raises:
        ValueError: If the labels are floats, strings or one-hot rows.
    """
    dtype = getattr(labels, "dtype", None)
    if dtype is None:
        labels = ops.convert_to_numpy(labels)
        dtype = labels.dtype
    dtype = getattr(dtype, "name", str(dtype)).removeprefix("torch.")
    # Under tf.distribute Keras first shows the loss a symbolic batch averaged over the replicas, to
    # learn its shapes: the labels are then float64, whatever the user gave.
    may_be_averaged = dtype == "float64" and ops.is_tensor(labels) and not hasattr(labels, "numpy")
    if "int" not in dtype and not may_be_averaged:
        refuse(
            "labels",
            "be integers",
            f"dtype {dtype}",
            "Cast whole numbers with labels.astype('int32'). Turn names into numbers with "
            "numpy.unique(names, return_inverse=True).",
        )
    if getattr(labels.shape, "rank", 1) is None:  # as TensorFlow's functions in Python give them
        refuse(
            "labels",
            "be [B] or [B, 1]",
            "a tensor of unknown shape",
            "Call labels.set_shape([None]) on batches in the data set's map.",
        )
    shape = tuple(labels.shape)
    if len(shape) != 1 and not (len(shape) == 2 and shape[1] == 1):
        refuse(
            "labels",
            "be [B] or [B, 1], one class index for each sample",
            f"shape {shape}",
            "Turn one-hot rows into indices with labels.argmax(axis=-1).",
        )


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
    allowed = f"be in [0, {num_classes}), the classes of the proxy layer"
    hint = "Number the labels from 0, or give the proxy layer as many num_classes as there are."
    try:
        none_wrong = not bool(ops.any(is_wrong))
    except TypeError:  # what the tracers of TensorFlow, JAX and Keras raise
        # A batch may be empty: a replica's share of the last one.
        least, most = ops.min(labels, initial=num_classes), ops.max(labels, initial=-1)
        message = f"`labels` must {allowed}. {hint} Received, the smallest and the largest:"
        raise_unless(ops.logical_not(ops.any(is_wrong)), message, ops.stack([least, most]))
        return
    if none_wrong:
        return
    wrong = np.asarray(ops.convert_to_numpy(labels))[ops.convert_to_numpy(is_wrong)]
    refuse(
        "labels",
        allowed,
        f"label {wrong[0]} ({len(wrong)} of {len(labels)} labels are out of range)",
        hint,
    )


def check_rank(similarities):
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


def check_similarities(labels, similarities):
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
    check_rank(similarities)
    labels = widen_integers(_flat(labels))
    check_range(labels, similarities.shape[1])
    return labels, similarities


def check_embeddings(labels, embeddings):
    """Checks labels and embeddings, flattens the ones and widens the others.

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
    return _flat(numbered(labels)), embeddings


def numbered(labels):
    """Numbers classes from 0, unless labels are tensors: JAX would cut int64 to 32 bits.

    Args:
        labels: Class of each sample. `[B]` or `[B, 1]`, integers.

    Returns:
        The tensor as it is, or the class numbers of an array, `[B]`, int32.
    """
    if ops.is_tensor(labels):
        return labels
    check_integers(labels)
    return np.unique(np.reshape(labels, -1), return_inverse=True)[1].astype("int32")


def _flat(labels):
    labels = labels if ops.is_tensor(labels) else np.asarray(labels)
    check_integers(labels)
    return ops.reshape(ops.convert_to_tensor(labels), (-1,))
