"""Retrieval metrics: Recall@K, R-precision, MAP@R and MRR by exact cosine search."""

import dataclasses
import math
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from keras_proxygml.checks import check_cutoffs
from keras_proxygml.metrics._exact.search import rank_matches
from keras_proxygml.metrics.inputs import check_pair, count_matches, warn_of_one_class

# Vectors whose cosine is at least this differ by no more than an embedder rounds.
SAME = 1 - 1e-6


def retrieval_metrics(
    embeddings: ArrayLike,
    labels: ArrayLike,
    *,
    k: int | Sequence[int] = (1, 2, 4, 8),
    gallery: ArrayLike | None = None,
    gallery_labels: ArrayLike | None = None,
    itself: ArrayLike | None = None,
    memory_budget: int = 2**29,
    progress: bool = False,
) -> dict[str, float]:
    """Recall@K, MAP@R, R-precision and MRR by exact cosine search.

    Without a gallery, each item queries all others. Ties count against the query: an equally
    similar item of another class ranks first, so vectors that are all equal score 0. Unit vectors
    are rounded to multiples of 2**-24, which makes their products exact: no order of rows, block
    size or thread count changes a digit.

    A query whose class has no other member in the gallery is a miss for Recall@K and 0 for MRR,
    and is left out of MAP@R and R-precision. (pytorch-metric-learning leaves it out of all.)

    Args:
        embeddings: The queries. `[Q, D]`, finite; a zero vector has similarity 0 to everything.
        labels: Class of each query. `[Q]` or `[Q, 1]`, integers or strings.
        k: The K of Recall@K, one or more positive integers.
        gallery: Items to search. `[M, D]`; by default the queries, each without itself.
        gallery_labels: Class of each gallery item. `[M]` or `[M, 1]`, integers or strings as
            `labels` are.
        itself: Row of each query in the gallery, -1 for none: this item is left out of the query's
            results. `[Q]`, integers. By default the gallery holds no query.
        memory_budget: Bytes to use at most, besides the arguments and a few numbers per item.
        progress: Whether to show on stderr how far the search is and when it will end.

    Returns:
        A dict of floats: `recall@K` for each K, `map@r`, `r_precision`, `mrr`; and the integer
        `queries_without_match`.

    Raises:
        ValueError: If shapes, dtypes or values do not allow a search, or nothing can be found.

    Warns:
        UserWarning: If the gallery has one class, or every query finds a vector identical to its
            own first.

    Reference:
        Musgrave et al., "A Metric Learning Reality Check", ECCV 2020 (MAP@R, R-precision).
    """
    check_cutoffs(k)
    results = _search(embeddings, labels, gallery, gallery_labels, itself, memory_budget, progress)
    return results.metrics(k)


def query_results(
    embeddings: ArrayLike,
    labels: ArrayLike,
    *,
    gallery: ArrayLike | None = None,
    gallery_labels: ArrayLike | None = None,
    itself: ArrayLike | None = None,
    memory_budget: int = 2**29,
    progress: bool = False,
) -> "QueryResults":
    """Finds what `retrieval_metrics` averages: the result of each query by exact cosine search.

    Args:
        embeddings, labels, gallery, gallery_labels, itself, memory_budget, progress: As in
            `retrieval_metrics`.

    Returns:
        A `QueryResults`.

    Raises:
        ValueError: As `retrieval_metrics`.

    Warns:
        UserWarning: As `retrieval_metrics`.
    """
    return _search(embeddings, labels, gallery, gallery_labels, itself, memory_budget, progress)


