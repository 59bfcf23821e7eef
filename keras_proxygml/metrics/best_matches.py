"""What every query finds first: of its own class, and of any other class."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from keras_proxygml.metrics._exact.best import best_of_classes
from keras_proxygml.metrics._exact.grid import UnitVectors
from keras_proxygml.metrics._exact.threads import cores
from keras_proxygml.metrics.inputs import check_pair, number_classes


@dataclasses.dataclass(frozen=True)
class BestMatches:
    """What each query finds first. All arrays are `[Q]`, in the order of the queries.

    Attributes:
        labels: Class of the query, as it was given: integers or strings.
        classes: Number of this class, from 0 on. int64.
        own: Similarity of the best item of its class, itself left out; -inf without one. float64.
        other: Similarity of the best item of any other class; -inf without one. float64.
        other_classes: Number of the class of that item; -1 without one. int64.
        items: How many labeled items the gallery has.
        item_classes: How many classes they have.
    """

    labels: np.ndarray
    classes: np.ndarray
    own: np.ndarray
    other: np.ndarray
    other_classes: np.ndarray
    items: int
    item_classes: int


def best_matches(
    embeddings: ArrayLike,
    labels: ArrayLike,
    *,
    gallery: ArrayLike | None = None,
    gallery_labels: ArrayLike | None = None,
    itself: ArrayLike | None = None,
) -> BestMatches:
    """Finds each query's best item of its own class and of any other class, exactly.

    Args:
        embeddings: The queries. `[Q, D]`, finite.
        labels: Class of each query. `[Q]` or `[Q, 1]`, integers or strings.
        gallery: Items to search. `[M, D]`; by default the queries, each without itself.
        gallery_labels: Class of each gallery item. `[M]` or `[M, 1]`, as `labels` are.
        itself: Row of each query in the gallery, which it does not find; -1 for none. `[Q]`.

    Returns:
        A `BestMatches`.

    Raises:
        ValueError: If shapes, dtypes or values do not allow a search.
    """
    queries, items, itself, labels = check_pair(embeddings, labels, gallery, gallery_labels, itself)
    rows = _in_order(queries.vectors)
    columns = rows if items is queries else _in_order(items.vectors)
    return _search(rows, labels, queries.classes, [columns], items.classes, itself)


def best_stored_matches(
    queries: np.ndarray,
    labels: np.ndarray,
    segments: Sequence[np.ndarray],
    item_labels: np.ndarray,
    *,
    rows: np.ndarray | None = None,
    itself: np.ndarray | None = None,
) -> BestMatches:
    """The same for vectors that are unit vectors on the grid already, as a gallery stores them.

    Args:
        queries: Unit vectors on the grid. `[Q, D]`, float32.
        labels: Class of each query. `[Q]`, integers or strings.
        segments: Arrays or memory maps of unit vectors on the grid, `[n, D]` each, whose rows are
            numbered through.
        item_labels: Class of each labeled item. `[L]`, as `labels` are.
        rows: Row of each labeled item, `[L]`; by default all rows in order. The others are not
            found.
        itself: Row of each query, which it does not find; -1 for none. `[Q]`.

    Returns:
        A `BestMatches`.
    """
    num_rows = sum(map(len, segments))
    rows = np.arange(num_rows) if rows is None else rows
    classes, numbers = number_classes(labels, item_labels)
    item_classes = np.full(num_rows, -1)
    item_classes[rows] = numbers
    return _search(queries, labels, classes, segments, item_classes, itself)


def _in_order(embeddings):
    one_class = np.zeros(len(embeddings), "int8")  # UnitVectors sorts by class
    return UnitVectors(embeddings, one_class, keep=True, threads=cores())[:]


def _search(queries, labels, classes, segments, item_classes, itself):
    (own, other), (_, rows) = best_of_classes(queries, classes, segments, item_classes, itself)
    other_classes = np.where(rows >= 0, item_classes[rows], -1)
    kept = item_classes[item_classes >= 0]
    sizes = len(kept), len(np.unique(kept))
    return BestMatches(labels, classes, own, other, other_classes, *sizes)
