"""Checks of ids, labels and metadata before they reach the storage."""

import numbers
from typing import Any

import numpy as np

from keras_proxygml.checks import as_array, refuse

# Metadata is stored as JSON. Other values would come back changed, or not at all.
_PLAIN = (str, int, float, bool, type(None))
_FIRST, _LAST = -(2**63), 2**63 - 1  # what SQLite can hold


def plain_names(name: str, values: Any, count: int | None, *, missing: bool = False) -> list:
    """Checks ids or labels and makes Python's strings and integers of them.

    Args:
        name: Name of the argument.
        values: One per item. `[N]` or `[N, 1]`: strings or integers, all of one type.
        count: How many items there are, N; None if any number is allowed.
        missing: Whether None is allowed.

    Returns:
        A list of N strings or integers, or None where it is allowed.

    Raises:
        ValueError: If their number or a type is not allowed, or types are mixed.
    """
    plain = _listed(name, values)
    if set(map(type, plain)) not in ({int}, {str}) or not _fits(plain):
        plain = [_plain_name(name, value) for value in plain]
    if count is not None and len(plain) != count:
        refuse(name, f"have one per item, {count}", f"{len(plain)}", "Give both in equal number.")
    kinds = {type(value) for value in plain} - ({type(None)} if missing else set())
    if len(kinds) > 1 or type(None) in kinds:
        received = " and ".join(sorted(kind.__name__ for kind in kinds))
        hint = "Make strings of all, or integers of all."
        refuse(name, "be all strings or all integers", f"a mix of {received}", hint)
    return plain


def _listed(name, values):
    """Values as a list, without making strings of [1, "1"]."""
    _check_listed(name, values)
    if isinstance(values, (list, tuple)):
        return list(values)
    array = as_array(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        refuse(name, "be [N] or [N, 1]", f"shape {array.shape}", "Give one per item.")
    return array.tolist()


def _check_listed(name, values):
    has_length = hasattr(values, "__len__") and getattr(values, "shape", None) != ()
    if isinstance(values, (str, bytes)) or not has_length:
        hint = f"Give a list, such as {name}=[{values!r}]."
        refuse(name, "be a list or an array, [N]", f"{name}={values!r}", hint)


def _fits(plain):
    return type(plain[0]) is str or (min(plain) >= _FIRST and max(plain) <= _LAST)


def _plain_name(name, value):
    if value is None or type(value) is str:
        return value
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, str):
        return str(value)
    if isinstance(value, numbers.Integral) and not isinstance(value, (bool, np.bool_)):
        if _FIRST <= value <= _LAST:
            return int(value)
        allowed = "be integers that 64 bits with a sign can hold"
        refuse(name, allowed, repr(value), "Make strings of them.")
    received = f"{value!r}, a {type(value).__name__}"
    refuse(name, "be strings or integers", received, "Cast them with str or int.")


def check_unique(name: str, ids: list) -> None:
    """Raises if an id occurs twice among new items."""
    # A million integers in a set would take a tenth of the memory of their vectors.
    in_order = np.sort(np.asarray(ids)) if ids and isinstance(ids[0], int) else None
    has_all = len(set(ids)) == len(ids) if in_order is None else (np.diff(in_order) > 0).all()
    if not has_all:
        values, counts = np.unique(np.array(ids), return_counts=True)
        double = values[counts > 1]
        received = f"{len(double)} that occur more than once, such as {double[0].item()!r}"
        refuse(name, "be unique", received, "Give each item an id of its own.")


def plain_metadata(values: Any, count: int) -> list[dict[str, Any]]:
    """Checks metadata and makes plain dicts of it.

    Args:
        values: One dict per item; a dict of columns, each `[N]`; or a data frame.
        count: How many items there are, N.

    Returns:
        A list of N dicts of strings, numbers, booleans and None.

    Raises:
        ValueError: If their number or a value is not allowed.
    """
    if hasattr(values, "to_dict") and hasattr(values, "columns"):  # a data frame
        values = values.to_dict("records")
    if not hasattr(values, "__iter__"):
        hint = "For instance [{'shop': 'A'}]."
        refuse("metadata", "be one dict per item, or a dict of columns", repr(values), hint)
    if isinstance(values, dict):
        for field, column in values.items():
            _check_listed(f"metadata[{field!r}]", column)
        lengths = {len(column) for column in values.values()}
        if lengths - {count}:
            received = f"columns of {', '.join(map(str, sorted(lengths)))}"
            refuse("metadata", f"have columns of {count} values, one per item", received)
        columns = zip(*values.values(), strict=True) if values else [()] * count
        values = [dict(zip(values, row, strict=True)) for row in columns]
    rows = [_plain_row(row) for row in values]
    if len(rows) != count:
        hint = "Give one dict per item; it may be empty."
        refuse("metadata", f"have one dict per item, {count}", f"{len(rows)}", hint)
    return rows


def _plain_row(row):
    if not isinstance(row, dict):
        refuse("metadata", "be dicts", f"a {type(row).__name__}", "For instance {'shop': 'A'}.")
    allowed = "have names as keys, and JSON's plain values"
    return {k: plain_value("metadata", k, value, allowed) for k, value in row.items()}


def plain_value(name: str, field: Any, value: Any, allowed: str) -> Any:
    """Checks a value of metadata and makes Python's of NumPy's.

    Args:
        name: Name of the argument that has it.
        field: Name of its field.
        value: The value.
        allowed: What the argument must do, as the words after "must".

    Returns:
        A string, a number, a boolean or None.

    Raises:
        ValueError: If the value has another type or is not finite, or the field is no string.
    """
    value = value.item() if isinstance(value, np.generic) else value
    if not isinstance(field, str) or not isinstance(value, _PLAIN):
        received = f"{field!r}: {value!r}, a {type(value).__name__}"
        refuse(name, allowed, received, "Make strings or numbers of other values.")
    if isinstance(value, float) and not np.isfinite(value):
        refuse(name, "have finite numbers", f"{field!r}: {value!r}", "Give None instead.")
    return value
