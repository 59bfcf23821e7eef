"""The forms of labeled data: arrays, or batches that can be read again."""

import numbers
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import keras
import numpy as np

from keras_proxygml.checks import as_labels, refuse

# A pair of arrays (inputs, labels), or batches of such pairs. Inputs have the structure that the
# model takes.
Data: TypeAlias = Iterable[Any] | keras.utils.PyDataset


def check_data(name: str, data: Data) -> Data:
    """Checks what can be known of an evaluation set before it is read.

    Args:
        name: Name of the argument.
        data: A pair of arrays (inputs, labels), or batches of such pairs.

    Returns:
        A tuple of inputs and labels `[N]`, or the batches as they are.

    Raises:
        ValueError: If `data` is empty, not a pair of equally long arrays, or batches that can't be
            read again.
    """
    if isinstance(data, (tuple, list)):
        return _check_arrays(name, data)
    if isinstance(data, keras.utils.PyDataset):
        is_endless = data.num_batches is None
    elif hasattr(data, "__iter__"):
        is_endless = hasattr(data, "cardinality") and int(data.cardinality()) == -1
    else:
        allowed = "be a pair of arrays (inputs, labels), or batches of such pairs"
        hint = "Batches may be a tf.data.Dataset or a keras.utils.PyDataset."
        refuse(name, allowed, f"a {type(data).__name__}", hint)
    # The PyDataset of an ImageDataGenerator is an iterator too, but it is read by index.
    is_iterator = hasattr(data, "__next__") and not isinstance(data, keras.utils.PyDataset)
    if is_endless or is_iterator:
        reason = "never ends" if is_endless else "can be read only once"
        refuse(
            name,
            "start from the first batch each time it is read",
            f"a {type(data).__name__} that {reason}",
            "Give arrays, a tf.data.Dataset without repeat, or a keras.utils.PyDataset.",
        )
    return data


def _check_arrays(name, data):
    if len(data) != 2:
        received = f"a {type(data).__name__} of {len(data)}"
        hint = "Give both, or a dataset of such batches."
        refuse(name, "be a pair of arrays (inputs, labels)", received, hint)
    inputs, labels = as_arrays(data[0]), class_labels(name, data[1])
    lengths = {len(array) for array in keras.tree.flatten(inputs)}
    if lengths != {len(labels)} or not len(labels):
        found = ", ".join(map(str, sorted(lengths))) or "no"
        refuse(
            name,
            "have one label per input, and at least two inputs",
            f"{found} inputs and {len(labels)} labels",
            "Give arrays of equal length.",
        )
    return inputs, labels


def as_arrays(inputs: Any) -> Any:
    """Makes arrays of lists of texts or numbers, and objects of NumPy's strings.

    Keras takes each item of a list as an input of its own. It takes NumPy's strings only as
    objects.

    Args:
        inputs: What a model takes: an array, a list of texts, or a list or dict of these.

    Returns:
        The same structure of arrays.
    """
    if isinstance(inputs, dict):
        return {key: as_arrays(value) for key, value in inputs.items()}
    if isinstance(inputs, (list, tuple)):
        if not all(isinstance(item, (str, bytes, numbers.Number)) for item in inputs):
            return type(inputs)(map(as_arrays, inputs))
        inputs = np.asarray(inputs)
    is_text = isinstance(inputs, np.ndarray) and inputs.dtype.kind in "US"
    return inputs.astype(object) if is_text else inputs


def class_labels(name: str, labels: Any) -> np.ndarray:
    """Checks labels, and makes integers of whole floats, which an ImageDataGenerator gives.

    Args:
        name: Name of the evaluation set.
        labels: Class of each input. `[N]` or `[N, 1]`: integers, whole numbers in float32 or
            float64, or names.

    Returns:
        `[N]`, integers or strings.

    Raises:
        ValueError: If they are fractions or one-hot rows.
    """
    is_native = keras.ops.is_tensor(labels)
    labels = as_labels(keras.ops.convert_to_numpy(labels) if is_native else labels)
    received = f"shape {labels.shape}, dtype {labels.dtype}"
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype in (np.float32, np.float64):
        # From 2**24 on, neighboring integers share a number in float32.
        end = 2**24 if labels.dtype == np.float32 else 2**53
        if ((labels == np.floor(labels)) & (abs(labels) < end)).all():
            labels = labels.astype("int64")
    if labels.ndim != 1 or labels.dtype.kind not in "iuU":
        refuse(
            name,
            "have labels [N] or [N, 1], whole numbers or names",
            received,
            "Turn one-hot rows into class numbers with labels.argmax(axis=-1). Keras's data sets "
            "give numbers with label_mode='int', and its generators with class_mode='sparse'.",
        )
    return labels


def batches(name: str, data: Data) -> Iterator[tuple[Any, np.ndarray]]:
    """Reads an evaluation set once.

    Args:
        name: Name of the argument.
        data: Batches that `check_data` has checked.

    Yields:
        Pairs of inputs for `predict_on_batch` and labels `[B]`.

    Raises:
        ValueError: If a batch is not a pair, or its labels are not classes.
    """
    if isinstance(data, keras.utils.PyDataset):
        data = map(data.__getitem__, range(data.num_batches))
    for batch in data:
        if not isinstance(batch, (tuple, list)) or len(batch) < 2:
            refuse(
                name,
                "have batches that are pairs (inputs, labels)",
                f"a batch of type {type(batch).__name__}",
                "Map the dataset to such pairs, or load it with labels.",
            )
        inputs = keras.tree.map_structure(_native, as_arrays(batch[0]))
        yield inputs, class_labels(name, batch[1])


def _native(inputs):
    # A PyTorch DataLoader gives tensors that other backends do not take.
    return inputs if keras.ops.is_tensor(inputs) else np.asarray(inputs)
