"""Which classes are taken for each other."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from keras_proxygml.checks import (
    as_array,
    check_labels,
    check_same_length,
    refuse,
)
from keras_proxygml.inspection.tables import Table, table
from keras_proxygml.metrics import QueryResults, nearest
from keras_proxygml.metrics.inputs import check_pair, number_classes


@table
class ConfusedClasses(Table):
    """Pairs of classes that are taken for each other, the most often first.

    Attributes:
        first: One class. `[P]`.
        second: The other. `[P]`.
        counts: How often one was found for the other. `[P]`, int64.
        shares: `counts` as a share of everything that queries of both classes found. `[P]`.
        first_as_second: How often queries of `first` found `second`. `[P]`, int64.
        second_as_first: How often queries of `second` found `first`. `[P]`, int64.
    """

    first: np.ndarray
    second: np.ndarray
    counts: np.ndarray
    shares: np.ndarray
    first_as_second: np.ndarray
    second_as_first: np.ndarray


def confused_classes(
    results: Any,
    labels: ArrayLike,
    *,
    k: int = 1,
    gallery: ArrayLike | None = None,
    gallery_labels: ArrayLike | None = None,
    itself: ArrayLike | None = None,
) -> ConfusedClasses:
    """Counts which classes are found for which, pair by pair.

    Args:
        results: What each query found: labels `[Q]` or `[Q, k]`, integers or strings, such as the
            labels that a search or a classifier gave. `None` among them means nothing found. Or
            the queries themselves, embeddings `[Q, D]` in floats, whose nearest items are then
            searched.
        labels: The true class of each query. `[Q]` or `[Q, 1]`, integers or strings.
        k: How many nearest items of embeddings count.
        gallery, gallery_labels, itself: Only for embeddings. As in `retrieval_metrics`: by
            default, each query searches all others.

    Returns:
        A `ConfusedClasses` of all pairs that were confused at least once.

    Raises:
        ValueError: If shapes, dtypes or values do not allow it, or if `results` is a
            `QueryResults`, which has ranks and no labels of what was found.

    Example:

    >>> found = ["cat", "dog", "dog", "cat", "cow"]
    >>> confused_classes(found, ["cat", "cat", "dog", "dog", "cow"])
    first  second  counts  shares  first_as_second  second_as_first
      cat     dog       2   0.500                1                1
    """
    if isinstance(results, QueryResults):
        hint = "Give the embeddings that the results were computed from."
        refuse("results", "be embeddings or labels that were found", "a QueryResults", hint)
    if as_array(results).dtype.kind not in "OTUSiub":
        found, names = _search(results, labels, k, gallery, gallery_labels, itself)
    else:
        given = {"gallery": gallery, "gallery_labels": gallery_labels, "itself": itself}
        for name, value in given.items():
            if value is not None:
                hint = "Labels that were found need no search."
                refuse(name, "be None unless `results` are embeddings", f"a {name}", hint)
        found, names = _check_found(results, labels)
    queries = np.repeat(names, [len(row) for row in found])
    flat = np.concatenate(found)
    true, other = number_classes(queries, flat)
    return _count(true, other, np.concatenate([queries, flat]))


def _search(embeddings, labels, k, gallery, gallery_labels, itself):
    queries, items, rows, labels = check_pair(embeddings, labels, gallery, gallery_labels, itself)
    names = labels if gallery is None else check_labels("gallery_labels", gallery_labels)
    if gallery is None:
        places, _ = nearest(queries.vectors, k)
    else:
        places, _ = nearest(queries.vectors, k, gallery=items.vectors, itself=rows)
    return names[places], labels


def _check_found(results, labels):
    """What each query found, without None, as a list of arrays `[Q]`; and the labels `[Q]`."""
    labels = check_labels("labels", labels)
    columns = np.asarray(results, object)
    columns = columns[:, None] if columns.ndim == 1 else columns
    if columns.ndim != 2:
        refuse("results", "be [Q], [Q, k] or embeddings [Q, D]", f"shape {columns.shape}")
    check_same_length("results", columns, "labels", labels, "Give what each query found.")
    known = [[label for label in row if label is not None] for row in columns]
    flat = check_labels("results", [label for row in known for label in row] or labels[:0])
    if len(flat) and (flat.dtype.kind == "U") != (labels.dtype.kind == "U"):
        received = f"dtypes {flat.dtype} and {labels.dtype}"
        hint = "Label both the same way."
        refuse("results", "be integers or strings, as `labels` are", received, hint)
    return np.split(flat, np.cumsum([len(row) for row in known])[:-1]), labels


def _count(true, other, names):
    """The table of what was found, from the class numbers of queries and of what they found."""
    _, rows = np.unique(np.concatenate([true, other]), return_index=True)
    names = names[rows]
    totals = np.bincount(true, minlength=len(names))
    wrong = true != other
    low, high = np.minimum(true, other)[wrong], np.maximum(true, other)[wrong]
    pairs, group = np.unique(np.stack([low, high], axis=1), axis=0, return_inverse=True)
    forward = np.bincount(group.ravel(), true[wrong] == low, len(pairs)).astype("int64")
    counts = np.bincount(group.ravel(), minlength=len(pairs))
    first, second = pairs.T
    shares = counts / np.maximum(totals[first] + totals[second], 1)
    order = np.lexsort((second, first, -shares, -counts))
    columns = names[first], names[second], counts, shares, forward, counts - forward
    return ConfusedClasses(*(column[order] for column in columns))
