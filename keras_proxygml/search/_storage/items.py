"""Writing the items of a gallery: ids, labels and metadata, into the tables of its catalog."""

import json

import numpy as np

from keras_proxygml.checks import refuse
from keras_proxygml.search._storage import lookups

PLAIN = (float, bool, type(None))
# NumPy's numbers become Python's.
encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, default=lambda value: value.item()
).encode


def plain(values):
    """Ids or labels as a list of Python's numbers and strings."""
    if isinstance(values, np.ndarray):
        return values.tolist()
    return [value.item() if isinstance(value, np.generic) else value for value in values]


def check_type(name, values, before):
    """Raises unless ids or labels have the one type that a gallery has.

    Args:
        name: Name of the argument.
        values: Ids, or a list of labels, of which some are `None`, or `None`.
        before: The type that the gallery has, "int" or "str", or `None`.

    Returns:
        "int" or "str", or `None` if neither the gallery nor `values` has one.

    Raises:
        ValueError: If there is another type, or an integer that has no 64 bits.
    """
    if values is None or isinstance(values, range):
        types = {int} if values else set()
    elif isinstance(values, np.ndarray) and values.dtype.kind in "iu" and values.dtype != "uint64":
        types = {int}
    else:
        values = plain(values)
        types = set(map(type, values)) - ({type(None)} if name == "labels" else set())
        if types == {int}:
            _check_64_bits(name, [x for x in values if x is not None])
    found = {x.__name__ for x in types}
    if not found | {before} <= {"int", None} and not found | {before} <= {"str", None}:
        has = f"{before}, as in the gallery" if before else "all integers or all strings"
        refuse(name, f"be {has}", " and ".join(sorted(found)))
    return before or (found.pop() if found else None)


def _check_64_bits(name, integers):
    for extreme in (min(integers), max(integers)):
        if not -(2**63) <= extreme < 2**63:
            refuse(name, "be integers of 64 bits", f"{extreme}", "Give strings.")


def consecutive(ids):
    """The first of consecutive integers, or `None` if they are not consecutive."""
    if isinstance(ids, range):
        return ids.start if ids.step == 1 else None
    if not isinstance(ids, np.ndarray):
        if not isinstance(ids[0], (int, np.integer)) or isinstance(ids[0], bool):
            return None
        try:
            ids = np.asarray(ids)
        except OverflowError:
            return None
    if ids.dtype.kind not in "iu" or ids[0] > 2**62:
        return None
    return int(ids[0]) if np.array_equal(ids, np.arange(len(ids)) + int(ids[0])) else None


def insert(connection, first_row, ids, labels, metadata, removed=None):
    """Inserts items, whose ids must be new.

    Args:
        connection: SQLite's connection, in a transaction.
        first_row: Number of the first item.
        ids: Python's numbers or strings, or an array.
        labels: A list of the same length, or `None`.
        metadata: A list of dicts of the same length, or `None`.
        removed: Whether each earlier row is removed, `[first_row]`, bool. `None` if the ids are
            known to be new.

    Raises:
        ValueError: If an id is there already, the metadata is no JSON of plain values, or a string
            is no Unicode.
    """
    is_bare = not any(metadata or ()) and (labels is None or all(x is None for x in labels))
    first_id = consecutive(ids) if is_bare else None
    if first_id is not None:
        if removed is not None:
            _check_new(lookups.taken(connection, first_id, len(ids), removed))
        _insert_range(connection, first_row, len(ids), first_id)
    else:
        ids = plain(ids)
        _insert_rows(connection, first_row, ids, labels, metadata)
        if removed is not None:
            _check_new(lookups.duplicate(connection, first_row, ids, removed))


def _check_new(taken):
    if taken is not None:
        refuse("ids", "be new", f"{taken!r} twice", "Update items that are there already.")


def _insert_rows(connection, first_row, ids, labels, metadata):
    none = [None] * len(ids)
    rows = range(first_row, first_row + len(ids))
    try:
        texts = none if metadata is None else _texts(connection, metadata)
        values = zip(rows, ids, none if labels is None else labels, texts, strict=True)
        connection.executemany("INSERT INTO items VALUES (?, ?, ?, ?)", values)
    except UnicodeEncodeError as error:
        refuse("ids", "be Unicode, as must labels and metadata", str(error))


def _texts(connection, metadata):
    fields, texts = set(), []
    for values in metadata:
        fields.update(values)
        if not all(map(is_comparable, values.values())):
            allowed = "have values that are str without \\0, int of 64 bits, float, bool or None"
            refuse("metadata", allowed, repr(values), "Give other values as text.")
        try:
            texts.append(encode(values) if values else None)
        except ValueError:
            refuse("metadata", "have finite numbers", repr(values), "Give None for a missing one.")
    if not all(isinstance(field, str) and "\0" not in field for field in fields):
        refuse("metadata", "have names of fields that are strings without \\0", repr(fields))
    connection.executemany("INSERT OR IGNORE INTO fields VALUES (?)", [(x,) for x in fields])
    return texts


def is_comparable(value):
    """Whether SQLite compares a value of JSON: its text ends at \\0, its integers have 64 bits."""
    if isinstance(value, np.generic):
        value = value.item()
    if type(value) is int:
        return -(2**63) <= value < 2**63
    return "\0" not in value if isinstance(value, str) else type(value) in PLAIN


def _insert_range(connection, first_row, num_rows, first_id):
    query = "SELECT first_row, num_rows, first_id FROM id_ranges ORDER BY first_row DESC LIMIT 1"
    last = connection.execute(query).fetchone()
    if last and (last[0] + last[1], last[2] + last[1]) == (first_row, first_id):
        values = (num_rows, last[0])
        connection.execute(
            "UPDATE id_ranges SET num_rows = num_rows + ? WHERE first_row = ?", values
        )
    else:
        values = (first_row, num_rows, first_id)
        connection.execute("INSERT INTO id_ranges VALUES (?, ?, ?)", values)
