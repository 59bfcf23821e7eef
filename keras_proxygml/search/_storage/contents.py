"""What a gallery contains at one version, read from its catalog and checked against its files."""

import re
from typing import NamedTuple

import numpy as np

from keras_proxygml.search._storage.catalog import State
from keras_proxygml.search._storage.files import check_unchanged, refuse_damaged
from keras_proxygml.search._storage.segments import Segment, check_segment, open_segment

EMBEDDER = re.compile(r"embedder(-[0-9]{8,20})?\.keras")


class Contents(NamedTuple):
    """The state, the segments with their arrays, and whether each row is removed."""

    state: State = State()
    segments: tuple[Segment, ...] = ()
    arrays: tuple[np.ndarray, ...] = ()
    removed: np.ndarray = np.zeros(0, bool)


def read_contents(catalog, folder, known, before=None, *, is_new=False):
    """Reads what a catalog says, and maps the segments that it names.

    Args:
        catalog: The `Catalog`.
        folder: The gallery's folder, or `None` in memory.
        known: A dict from name and checksum to the array of each segment that is open. Segments
            that are not in it are checked, opened and added, and those that are gone are deleted.
        before: `Contents` of the same catalog at an earlier version, or `None`.
        is_new: Whether this process has not yet read this catalog, so all items are counted.

    Returns:
        The `Contents`.

    Raises:
        ValueError: If the catalog contradicts itself or a file.
    """
    state, segments = catalog.state(), tuple(catalog.segments())
    if folder is not None:
        _check_state(folder, state, segments)
        _check_embedder(folder, state, known)
    if is_new:
        _check_items(folder, catalog.connection, state)
    for segment in segments:
        if (segment.name, segment.checksum) not in known:
            array = open_segment(folder, segment, state.dims)
            check_segment(folder, segment)
            known[segment.name, segment.checksum] = array
    arrays = tuple(known[segment.name, segment.checksum] for segment in segments)
    named = {(segment.name, segment.checksum) for segment in segments}
    for key in known.keys() - named - {(state.embedder, state.embedder_checksum)}:
        del known[key]
    removed = _removed(catalog, folder, state, before)
    removed.setflags(write=False)
    return Contents(state, segments, arrays, removed)


def _check_state(folder, state, segments):
    counts = [state.version, state.num_rows, state.num_removed]
    counts += [segment.num_rows for segment in segments]
    is_valid = all(isinstance(count, int) and count >= 0 for count in counts)
    is_valid &= all(isinstance(segment.name, str) and segment.num_rows for segment in segments)
    if not is_valid or sum(counts[3:]) != state.num_rows:
        refuse_damaged(folder, "the catalog's rows are not those of its segments")
    if segments and not (isinstance(state.dims, int) and state.dims > 0):
        refuse_damaged(folder, f"the catalog has vectors of length {state.dims!r}")


def _check_items(folder, connection, state):
    # One query of all three would read every row.
    queries = (f"SELECT {x} FROM items" for x in ("count(*)", "min(row)", "max(row)"))
    count, first, last = (connection.execute(query).fetchone()[0] for query in queries)
    is_valid = not count or (first >= 0 and last < state.num_rows)
    end = 0
    for start, length, _ in connection.execute("SELECT * FROM id_ranges ORDER BY first_row"):
        is_valid &= isinstance(length, int) and end <= start < start + length <= state.num_rows
        end, count = start + length, count + length
    if not is_valid or count != state.num_rows:
        refuse_damaged(folder, "the catalog's items are not those of its state")


def _check_embedder(folder, state, known):
    key = (state.embedder, state.embedder_checksum)
    if state.embedder is None or key in known:
        return
    if not isinstance(state.embedder, str) or not EMBEDDER.fullmatch(state.embedder):
        refuse_damaged(folder, f"the catalog names {state.embedder!r} as the embedder")
    check_unchanged(folder / state.embedder, state.embedder_checksum)
    known[key] = None


def _removed(catalog, folder, state, before):
    if before is not None and before.state.num_removed == state.num_removed:
        new = np.zeros(state.num_rows - len(before.removed), bool)
        return np.concatenate([before.removed, new])
    removed = np.zeros(state.num_rows, bool)
    rows = catalog.connection.execute("SELECT row FROM removed")
    rows = np.fromiter((row for (row,) in rows), np.int64)
    if len(rows) != state.num_removed or np.any((rows < 0) | (rows >= state.num_rows)):
        refuse_damaged(folder, "the catalog's removed rows are not those of its state")
    removed[rows] = True
    return removed
