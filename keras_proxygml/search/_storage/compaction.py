"""Compaction: a gallery without the rows that are removed."""

import numpy as np

from keras_proxygml.search._storage import items, lookups
from keras_proxygml.search._storage.catalog import Catalog
from keras_proxygml.search._storage.copying import finished
from keras_proxygml.search._storage.segments import Segment, copied, write_segment

ROWS = 2**15  # rows that are copied at a time


def compact(home, contents):
    """Replaces a gallery by one whose rows are all there.

    Args:
        home: The `Home` of the writer.
        contents: The `Contents`.
    """
    keep = ~contents.removed
    version = contents.state.version + 1
    path = None if home.path is None else home.path / f"catalog-{version:08d}.db"
    new = Catalog.create(path).fill()
    try:
        write = _segments_in_memory if path is None else _segments_in_folder
        new.write_segments(write(home, contents, keep, version))
        _copy_items(home.catalog, new, keep)
        if contents.state.id_type == "int":  # the greatest one may be of a row that goes
            new.write_settings({lookups.NEXT_ID: lookups.next_id(home.catalog.connection)})
        kept = int(keep.sum())
        state = contents.state._replace(version=version, num_rows=kept, num_removed=0)
        new.update_state(**state._asdict())
    except BaseException:
        new.close()
        raise
    if path is None:
        home.catalog.close()
        home.catalog = new
    else:
        new.finish()
        home.switch(finished(home.path, new, version)._replace(catalog_checksum=None))
    home.numbering = object()


def _segments_in_memory(home, contents, keep, version):
    segments, start = [], 0
    for i, array in enumerate(contents.arrays):
        array = array[keep[start : start + len(array)]]
        start += len(contents.arrays[i])
        if len(array):
            array.setflags(write=False)
            segment = Segment(f"vectors-{version:08d}-{i}.npy", len(array), "")
            home.known[segment.name, ""] = array
            segments.append(segment)
    return segments


def _segments_in_folder(home, contents, keep, version):
    starts = np.cumsum([0, *map(len, contents.arrays)])
    segments = []
    for i, group in enumerate(copied(contents.segments, contents.state.dims)):
        parts = [(contents.arrays[j], keep[starts[j] : starts[j + 1]]) for j in group]
        shape = (sum(int(part.sum()) for _, part in parts), contents.state.dims)
        if shape[0]:
            kept = (rows for part in parts for rows in _kept_rows(*part) if len(rows))
            name = f"vectors-{version:08d}-{i}.npy"
            segments.append(write_segment(home.path, name, shape, kept))
    return segments


def _copy_items(catalog, new, keep):
    """Copies the items that are there, with rows that are numbered again.

    Args:
        catalog: The `Catalog` to copy.
        new: The new `Catalog`, with tables.
        keep: Whether to copy a row. `[num_rows]`, bool.
    """
    connection = catalog.connection
    rows = np.flatnonzero(keep)
    new.connection.execute("BEGIN")
    for start in range(0, len(rows), ROWS):
        part = rows[start : start + ROWS]
        ids = lookups.ids_of(connection, part)
        labels = lookups.labels_of(connection, part)
        metadata = lookups.metadata_of(connection, part)
        items.insert(new.connection, start, ids, labels, metadata)
    new.write_settings(catalog.settings())
    new.connection.execute("COMMIT")


def _kept_rows(array, keep):
    """The rows of an array to keep, in parts that fit into memory."""
    for start in range(0, len(array), ROWS):
        yield array[start : start + ROWS][keep[start : start + ROWS]]
