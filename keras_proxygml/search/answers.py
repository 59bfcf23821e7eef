"""What a gallery reads from its storage: hits, answers, prototypes."""

import warnings

import numpy as np

from keras_proxygml.checks import refuse
from keras_proxygml.metrics._exact.nearest import unit_rows
from keras_proxygml.metrics.best_matches import best_stored_matches
from keras_proxygml.search.hits import Hits, Identified

BLOCK = 4096  # rows read at a time
LISTED = 16  # items among which the runner-up of another class is usually found


def hits(newest, rows, similarities):
    """`Hits` of rows `[Q, k]`, -1 where there is none, and their similarities.

    Args:
        newest: A function without arguments, which returns the gallery's `Storage`.
        rows, similarities: What the search found.
    """
    storage = newest()
    ids = _objects(storage.ids, rows)

    def read_metadata():
        # By their ids, because `compact` numbers the rows again.
        storage, found = newest(), np.full_like(rows, -1)
        found[rows >= 0] = storage.rows_of(ids[rows >= 0].tolist())
        return _objects(storage.metadata, found).tolist()

    return Hits(ids, _objects(storage.labels, rows), similarities, read_metadata)


def _objects(lookup, rows):
    """What a lookup gives for rows of any shape, as objects; None for row -1."""
    values = np.full(rows.size, None, object)
    flat = rows.ravel()
    for place, value in zip(np.flatnonzero(flat >= 0), lookup(flat[flat >= 0]), strict=True):
        values[place] = value
    return values.reshape(rows.shape)


def calibrated_threshold(calibration, items):
    """The threshold of a calibration; warns if the gallery has outgrown it."""
    if calibration is None:
        hint = "Call calibrate first, or give identify a threshold."
        refuse("threshold", "be given or calibrated", "threshold=None", hint)
    reason = calibration.outgrown_by(items)
    if reason is not None:
        warnings.warn(reason, stacklevel=3)
    return calibration.threshold


def identify(storage, search, queries, allowed, threshold):
    """`Identified` for query vectors.

    Args:
        storage: A `Storage`.
        search: How to search it: `Searcher.search`.
        queries: Unit vectors `[Q, D]`.
        allowed: Which rows may be found, `[rows]`, or None.
        threshold: The least similarity of a known query.
    """
    named = storage.is_labeled() if allowed is None else storage.is_labeled() & allowed
    if not named.any():
        _refuse_without_labels()
    rows, similarities = search(storage, queries, LISTED, allowed=named)
    labels = _objects(storage.labels, rows)
    runner_up = first_of_another(labels)
    places = np.arange(len(queries))
    # Where all hits have one label, the runner-up is farther down.
    open_ = (runner_up == LISTED) & (np.count_nonzero(named) > LISTED)
    second = np.where(runner_up < LISTED, labels[places, runner_up % LISTED], None)
    value = np.where(runner_up < LISTED, similarities[places, runner_up % LISTED], np.nan)
    if open_.any():
        second[open_], value[open_] = _best_others(storage, queries[open_], labels[open_, 0], named)
    return Identified(
        np.where(similarities[:, 0] >= threshold, labels[:, 0], None),
        similarities[:, 0],
        _objects(storage.ids, rows[:, 0]),
        labels[:, 0],
        second,
        value,
        float(threshold),
    )


def first_of_another(labels):
    """Place of the first label unlike a row's first, k if there is none. `[Q, k]` → `[Q]`."""
    differs = (labels != labels[:, :1]) & (labels != None)  # noqa: E711  each of an array
    return np.where(differs.any(axis=1), differs.argmax(axis=1), labels.shape[1])


def _best_others(storage, queries, own, allowed):
    """The best item of a label other than the query's own: labels `[Q]` and similarities `[Q]`."""
    labels, rows = labeled(storage, allowed)
    best = best_stored_matches(queries, np.array(own.tolist()), storage.segments, labels, rows=rows)
    names = np.append(np.unique(labels).astype(object), None)  # the last one for -1
    return names[best.other_classes], np.where(best.other_classes >= 0, best.other, np.nan)


def labeled(storage, allowed=None):
    """Labels `[L]` and rows `[L]` of the items that have a label, among the allowed."""
    labels, rows = storage.all_labels()
    keep = storage.is_labeled()[rows] if allowed is None else allowed[rows]
    if not keep.any():
        _refuse_without_labels()
    labels, rows = labels[keep], rows[keep]
    return (np.array(labels.tolist()) if labels.dtype == object else labels), rows


def _refuse_without_labels():
    hint = "Add items with labels, or ask for less in `where`."
    refuse("gallery", "hold labeled items that may be found", "none", hint)


def matches_of_items(storage, queries=None):
    """What labeled items find among the others, as `best_matches` returns it.

    Args:
        storage: A `Storage`.
        queries: Rows of the items that search, or None for all that have a label.
    """
    labels, rows = labeled(storage)
    own, asked = rows, labels
    if queries is not None:
        is_asked = np.isin(rows, queries)
        if not is_asked.any():
            refuse("own_ids", "name items that have a label", f"{len(queries)} that have none")
        own, asked = rows[is_asked], labels[is_asked]
    vectors = vectors_of(storage, own)
    return best_stored_matches(vectors, asked, storage.segments, labels, rows=rows, itself=own)


def matches_of_queries(storage, vectors, query_labels, own):
    """What queries `[Q, D]` with labels find among the labeled items."""
    if query_labels is None or None in query_labels:
        hint = "Give the class of each query."
        refuse("labels", "be given for each query", "queries without labels", hint)
    labels, rows = labeled(storage)
    given = np.array(query_labels)
    return best_stored_matches(vectors, given, storage.segments, labels, rows=rows, itself=own)


def vectors_of(storage, rows):
    """The vectors of rows. `[n]` → `[n, D]`."""
    starts = np.cumsum([0, *map(len, storage.segments)])
    found = np.empty((len(rows), storage.dims), "float32")
    for segment, first, last in zip(storage.segments, starts, starts[1:], strict=False):
        some = (rows >= first) & (rows < last)
        found[some] = segment[rows[some] - first]
    return found


def prototypes(storage):
    """Names of the classes, a list, and the unit length means of their vectors, `[C, D]`."""
    labels, rows = labeled(storage)
    names, classes = np.unique(labels, return_inverse=True)
    sums = np.zeros((len(names), storage.dims))
    for first in range(0, len(rows), BLOCK):
        some = slice(first, first + BLOCK)
        np.add.at(sums, classes[some], vectors_of(storage, rows[some]))
    return names.tolist(), unit_rows(sums)


def copy_shortened(source, target, shorten):
    """Appends all items of a storage to another one, their vectors changed by a function."""
    rows = np.flatnonzero(~source.removed)
    vectors = [
        shorten(vectors_of(source, rows[first : first + BLOCK]))
        for first in range(0, len(rows), BLOCK)
    ]
    parts = source.ids(rows), source.labels(rows), source.metadata(rows)
    target.append(unit_rows(np.concatenate(vectors)), *parts)


def items(storage, rows, batch_size, make):
    """The items of rows, each made by `make` of its four parts."""
    for first in range(0, len(rows), batch_size):
        some = rows[first : first + batch_size]
        parts = storage.ids(some), vectors_of(storage, some), storage.labels(some)
        for item in zip(*parts, storage.metadata(some), strict=True):
            yield make(*item)
