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


def check_pair(embeddings, labels, gallery, gallery_labels):
    """Queries and gallery, each as embeddings and labels; the same twice if there is no gallery."""
    if (gallery is None) != (gallery_labels is None):
        given, missing = "gallery", "gallery_labels"
        if gallery is None:
            given, missing = missing, given
        raise ValueError(f"{given} came without {missing}. Give both, or neither.")
    queries = check_set(embeddings, labels, "embeddings", "labels")
    if gallery is None:
        return queries, queries
    items = check_set(gallery, gallery_labels, "gallery", "gallery_labels")
    check_dims(queries[0], items[0])
    return queries, items


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
    """Embeddings `[N, D]` and int64 labels `[N]`, or an error that calls them by their names."""
    vectors, labels = check_vectors(vectors, name), as_array(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{labels_name} has shape {labels.shape} and dtype {labels.dtype}, but must be [N] or "
            "[N, 1] of integers. Give one class number per item, not one-hot rows."
        )
    if len(labels) != len(vectors):
        raise ValueError(
            f"{name} has {len(vectors)} items, {labels_name} {len(labels)}. "
            "Give one label per item."
        )
    return vectors, labels.astype("int64", copy=False)


def count_matches(labels, item_labels, itself):
    """How many gallery items have the class of each query, not counting itself. `[Q]`."""
    classes, counts = np.unique(item_labels, return_counts=True)
    at = np.minimum(np.searchsorted(classes, labels), len(classes) - 1)
    matches = np.where(classes[at] == labels, counts[at], 0) - itself
    if not matches.any():
        if itself:
            raise ValueError(
                f"None of the {len(classes)} classes has two members, so no query can find another "
                "of its class. Give at least two items of one class, or a separate gallery."
            )
        raise ValueError(
            f"None of the {len(np.unique(labels))} classes of labels is among the {len(classes)} "
            "of gallery_labels, so nothing can be found. Number both sets the same way."
        )
    return matches


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
