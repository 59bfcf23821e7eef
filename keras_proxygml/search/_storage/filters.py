"""Which items have certain values in their metadata."""

import numpy as np

from keras_proxygml.checks import as_array, refuse
from keras_proxygml.search._storage.items import encode, is_comparable
from keras_proxygml.search.arguments import plain_value


def rows_where(connection, conditions, num_rows):
    """Which rows have these values in their metadata.

    Args:
        connection: SQLite's connection.
        conditions: A dict from the name of a field to its value; a list, tuple, set, range or array
            means any of its values, and `None` means that the field is missing or null.
        num_rows: Number of all rows.

    Returns:
        Whether a row meets all conditions. `[num_rows]`, bool.

    Raises:
        ValueError: If no item has such a field, or metadata cannot have such a value.
    """
    known = [name for (name,) in connection.execute("SELECT name FROM fields ORDER BY name")]
    if unknown := [name for name in conditions if name not in known]:
        fields = ", ".join(map(repr, known)) or "no field"
        refuse("where", f"name fields of the metadata: {fields}", ", ".join(map(repr, unknown)))
    result = np.ones(num_rows, bool)
    for name, value in conditions.items():
        result &= _rows_with(connection, name, _values(name, value), num_rows)
    return result


def _values(name, value):
    """The values of a field that a condition allows, a list."""
    if hasattr(value, "__array__"):  # an array, a pandas column, or a number of NumPy
        value = as_array(value).tolist()
    values = value if isinstance(value, (list, tuple, set, frozenset, range)) else [value]
    allowed = "have JSON's plain values, or lists [N] of them"
    return [plain_value("where", name, value, allowed) for value in values]


def _rows_with(connection, name, values, num_rows):
    # Both sides of the comparison are JSON, so SQLite reads equal numbers equally.
    query = """
        SELECT row FROM items WHERE EXISTS (
            SELECT 1 FROM json_each(items.metadata)
            WHERE key = ? AND (value IN (SELECT value FROM json_each(?)) OR (? AND value IS NULL)))
    """
    result = np.zeros(num_rows, bool)
    # Nothing equals a value that cannot be stored.
    found = [value for value in values if value is not None and is_comparable(value)]
    wanted = (name, encode(found), None in values)
    result[_array(connection.execute(query, wanted))] = True
    if None in values:
        query = "SELECT row FROM items, json_each(items.metadata) WHERE key = ?"
        has_field = np.zeros(num_rows, bool)
        has_field[_array(connection.execute(query, (name,)))] = True
        result |= ~has_field
    return result


def _array(rows):
    return np.fromiter((row for (row,) in rows), np.int64)
