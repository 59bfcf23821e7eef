"""The nearest few gallery items of each query, exactly."""

import numpy as np
from numpy.typing import ArrayLike

from keras_proxygml.checks import check_integer, check_same_dims, check_vectors
from keras_proxygml.metrics._exact.grid import (
    LEVEL,
    OUTSIDE,
    UnitVectors,
    exact_levels,
    rounding_slack,
)
from keras_proxygml.metrics._exact.threads import cores, in_threads, single_blas
from keras_proxygml.metrics.inputs import check_itself

HEIGHT, WIDTH = 256, 4096  # queries and items multiplied at a time
SPARE = 8  # items kept beyond k, so that rounding seldom leaves open which are the nearest


def nearest(
    embeddings: ArrayLike,
    k: int,
    *,
    gallery: ArrayLike | None = None,
    itself: ArrayLike | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest gallery items of each query by cosine similarity, exactly.

    Items that are equally similar stay in the order of the gallery.

    Args:
        embeddings: The queries. `[Q, D]`, finite.
        k: How many items to find.
        gallery: Items to search. `[M, D]`; by default the queries, each without itself.
        itself: Row of each query in the gallery, which is left out of its results; -1 for none.
            `[Q]`, integers. By default every item may be found.

    Returns:
        Their places in the gallery, `[Q, k]`, int64, the nearest first, and their similarities,
        `[Q, k]`, float64.

    Raises:
        ValueError: If shapes or values do not allow a search, or k is not between 1 and the number
            of items.
    """
    queries = check_vectors("embeddings", embeddings)
    items = queries if gallery is None else check_vectors("gallery", gallery)
    check_same_dims("gallery", items, "embeddings", queries)
    own = check_itself(itself, len(queries), None if gallery is None else len(items))
    if gallery is None:
        own = np.arange(len(queries))
    available = len(items) - (own is not None and own.max() >= 0)
    check_integer("k", k, 1, available, f"A query can find {available} items.")
    rows = columns = _in_order(queries)
    if gallery is not None:
        columns = _in_order(items)
    return nearest_items(rows, np.arange(len(queries)), columns, own, k)


def nearest_items(queries, places, items, own, k):
    """The k nearest items of the queries at some places.

    Args:
        queries, items: `UnitVectors`.
        places: Places of the queries. `[P]`.
        own: Place of each query among the items, which is not to be found; -1 for none. `[P]`, or
            None if all items may be found.
        k: How many items to find.

    Returns:
        Places among the items, `[P, k]`, and similarities, `[P, k]`.
    """
    found = np.empty((len(places), k), "int64"), np.empty((len(places), k))

    def search(first):
        some = slice(first, first + HEIGHT)
        block = queries[places[some]]
        rows = _Rows(block, items, None if own is None else own[some], k)
        found[0][some], found[1][some] = rows.nearest()

    with single_blas():
        in_threads(search, range(0, len(places), HEIGHT), cores())
    return found


def _in_order(embeddings):
    one_class = np.zeros(len(embeddings), "int8")  # UnitVectors sorts by class
    return UnitVectors(embeddings, one_class, keep=True)


class _Rows:
    """A search for a block of queries `[n, D]`."""

    def __init__(self, vectors, items, own, k):
        self.vectors, self.items, self.own, self.k = vectors, items, own, k

    def nearest(self):
        """Places of the k nearest items, and their similarities."""
        kept = min(self.k + SPARE, len(self.items))
        places, values = self._roughly(kept)
        rows = np.repeat(np.arange(len(places)), kept)
        levels = exact_levels(self.vectors, self.items, rows, places.ravel()).reshape(places.shape)
        if self.own is not None:
            levels[places == self.own[:, None]] = OUTSIDE * LEVEL
        order = np.lexsort((places, -levels))[:, : self.k]
        places, levels = (np.take_along_axis(x, order, axis=1) for x in (places, levels))
        if kept < len(self.items):
            # Dropped items are less similar than the least kept, except for the rounding of both.
            slack = rounding_slack(self.items.dims) * LEVEL + 1
            limit = values.min(axis=1).astype("float64") * LEVEL + slack
            for row in np.flatnonzero(levels[:, -1] <= limit):
                places[row], levels[row] = self._exactly(row)
        return places, levels / LEVEL

    def _roughly(self, kept):
        """The nearest items by float32 products, in any order, and these products."""
        n = len(self.vectors)
        places, values = np.zeros((n, 0), "int64"), np.zeros((n, 0), "float32")
        for i in range(0, len(self.items), WIDTH):
            block = self.vectors @ self.items[i : i + WIDTH].T
            self._hide_own(block, i)
            new = np.broadcast_to(np.arange(i, i + block.shape[1]), block.shape)
            places, values = np.hstack([places, new]), np.hstack([values, block])
            if values.shape[1] > kept:
                best = np.argpartition(values, -kept, axis=1)[:, -kept:]
                places, values = (np.take_along_axis(x, best, axis=1) for x in (places, values))
        return places, values

    def _hide_own(self, values, first):
        if self.own is not None:
            rows = np.flatnonzero((self.own >= first) & (self.own < first + values.shape[1]))
            values[rows, self.own[rows] - first] = OUTSIDE

    def _exactly(self, row):
        """The nearest items by float64 products, which are exact."""
        vector = self.vectors[row].astype("float64")
        starts = range(0, len(self.items), WIDTH)
        levels = np.concatenate(
            [self.items[i : i + WIDTH].astype("float64") @ vector * LEVEL for i in starts]
        )
        if self.own is not None and self.own[row] >= 0:
            levels[self.own[row]] = OUTSIDE * LEVEL
        best = np.argsort(-levels, kind="stable")[: self.k]
        return best, levels[best]
