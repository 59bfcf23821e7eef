"""Checks that only the metrics need: queries, their gallery, and the classes of both."""

import warnings

import numpy as np

from keras_proxygml.checks import (
    check_labels,
    check_same_dims,
    check_same_length,
    check_vectors,
    refuse,
)
from keras_proxygml.metrics._exact.grid import Labeled

_ROW_OF_QUERY = "Give the row of each query in the gallery, -1 for none."


def check_set(vectors, labels, name="embeddings", labels_name="labels"):
    """Vectors `[N, D]` and labels `[N]` as arrays, or an error that calls them by their names."""
    vectors, labels = check_vectors(name, vectors), check_labels(labels_name, labels)
    check_same_length(labels_name, labels, name, vectors, "Give one label per item.")
    return vectors, labels


def check_pair(embeddings, labels, gallery, gallery_labels, itself):
    """Checks queries and gallery, and numbers their classes.

    Returns:
        Queries: embeddings `[Q, D]` and class numbers `[Q]`; items: the same of the gallery, or the
        same object if there is no gallery; the row of each query among the items, `[Q]`, or None;
        and the labels of the queries as they were given, `[Q]`.
    """
    if (gallery is None) != (gallery_labels is None):
        given, missing = "gallery", "gallery_labels"
        if gallery is None:
            given, missing = missing, given
        refuse(missing, f"be given if `{given}` is", f"{missing}=None", "Give both, or neither.")
    embeddings, labels = check_set(embeddings, labels)
    if gallery is None:
        check_itself(itself, len(labels), None)
        queries = Labeled(embeddings, number_classes(labels)[0])
        return queries, queries, np.arange(len(labels)), labels
    gallery, gallery_labels = check_set(gallery, gallery_labels, "gallery", "gallery_labels")
    check_same_dims("gallery", gallery, "embeddings", embeddings)
    _check_same_kind(labels, gallery_labels)
    classes, item_classes = number_classes(labels, gallery_labels)
    itself = check_itself(itself, len(labels), len(gallery))
    if itself is not None:
        _check_same_class(itself, labels, gallery_labels, classes != item_classes[itself])
    return Labeled(embeddings, classes), Labeled(gallery, item_classes), itself, labels


def number_classes(*sets):
    """Numbers the classes of all sets of labels together, from 0 on, in rising order.

    The metrics calculate with these numbers, never with labels: a label may be the greatest number
    of its dtype, or a string.

    Args:
        sets: Labels, all integers of any dtypes, or all strings. `[N]` each.

    Returns:
        A list: the class number of each label, `[N]`, int64, for each set.
    """
    classes, numbers = zip(*(np.unique(s, return_inverse=True) for s in sets), strict=True)
    # NumPy would join int64 and uint64 as float64, which rounds.
    dtype = object if np.result_type(*sets).kind == "f" else None
    together = np.unique(np.concatenate(classes, dtype=dtype), return_inverse=True)[1]
    ends = np.cumsum([len(c) for c in classes])
    parts = np.split(together.astype("int64"), ends[:-1])
    return [part[number] for part, number in zip(parts, numbers, strict=True)]


def check_itself(itself, queries, items):
    """The row of each query in the gallery, `[Q]`, int64, -1 for none; None if none was given.

    Args:
        itself: The argument as the user gave it.
        queries: How many queries there are.
        items: How many items the gallery has; None if there is no gallery.
    """
    if itself is None:
        return None
    rows = np.asarray(itself)
    received = f"shape {rows.shape}, dtype {rows.dtype}"
    if items is None:
        hint = "Each query is then left out of its own results. Give a gallery, or omit `itself`."
        refuse("itself", "be None where there is no gallery", received, hint)
    if rows.shape != (queries,) or rows.dtype.kind not in "iu":
        refuse("itself", f"be integers of shape ({queries},)", received, _ROW_OF_QUERY)
    if rows.min() < -1 or rows.max() >= items:
        received = f"{rows.min()} to {rows.max()}"
        refuse("itself", f"be from -1 to {items - 1}", received, _ROW_OF_QUERY)
    return rows.astype("int64")


def count_matches(classes, item_classes, itself):
    """How many gallery items have the class of each query, not counting itself. `[Q]`.

    Args:
        classes, item_classes: As `number_classes` gives them; one array if there is no gallery.
        itself: Row of each query among the items, -1 for none. `[Q]`, or None if all are.
    """
    counts = np.bincount(item_classes, minlength=classes.max() + 1)
    matches = counts[classes] - (0 if itself is None else itself >= 0)
    if not matches.any():
        _refuse_without_matches(classes, item_classes, counts)
    return matches


def warn_of_one_class(classes, stacklevel):
    """Warns if all items have one class.

    Args:
        classes: Class number of each item. `[N]`.
        stacklevel: Of the caller, as `warnings.warn` counts.
    """
    if classes.min() == classes.max():
        warnings.warn(
            "All items have the same label, so the metrics are the same for all embeddings "
            "(usually 1.0). Evaluate on items of at least two classes.",
            stacklevel=stacklevel + 1,
        )


def _check_same_kind(labels, gallery_labels):
    kinds = ["strings" if x.dtype.kind == "U" else "integers" for x in (labels, gallery_labels)]
    if kinds[0] != kinds[1]:
        received = f"dtypes {gallery_labels.dtype} and {labels.dtype}"
        hint = "Label both sets the same way."
        refuse("gallery_labels", f"be {kinds[0]}, as `labels` are", received, hint)


def _check_same_class(itself, labels, item_labels, differ):
    bad = np.flatnonzero(differ & (itself >= 0))
    if len(bad):
        query, row = bad[0], itself[bad[0]]
        refuse(
            "itself",
            "name rows of the gallery that have the label of the query",
            f"itself[{query}]={row}, where `labels` has {labels[query]} and `gallery_labels` "
            f"{item_labels[row]}; {len(bad)} of {len(labels)} queries differ",
            "Give the row of the query itself, or -1 if the gallery does not hold it.",
        )


def _refuse_without_matches(classes, item_classes, counts):
    found, asked = np.count_nonzero(counts), len(np.unique(classes))
    if classes is item_classes:
        refuse(
            "labels",
            "have a class of at least two items",
            f"{len(classes)} items of {found} classes",
            f"None of the {found} classes has two members, so no query can find another of its "
            "class. Give at least two items of one class, or a separate gallery.",
        )
    if counts[classes].any():
        refuse(
            "gallery",
            "hold an item of a query's class besides the query itself",
            f"{len(item_classes)} items, in which each query has no match except itself",
            "Give a gallery with more items of the queries' classes.",
        )
    refuse(
        "gallery_labels",
        "have a class of `labels`",
        f"{found} classes, which include none of the {asked} classes of `labels`",
        "No query can find anything. Label both sets the same way.",
    )
