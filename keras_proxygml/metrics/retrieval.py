"""Retrieval metrics: Recall@K, R-precision, MAP@R and MRR by exact cosine search."""

import dataclasses
import math
import operator

import numpy as np

from keras_proxygml.metrics import ranking


@dataclasses.dataclass(frozen=True)
class QueryResults:
    """What each query found. All arrays are `[Q]`, in the order of the queries.

    Attributes:
        labels: Class of the query.
        matches: R, how many gallery items have its class, itself not counted.
        first_rank: Rank of the first of them; 0 where there is none.
        r_precision: Share of them among the R nearest; NaN where there is none.
        average_precision: Average precision at R; NaN where there is none.
    """

    labels: np.ndarray
    matches: np.ndarray
    first_rank: np.ndarray
    r_precision: np.ndarray
    average_precision: np.ndarray

    def scores(self, k=(1, 2, 4, 8)):
        """Each metric's value per query: name → `[Q]`, NaN where a query is left out."""
        found = self.first_rank > 0
        scores = {f"recall@{n}": (found & (self.first_rank <= n)) * 1.0 for n in _cutoffs(k)}
        scores["map@r"] = self.average_precision
        scores["r_precision"] = self.r_precision
        scores["mrr"] = found / np.maximum(self.first_rank, 1)
        return scores

    def metrics(self, k=(1, 2, 4, 8)):
        """The mean of each of `scores(k)`, and `queries_without_match`."""
        means = {name: _mean(values) for name, values in self.scores(k).items()}
        return means | {"queries_without_match": int((self.matches == 0).sum())}


def retrieval_metrics(embeddings, labels, *, k=(1, 2, 4, 8), gallery=None, gallery_labels=None):
    """Recall@K, MAP@R, R-precision and MRR by exact cosine search.

    Without a gallery, each item queries all others. A tie never counts in favour: an item of
    another class that is as similar as one of the own class comes before it, so vectors that are
    all equal score 0. Vectors are rounded to the grid of 2**-24 once they have unit length, which
    makes their products exact: no order of rows, block size or thread count changes a digit.

    A query whose class has no other member in the gallery is a miss for Recall@K and 0 for MRR,
    and is left out of MAP@R and R-precision. (pytorch-metric-learning leaves it out of all.)

    Args:
        embeddings: The queries. `[Q, D]`, finite; a zero vector has similarity 0 to everything.
        labels: Class of each query. `[Q]` or `[Q, 1]`, integers.
        k: The K of Recall@K, one or more positive integers.
        gallery: What is searched. `[M, D]`; by default the queries, each without itself.
        gallery_labels: Class of each gallery item. `[M]` or `[M, 1]`, integers.

    Returns:
        A dict of floats: `recall@K` for each K, `map@r`, `r_precision`, `mrr`; and the integer
        `queries_without_match`.

    Raises:
        ValueError: If shapes, dtypes or values do not allow a search, or nothing can be found.

    Reference:
        Musgrave et al., "A Metric Learning Reality Check", ECCV 2020 (MAP@R, R-precision).
    """
    _cutoffs(k)
    results = query_results(embeddings, labels, gallery=gallery, gallery_labels=gallery_labels)
    return results.metrics(k)


def query_results(embeddings, labels, *, gallery=None, gallery_labels=None):
    """What each query finds by exact cosine search: `retrieval_metrics` before the mean.

    Args:
        embeddings, labels, gallery, gallery_labels: As in `retrieval_metrics`.

    Returns:
        A `QueryResults`.

    Raises:
        ValueError: As `retrieval_metrics`.
    """
    if (gallery is None) != (gallery_labels is None):
        given, missing = "gallery", "gallery_labels"
        if gallery is None:
            given, missing = missing, given
        raise ValueError(f"{given} came without {missing}. Give both, or neither.")
    queries, labels = _check_set(embeddings, labels, "embeddings", "labels")
    items, item_labels = queries, labels
    if gallery is not None:
        items, item_labels = _check_set(gallery, gallery_labels, "gallery", "gallery_labels")
        if items.shape[1] != queries.shape[1]:
            raise ValueError(
                f"embeddings have {queries.shape[1]} numbers each, gallery {items.shape[1]}. "
                "Make both with the same embedder."
            )
    matches = _count_matches(labels, item_labels, itself=gallery is None)
    return _search(queries, labels, items, item_labels, matches, gallery is None)


def _search(queries, labels, items, item_labels, matches, itself):
    units = ranking.unit_vectors(items).astype("float64")
    first_rank = np.zeros(len(labels), "int64")
    r_precision, average_precision = np.full((2, len(labels)), np.nan)
    for q in np.flatnonzero(matches):
        similarities = units @ ranking.unit_vectors(queries[q : q + 1])[0].astype("float64")
        own = item_labels == labels[q]
        if itself:
            similarities, own = np.delete(similarities, q), np.delete(own, q)
        ranks = ranking.own_class_ranks(similarities, own)
        first_rank[q] = ranks[0]
        within = np.flatnonzero(ranks <= matches[q])
        r_precision[q] = len(within) / matches[q]
        average_precision[q] = np.sum((within + 1) / ranks[within]) / matches[q]
    return QueryResults(labels, matches, first_rank, r_precision, average_precision)


def _mean(values):
    """Mean of what is not NaN; fsum rounds once, so that the order of rows changes nothing."""
    kept = values[~np.isnan(values)]
    return math.fsum(kept) / len(kept)


def _cutoffs(k):
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


def _check_set(vectors, labels, name, labels_name):
    vectors, labels = np.asarray(vectors), np.asarray(labels)
    if vectors.ndim != 2 or not vectors.size:
        raise ValueError(
            f"{name} has shape {vectors.shape}, but must be [N, D] with at least one item and one "
            "number. Stack one vector per item."
        )
    _check_finite(vectors, name)
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


def _check_finite(vectors, name, block=4096):
    if not np.issubdtype(vectors.dtype, np.number) or np.iscomplexobj(vectors):
        raise ValueError(f"{name} has dtype {vectors.dtype}, but must be real numbers.")
    blocks = range(0, len(vectors), block)
    finite = [np.isfinite(vectors[i : i + block]).all(axis=1) for i in blocks]
    bad = np.flatnonzero(~np.concatenate(finite))
    if len(bad):
        raise ValueError(
            f"{name} has {len(bad)} of {len(vectors)} rows with NaN or infinite values, the first "
            f"at index {bad[0]}. Has training diverged, or an input come empty? Mend or drop them."
        )


def _count_matches(labels, item_labels, itself):
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