@dataclasses.dataclass(frozen=True)
class QueryResults:
    """What each query found. All arrays are `[Q]`, in the order of the queries.

    Attributes:
        labels: Class of the query, as it was given: integers or strings.
        matches: R, how many gallery items have its class, itself not counted.
        first_rank: Rank of the first of them; 0 where none was found.
        r_precision: Share of them among the R nearest; NaN where R is 0.
        average_precision: Average precision at R; NaN where R is 0.
    """

    labels: np.ndarray
    matches: np.ndarray
    first_rank: np.ndarray
    r_precision: np.ndarray
    average_precision: np.ndarray

    def scores(self, k: int | Sequence[int] = (1, 2, 4, 8)) -> dict[str, np.ndarray]:
        """Each metric's value per query.

        Args:
            k: The K of Recall@K, one or more positive integers.

        Returns:
            A dict: name → `[Q]`, NaN where a query is left out.
        """
        found = self.first_rank > 0
        scores = {f"recall@{n}": (found & (self.first_rank <= n)) * 1.0 for n in check_cutoffs(k)}
        scores["map@r"] = self.average_precision
        scores["r_precision"] = self.r_precision
        scores["mrr"] = found / np.maximum(self.first_rank, 1)
        return scores

    def by_class(
        self, k: int | Sequence[int] = (1, 2, 4, 8)
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Each metric's mean per class.

        Args:
            k: The K of Recall@K.

        Returns:
            The classes of the queries, rising, `[C]`; and name → `[C]`, NaN where all queries of a
            class are left out.
        """
        return np.unique(self.labels), {
            name: np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
            for name, (sums, counts) in self.class_sums(k).items()
        }

    def class_sums(
        self, k: int | Sequence[int] = (1, 2, 4, 8)
    ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """The sums behind `by_class`.

        Args:
            k: The K of Recall@K.

        Returns:
            A dict: name → the sum of each class, `[C]`, and how many queries are in it, `[C]`.
        """
        _, index = np.unique(self.labels, return_inverse=True)
        return {
            name: (np.bincount(index, np.nan_to_num(x)), np.bincount(index, ~np.isnan(x)))
            for name, x in self.scores(k).items()
        }

    def metrics(self, k: int | Sequence[int] = (1, 2, 4, 8)) -> dict[str, float]:
        """The mean over the queries of every metric, as `retrieval_metrics` gives it.

        Args:
            k: The K of Recall@K.

        Returns:
            A dict: name → float, and the integer `queries_without_match`.
        """
        means = {name: _mean(values) for name, values in self.scores(k).items()}
        return means | {"queries_without_match": int((self.matches == 0).sum())}


def warn_of_copies(first_rank, similarity, may_find_itself, stacklevel):
    """Warns if the first item that each query finds is identical to it, and of its class.

    Args:
        first_rank: Rank of each query's first match. `[Q]`.
        similarity: Cosine of that match. `[Q]`, NaN without one.
        may_find_itself: Whether the gallery may hold the queries themselves.
        stacklevel: Of the caller, as `warnings.warn` counts.
    """
    if not ((first_rank == 1) & (similarity >= SAME)).all():
        return
    cause = "If the data hold each item several times, drop the copies."
    if may_find_itself:
        cause = (
            "If the gallery holds the queries, give the row of each query in `itself`, which "
            "leaves it out of its own results."
        )
    warnings.warn(
        f"The first result of every query is identical to the query, so Recall@1 is 1.0. {cause}",
        stacklevel=stacklevel + 1,
    )


def _search(embeddings, labels, gallery, gallery_labels, itself, memory_budget, progress):
    may_find_itself = gallery is not None and itself is None
    queries, items, itself, labels = check_pair(embeddings, labels, gallery, gallery_labels, itself)
    matches = count_matches(queries.classes, items.classes, itself)
    first_rank, r_precision, average_precision, similarity = rank_matches(
        queries, items, itself, matches, memory_budget=memory_budget, progress=progress
    )
    warn_of_one_class(items.classes, stacklevel=3)
    warn_of_copies(first_rank, similarity, may_find_itself, stacklevel=3)
    first_rank = first_rank.astype("int64")
    return QueryResults(labels, matches, first_rank, r_precision, average_precision)


def _mean(values):
    """Mean without NaN. `fsum` rounds once, so the order of the queries changes nothing."""
    kept = values[~np.isnan(values)]
    return math.fsum(kept) / len(kept)
