"""The one gate for what users give: each function checks one kind of argument.

Every message has one form: `` `name` must be … . Received: … . `` and, where it helps, a hint.
"""

import math
import numbers
import operator
from typing import NoReturn

import numpy as np


def refuse(name, allowed, received, hint="", error=ValueError) -> NoReturn:
    """Raises the error that every check raises.

    Args:
        name: Name of the argument.
        allowed: What it must be, as the words after "must".
        received: What was given instead, in words.
        hint: A sentence on what to do.
        error: Type of the error, for instance `FileNotFoundError`.

    Raises:
        ValueError: Always, or the other type of `error`.
    """
    raise error(f"`{name}` must {allowed}. Received: {received}.{f' {hint}' if hint else ''}")


def check_integer(name, value, minimum, maximum=None, hint=""):
    """Raises unless a value is an integer, Python's or NumPy's, within bounds.

    Args:
        name: Name of the argument.
        value: What was given for it.
        minimum: The smallest integer that is allowed.
        maximum: The largest integer that is allowed, or `None`.
        hint: A sentence on what to do.

    Raises:
        ValueError: If `value` is no integer or out of bounds.
    """
    # bool is an int in Python.
    is_integer = hasattr(value, "__index__") and not isinstance(value, bool)
    if not is_integer or value < minimum or (maximum is not None and value > maximum):
        most = "or more" if maximum is None else f"to {maximum}"
        refuse(name, f"be an integer of {minimum} {most}", f"{name}={value!r}", hint)


def check_number(name, value, interval, hint=""):
    """Raises unless a value is a number of an interval.

    Args:
        name: Name of the argument.
        value: What was given for it.
        interval: The interval in mathematical notation, for instance "(0, 1]" or "[0, inf)".
        hint: A sentence on what to do.

    Raises:
        ValueError: If `value` is no real number, NaN, or outside the interval.
    """
    low, high = map(float, interval[1:-1].split(","))
    is_real = isinstance(value, numbers.Real) and not math.isnan(value)
    is_above = is_real and (value > low or (value == low and interval[0] == "["))
    is_below = is_real and (value < high or (value == high and interval[-1] == "]"))
    if not (is_above and is_below):
        refuse(name, f"be in {interval}", f"{name}={value!r}", hint)


def check_choice(name, value, choices, hint=""):
    """Raises unless a value is one of several.

    Args:
        name: Name of the argument.
        value: What was given for it.
        choices: What is allowed.
        hint: A sentence on what to do.

    Raises:
        ValueError: If `value` is not among `choices`.
    """
    *first, last = map(repr, choices)
    if value not in tuple(choices):
        allowed = f"{', '.join(first)} or {last}" if first else last
        refuse(name, f"be {allowed}", f"{name}={value!r}", hint)


def check_cutoffs(k):
    """Raises unless the K of Recall@K are positive integers.

    Args:
        k: One integer, or several.

    Returns:
        All K, a tuple of integers.

    Raises:
        ValueError: If there is no K, or one of them is no positive integer.
    """
    cutoffs = (k,) if np.ndim(k) == 0 else tuple(k)
    try:
        cutoffs = tuple(operator.index(n) for n in cutoffs)
    except TypeError:
        cutoffs = ()
    if not cutoffs or min(cutoffs) < 1:
        refuse("k", "be one or more positive integers", f"k={k!r}", "Give for instance k=(1, 10).")
    return cutoffs


def as_array(values):
    """Values as an array; a PyTorch tensor may be on any device and track gradients.

    Args:
        values: Anything that NumPy makes an array of, or a PyTorch tensor.

    Returns:
        An array.
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        if values.is_floating_point() and values.element_size() < 4:
            values = values.float()  # NumPy has no bfloat16
    return np.asarray(values)


def as_labels(labels):
    """Labels as an array. Bytes become strings, and strings mixed with numbers stay objects.

    Args:
        labels: Labels of any shape and type.

    Returns:
        An array.
    """
    array = as_array(labels)
    if array.dtype.kind not in "OSTU" or (array.dtype.kind == "U" and array is labels):
        return array
    # NumPy makes strings of [1, "1"], which would merge two classes into one.
    array = np.asarray(labels if isinstance(labels, (list, tuple)) else array, object)
    flat = [label.decode() if isinstance(label, bytes) else label for label in array.flat]
    is_mixed = len({isinstance(label, str) for label in flat}) > 1
    return array if is_mixed else np.array(flat).reshape(array.shape)


def check_labels(name, labels):
    """Raises unless labels are integers or strings.

    Args:
        name: Name of the argument.
        labels: Labels `[N]` or `[N, 1]`.

    Returns:
        The labels as an array, `[N]`, of their own dtype.

    Raises:
        ValueError: If the shape or the dtype is another, or strings and numbers are mixed.
    """
    array = as_labels(labels)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or array.dtype.kind not in "iuU":
        refuse(
            name,
            "be integers or strings, [N] or [N, 1]",
            f"shape {array.shape}, dtype {array.dtype}",
            f"Give one label per item: cast whole numbers with {name}.astype('int64'), and make "
            f"labels of one-hot rows with {name}.argmax(axis=1).",
        )
    return array


def check_vectors(name, vectors):
    """Raises unless vectors are finite real numbers.

    Args:
        name: Name of the argument.
        vectors: One vector per item, `[N, D]`.

    Returns:
        The vectors as an array, `[N, D]`.

    Raises:
        ValueError: If there is no item, or the shape, the dtype or a value is not allowed.
    """
    vectors = as_array(vectors)
    if vectors.ndim != 2 or not vectors.size:
        allowed = "be [N, D], with at least one item and one number"
        refuse(name, allowed, f"shape {vectors.shape}", "Stack one vector per item.")
    # ml_dtypes's bfloat16 is no subtype of np.floating, but can be cast.
    if not np.can_cast(vectors.dtype, "float64", "same_kind"):
        refuse(name, "be real numbers", f"dtype {vectors.dtype}", "Give floats.")
    _check_finite(name, vectors)
    return vectors


def _check_finite(name, vectors, block=4096):
    blocks = range(0, len(vectors), block)
    if not all(np.isfinite(vectors[i : i + block]).all() for i in blocks):
        bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        refuse(
            name,
            "be finite",
            f"{len(bad)} of {len(vectors)} rows with NaN or infinite values, the first at index "
            f"{bad[0]}",
            "Training may have diverged, or an input may be empty. Fix or remove these rows.",
        )


def check_same_length(name, array, other_name, other, hint=""):
    """Raises unless two arrays have equally many items.

    Args:
        name: Name of the argument to blame.
        array: What was given for it.
        other_name: Name of the argument that sets the length.
        other: What was given for that.
        hint: A sentence on what to do.

    Raises:
        ValueError: If the lengths differ.
    """
    if len(array) != len(other):
        allowed = f"have {len(other)} items, as `{other_name}` has"
        refuse(name, allowed, f"{len(array)} items", hint)


def check_same_dims(name, vectors, other_name, other):
    """Raises unless the vectors of two arrays have equally many numbers.

    Args:
        name: Name of the argument to blame.
        vectors: What was given for it. `[N, D]`.
        other_name: Name of the argument that sets D.
        other: What was given for that. `[M, D]`.

    Raises:
        ValueError: If they differ in D.
    """
    if vectors.shape[1] != other.shape[1]:
        allowed = f"be [N, {other.shape[1]}], as `{other_name}` is"
        refuse(name, allowed, f"shape {vectors.shape}", "Make both with the same embedder.")
