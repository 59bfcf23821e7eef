"""What a transaction changes: items that are inserted and rows that are removed."""

import numpy as np

from keras_proxygml.checks import check_same_length, refuse
from keras_proxygml.search._storage import items
from keras_proxygml.search._storage.files import sync_folder
from keras_proxygml.search._storage.segments import Segment, merged, open_segment, write_segment


def remove(home, contents, rows):
    """Removes rows that are there.

    Args:
        home: The `Home` of the writer, in a transaction.
        contents: The `Contents` before the transaction.
        rows: Rows, an array.

    Returns:
        Whether a row is removed now. `[num_rows]`, bool.
    """
    numbers = [(row,) for row in rows.tolist()]
    home.catalog.connection.executemany("INSERT INTO removed VALUES (?)", numbers)
    home.catalog.update_state(num_removed=contents.state.num_removed + len(rows))
    removed = contents.removed.copy()
    removed[rows] = True
    return removed


def insert(home, contents, removed, vectors, ids, labels, metadata):
    """Inserts items behind the last row.

    Args:
        home: The `Home` of the writer, in a transaction.
        contents: The `Contents` before the transaction.
        removed: Whether a row is removed now. `[num_rows]`, bool.
        vectors, ids, labels, metadata: As in `Storage.append`.

    Raises:
        ValueError: As in `Storage.append`.
    """
    state, catalog = contents.state, home.catalog
    _check_vectors(vectors, state.dims)
    for name, values in (("ids", ids), ("labels", labels), ("metadata", metadata)):
        if values is not None:
            check_same_length(name, values, "vectors", vectors)
    labels = None if labels is None else items.plain(labels)
    id_type = items.check_type("ids", ids, state.id_type)
    label_type = items.check_type("labels", labels, state.label_type)
    items.insert(catalog.connection, state.num_rows, ids, labels, metadata, removed)
    catalog.write_segments(_segments_with(home, contents, vectors))
    catalog.update_state(
        num_rows=state.num_rows + len(vectors),
        dims=vectors.shape[1],
        id_type=id_type,
        label_type=label_type,
    )


def _check_vectors(vectors, dims):
    is_right = vectors.ndim == 2 and vectors.dtype == np.float32 and vectors.shape[1]
    if not is_right or vectors.shape[1] != (dims or vectors.shape[1]):
        allowed = f"be float32 [N, {dims or 'D'}]"
        refuse("vectors", allowed, f"shape {vectors.shape}, dtype {vectors.dtype}")


def _segments_with(home, contents, vectors):
    before, (count, dims) = contents.segments, vectors.shape
    kept = len(before) - merged(before, count, dims)
    arrays = [*contents.arrays[kept:], vectors]
    count = sum(map(len, arrays))
    name = f"vectors-{contents.state.version + 1:08d}.npy"
    if home.path is None:
        array = np.concatenate(arrays) if len(arrays) > 1 else np.ascontiguousarray(vectors)
        array.setflags(write=False)
        segment = Segment(name, count, "")
    else:
        segment = write_segment(home.path, name, (count, dims), arrays)
        sync_folder(home.path)
        array = open_segment(home.path, segment, dims)
    home.known[segment.name, segment.checksum] = array
    return [*before[:kept], segment]
