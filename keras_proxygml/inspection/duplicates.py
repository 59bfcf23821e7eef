"""Items that are in the data more than once."""

import numpy as np
from numpy.typing import ArrayLike

from keras_proxygml.checks import (
    check_integer,
    check_labels,
    check_number,
    check_same_length,
    check_vectors,
    refuse,
)
from keras_proxygml.inspection.tables import Table, table
from keras_proxygml.metrics._exact.grid import LEVEL, exact_levels, rounding_slack, unit_vectors
from keras_proxygml.metrics._exact.threads import cores, in_threads, single_blas
from keras_proxygml.metrics.retrieval import SAME

HEIGHT, WIDTH = 1024, 4096  # items multiplied at a time


@table
class NearDuplicates(Table):
    """Pairs of items that are nearly the same. Pairs across splits come first, then the nearest.

    Attributes:
        first: Row of one item. `[P]`, int64.
        second: Row of the other, which is larger. `[P]`, int64.
        similarities: Their cosine. `[P]`, float64.
        exact: Whether the cosine is 1, up to the rounding of an embedder (1e-6). `[P]`, bool.
        across: Whether they are in different splits. `[P]`, bool.
    """

    first: np.ndarray
    second: np.ndarray
    similarities: np.ndarray
    exact: np.ndarray
    across: np.ndarray

    def groups(self) -> list[np.ndarray]:
        """The items that pairs connect, directly or through other items.

        Returns:
            The rows of each group, rising. The largest group comes first.
        """
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        rows, ends = np.unique([self.first, self.second], return_inverse=True)
        ends = ends.reshape(2, -1)
        links = coo_array((np.ones(len(self)), tuple(ends)), shape=(len(rows), len(rows)))
        groups = connected_components(links, directed=False)[1]
        order = np.argsort(groups, kind="stable")
        parts = np.split(rows[order], np.flatnonzero(np.diff(groups[order])) + 1)
        return sorted((part for part in parts if len(part)), key=lambda part: (-len(part), part[0]))


def near_duplicates(
    embeddings: ArrayLike,
    threshold: float = 0.95,
    *,
    splits: ArrayLike | None = None,
    max_pairs: int = 1_000_000,
) -> NearDuplicates:
    """Finds all pairs of items whose cosine reaches a threshold.

    A test item that is also in the training half makes every metric too good. So pairs across
    splits come first. The search compares all pairs exactly, block by block.

    Args:
        embeddings: The items. `[N, D]`, finite. A zero vector is similar to nothing.
        threshold: The least cosine of a pair. Above 0, up to 1. With 1, only exact copies are
            found. How near two different items are depends on the embedder, so look
            at the pairs just above the threshold.
        splits: The part of the data that each item is in, such as "train" or "test". `[N]`,
            integers or strings. `None` if there is one part.
        max_pairs: More pairs are an error, because memory grows with them.

    Returns:
        A `NearDuplicates`.

    Raises:
        ValueError: If shapes, dtypes or values do not allow it, or if there are too many pairs.

    Example:

    >>> embeddings = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0], [0.1, 1.0]])
    >>> near_duplicates(embeddings, 0.99, splits=["train", "train", "train", "test"])
    first  second  similarities  exact  across
        1       3         0.995  False    True
        0       2         1.000   True   False
    """
    vectors = check_vectors("embeddings", embeddings)
    check_number("threshold", threshold, "(0, 1]")
    check_integer("max_pairs", max_pairs, 1)
    parts = np.zeros(len(vectors), "int64")
    if splits is not None:
        parts = check_labels("splits", splits)
        check_same_length("splits", parts, "embeddings", vectors, "Give the split of each item.")
    units = np.concatenate(
        [unit_vectors(vectors[i : i + HEIGHT]) for i in range(0, len(vectors), HEIGHT)]
    )
    first, second, similarities = _pairs(units, threshold, max_pairs)
    exact = similarities >= SAME
    kept = exact | (similarities >= threshold)
    similarities = np.minimum(similarities, 1.0)  # on the grid, a product may be a little above 1
    columns = first, second, similarities, exact, parts[first] != parts[second]
    first, second, similarities, exact, across = (column[kept] for column in columns)
    order = np.lexsort((second, first, -similarities, ~across))
    return NearDuplicates(*(x[order] for x in (first, second, similarities, exact, across)))


def _pairs(units, threshold, max_pairs):
    """Pairs whose float32 product may reach the threshold, and their exact similarities."""
    limit = min(threshold, SAME) - rounding_slack(units.shape[1]) - 1e-6
    blocks = [(i, j) for i in range(0, len(units), HEIGHT) for j in range(i, len(units), WIDTH)]
    found, counts = {}, []

    def search(block):
        i, j = block
        if sum(counts) > max_pairs:
            return
        products = units[i : i + HEIGHT] @ units[j : j + WIDTH].T
        places = np.flatnonzero(products >= limit)
        rows, columns = i + places // products.shape[1], j + places % products.shape[1]
        kept = rows < columns
        rows, columns = rows[kept], columns[kept]
        counts.append(len(rows))
        if len(rows) <= max_pairs:
            found[block] = rows, columns, exact_levels(units, units, rows, columns) / LEVEL

    with single_blas():
        in_threads(search, blocks, cores())
    if sum(counts) > max_pairs:
        refuse(
            "threshold",
            f"leave at most max_pairs={max_pairs} pairs",
            f"threshold={threshold}, which leaves more",
            "Raise it, or leave out items that are all the same, such as blank images.",
        )
    return (np.concatenate(parts) for parts in zip(*map(found.get, blocks), strict=True))
