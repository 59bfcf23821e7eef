"""What the retrieval metrics accept, and what they say to the rest."""

import operator

import numpy as np


def check_cutoffs(k):
    """The K of Recall@K as a tuple."""
    cutoffs = (k,) if np.ndim(k) == 0 else tuple(k)
    try:
        cutoffs = tuple(operator.index(n) for n in cutoffs)
    except TypeError:
        cutoffs = ()
    if not cutoffs or min(cutoffs) < 1:
        raise ValueError(
            f"k={k!r}, but Recall@K needs one or more positive integers, as k=(1, 10)."
        )
    return cutoffs


def check_pair(embeddings, labels, gallery, gallery_labels, itself):
    """Checks queries and gallery, and numbers their classes.

    Returns:
        Queries: embeddings `[Q, D]` and class numbers `[Q]`; items: the same of the gallery, or the
        very queries if there is none; the row of each query among the items, `[Q]`, or None; and
        the labels of the queries as they were given, `[Q]`.
    """
    if (gallery is None) != (gallery_labels is None):
        given, missing = "gallery", "gallery_labels"
        if gallery is None:
            given, missing = missing, given
        raise ValueError(f"{given} came without {missing}. Give both, or neither.")
    embeddings, labels = check_set(embeddings, labels, "embeddings", "labels")
    if gallery is None:
        check_itself(itself, len(labels), None)
        queries = embeddings, number_classes(labels)[0]
        return queries, queries, np.arange(len(labels)), labels
    gallery, gallery_labels = check_set(gallery, gallery_labels, "gallery", "gallery_labels")
    check_dims(embeddings, gallery)
    if (labels.dtype.kind == "U") != (gallery_labels.dtype.kind == "U"):
        raise ValueError(
            "`labels` and `gallery_labels` must both be integers or both be strings. Received: "
            f"dtypes {labels.dtype} and {gallery_labels.dtype}. Label both sets the same way."
        )
    classes, item_classes = number_classes(labels, gallery_labels)
    itself = check_itself(itself, len(labels), len(gallery))
    if itself is not None:
        _check_same_class(itself, labels, gallery_labels, classes != item_classes[itself])
    return (embeddings, classes), (gallery, item_classes), itself, labels


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
        itself: What was given.
        queries: How many queries there are.
        items: How many items the gallery has; None if there is no gallery.
    """
    if itself is None:
        return None
    if items is None:
        raise ValueError(
            "`itself` must be None where there is no gallery. Each query is left out of its own "
            "results there. Give the gallery too, or leave `itself` out."
        )
    rows = np.asarray(itself)
    if rows.shape != (queries,) or rows.dtype.kind not in "iu":
        raise ValueError(
            f"`itself` must be integers of shape ({queries},). Received: shape {rows.shape}, dtype "
            f"{rows.dtype}. Give the row of each query in the gallery, -1 for none."
        )
    if rows.min() < -1 or rows.max() >= items:
        raise ValueError(
            f"`itself` must be from -1 to {items - 1}. Received: {rows.min()} to {rows.max()}. "
            "Give the row of each query in the gallery, -1 for none."
        )
    return rows.astype("int64")


def _check_same_class(itself, labels, item_labels, differ):
    bad = np.flatnonzero(differ & (itself >= 0))
    if len(bad):
        query, row = bad[0], itself[bad[0]]
        raise ValueError(
            "`itself` must name rows of the gallery that have the label of the query. Received: "
            f"itself[{query}]={row}, where `labels` has {labels[query]} and `gallery_labels` "
            f"{item_labels[row]}; {len(bad)} of {len(labels)} queries differ. Give the row of the "
            "query itself, or -1 if the gallery does not hold it."
        )


def as_array(values):
    """Values as an array, those of a PyTorch tensor too, wherever it is and whatever it tracks."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        if values.is_floating_point() and values.element_size() < 4:
            values = values.float()  # NumPy has no bfloat16
    return np.asarray(values)


def check_vectors(vectors, name):
    """Embeddings as a finite array `[N, D]`, or an error that calls them by their name."""
    vectors = as_array(vectors)
    if vectors.ndim != 2 or not vectors.size:
        raise ValueError(
            f"{name} has shape {vectors.shape}, but must be [N, D] with at least one item and one "
            "number. Stack one vector per item."
        )
    _check_finite(vectors, name)
    return vectors


def check_dims(queries, items):
    """An error if queries `[Q, D]` and gallery items `[M, D]` differ in D."""
    if items.shape[1] != queries.shape[1]:
        raise ValueError(
            f"embeddings have {queries.shape[1]} numbers each, gallery {items.shape[1]}. "
            "Make both with the same embedder."
        )


def check_set(vectors, labels, name, labels_name):
    """Embeddings `[N, D]` and labels `[N]`, or an error that calls them by their names."""
    vectors, labels = check_vectors(vectors, name), check_labels(labels, labels_name)
    if len(labels) != len(vectors):
        raise ValueError(
            f"{name} has {len(vectors)} items, {labels_name} {len(labels)}. "
            "Give one label per item."
        )
    return vectors, labels


def check_labels(labels, name):
    """Labels `[N]` as they are, integers or strings, or an error that calls them by their name."""
    array = as_array(labels)
    if array.dtype.kind in "OTU" and not (array.dtype.kind == "U" and array is labels):
        # NumPy makes strings of [1, "1"], so that two classes would become one.
        array = np.asarray(labels, object)
        if all(isinstance(label, str) for label in array.flat):
            array = array.astype(str)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or array.dtype.kind not in "iuU":
        raise ValueError(
            f"`{name}` must be integers or strings, [N] or [N, 1]. Received: shape {array.shape}, "
            f"dtype {array.dtype}. Give one label per item: cast whole numbers with "
            f"{name}.astype('int64'), and make labels of one-hot rows with {name}.argmax(axis=1)."
        )
    return array


def count_matches(classes, item_classes, itself):
    """How many gallery items have the class of each query, not counting itself. `[Q]`.

    Args:
        classes, item_classes: As `number_classes` gives them; one array if there is no gallery.
        itself: Row of each query among the items, -1 for none. `[Q]`, or None if all are.
    """
    counts = np.bincount(item_classes, minlength=classes.max() + 1)
    matches = counts[classes] - (0 if itself is None else itself >= 0)
    if matches.any():
        return matches
    found = np.count_nonzero(counts)
    if classes is item_classes:
        raise ValueError(
            f"None of the {found} classes has two members, so no query can find another "
            "of its class. Give at least two items of one class, or a separate gallery."
        )
    if counts[classes].any():
        raise ValueError(
            "No query has another item of its class in the gallery than itself, so nothing can be "
            "found. Give a gallery with more items of the queries' classes."
        )
    raise ValueError(
        f"None of the {len(np.unique(classes))} classes of labels is among the {found} "
        "of gallery_labels, so nothing can be found. Number both sets the same way."
    )


def _check_finite(vectors, name, block=4096):
    if not np.can_cast(vectors.dtype, "float64", "same_kind"):  # bfloat16 and its kin may
        raise ValueError(
            f"{name} has dtype {vectors.dtype}, but must be real numbers. Give floats."
        )
    blocks = range(0, len(vectors), block)
    finite = [np.isfinite(vectors[i : i + block]).all(axis=1) for i in blocks]
    bad = np.flatnonzero(~np.concatenate(finite))
    if len(bad):
        raise ValueError(
            f"{name} has {len(bad)} of {len(vectors)} rows with NaN or infinite values, the first "
            f"at index {bad[0]}. Has training diverged, or an input come empty? Mend or drop them."
        )
