"""Reading the items of a gallery: by row, and by id."""

import json

import numpy as np

IN_ROWS = "row IN (SELECT value FROM json_each(?))"
NEXT_ID = "next_id"  # the setting that `compact` leaves
IS_THERE = "row NOT IN (SELECT row FROM removed)"


def ids_of(connection, rows):
    """The ids of rows, a list. `rows`: an array of row numbers."""
    found = _column(connection, "id", rows)
    ranges = connection.execute("SELECT first_row, num_rows, first_id FROM id_ranges").fetchall()
    if not ranges:
        return [found[row] for row in rows.tolist()]
    starts, counts, first_ids = np.array(sorted(ranges)).T
    position = np.searchsorted(starts, rows, "right") - 1
    offset = rows - starts[position]
    in_range = (position >= 0) & (offset < counts[position])
    ids = (first_ids[position] + offset).tolist()
    return [
        a if is_in else found[row]
        for a, is_in, row in zip(ids, in_range.tolist(), rows.tolist(), strict=True)
    ]


def labels_of(connection, rows):
    """The labels of rows, a list. `None` where there is none."""
    found = _column(connection, "label", rows)
    return [found.get(row) for row in rows.tolist()]


def metadata_of(connection, rows):
    """The metadata of rows, a list of dicts."""
    found = _column(connection, "metadata", rows)
    texts = map(found.get, rows.tolist())
    metadata = [{} if text is None else json.loads(text) for text in texts]
    if not all(isinstance(values, dict) for values in metadata):
        raise json.JSONDecodeError("metadata that are no object", "", 0)
    return metadata


def _column(connection, name, rows):
    query = f"SELECT row, {name} FROM items WHERE {IN_ROWS}"
    return dict(connection.execute(query, (json.dumps(rows.tolist()),)))


def rows_of(connection, ids, removed):
    """The rows of the items that have these ids and are there.

    Args:
        connection: SQLite's connection.
        ids: A list of Python's numbers or strings.
        removed: Whether a row is removed. `[num_rows]`, bool.

    Returns:
        The row of each id, -1 where there is none. int64.
    """
    rows = np.full(len(ids), -1, np.int64)
    ids = [x if _can_be_stored(x) else None for x in ids]
    query = f"SELECT row FROM items WHERE id = ? AND {IS_THERE}"
    for position, value in enumerate(ids):
        if found := connection.execute(query, (value,)).fetchone():
            rows[position] = found[0]
    numbers = [i for i, x in enumerate(ids) if isinstance(x, int)]
    if numbers:
        in_ranges = rows[numbers]
        _rows_in_ranges(connection, np.array([ids[i] for i in numbers]), removed, in_ranges)
        rows[numbers] = in_ranges
    return rows


def _can_be_stored(value):
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    try:
        value.encode()
    except (AttributeError, UnicodeEncodeError):
        return False
    return True


def _rows_in_ranges(connection, ids, removed, rows):
    query = "SELECT first_row, num_rows, first_id FROM id_ranges"
    for first_row, num_rows, first_id in connection.execute(query):
        among = np.flatnonzero((ids >= first_id) & (ids < first_id + num_rows))
        at = first_row + (ids[among] - first_id)
        is_there = ~removed[at]
        rows[among[is_there]] = at[is_there]


def taken(connection, first_id, num_rows, removed):
    """An id among consecutive integers that an item has which is there, or `None`."""
    last_id = first_id + num_rows - 1
    query = f"SELECT id FROM items WHERE id BETWEEN ? AND ? AND {IS_THERE} LIMIT 1"
    if found := connection.execute(query, (first_id, last_id)).fetchone():
        return found[0]
    ranges = connection.execute("SELECT first_row, num_rows, first_id FROM id_ranges")
    for row, count, other in ranges:
        low, high = max(first_id, other), min(last_id, other + count - 1)
        is_there = ~removed[row + low - other : row + high - other + 1] if low <= high else []
        if np.any(is_there):
            return int(low + np.argmax(is_there))
    return None


def duplicate(connection, first_row, ids, removed):
    """An id of new rows that an earlier row has which is there, or `None`.

    Args:
        connection: SQLite's connection.
        first_row: Number of the first new row.
        ids: Ids of the new rows, a list.
        removed: Whether each earlier row is removed. `[first_row]`, bool.
    """
    query = f"""
        SELECT id FROM items AS new WHERE row >= ? AND EXISTS (
            SELECT 1 FROM items WHERE id = new.id AND row < new.row AND {IS_THERE})
        LIMIT 1
    """
    if found := connection.execute(query, (first_row,)).fetchone():
        return found[0]
    if isinstance(ids[0], int):
        rows = np.full(len(ids), -1, np.int64)
        _rows_in_ranges(connection, np.array(ids, np.int64), removed, rows)
        if np.any(rows >= 0):
            return ids[int(np.argmax(rows >= 0))]
    return None


def all_labels(connection, rows, num_rows):
    """The labels of rows, as an array.

    Args:
        connection: SQLite's connection.
        rows: Rows, `[N]`.
        num_rows: Number of all rows.

    Returns:
        int64 or strings `[N]`, or objects if some labels are `None`.
    """
    labels = np.full(num_rows, None, object)
    query = "SELECT row, label FROM items WHERE label IS NOT NULL"
    found = connection.execute(query).fetchall()
    if found:
        positions, values = zip(*found, strict=True)
        labels[np.array(positions)] = values
    labels = labels[rows]
    if len(labels) and not any(label is None for label in labels):
        return np.array(labels.tolist())
    return labels


def next_id(connection):
    """The integer after the greatest id there has been; 0 if there has been none."""
    greatest = [
        connection.execute("SELECT max(id) FROM items").fetchone()[0],
        connection.execute("SELECT max(first_id + num_rows) - 1 FROM id_ranges").fetchone()[0],
    ]
    kept = connection.execute("SELECT value FROM settings WHERE name = ?", (NEXT_ID,)).fetchone()
    first = 0 if kept is None else json.loads(kept[0])
    return max([first, *(number + 1 for number in greatest if number is not None)])


def is_labeled(connection, first, end):
    """Whether a row from `first` to before `end` has a label. `[end - first]`, bool."""
    found = np.zeros(end - first, bool)
    query = "SELECT row FROM items WHERE row >= ? AND label IS NOT NULL"
    rows = connection.execute(query, (first,))
    found[np.fromiter((row - first for (row,) in rows), np.int64)] = True
    return found
