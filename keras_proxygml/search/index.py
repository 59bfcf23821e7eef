"""A faiss index of a gallery's vectors: derived from them, approximate, and rebuilt at any time."""

from collections.abc import Sequence

import numpy as np

from keras_proxygml.metrics._exact.grid import LEVEL
from keras_proxygml.metrics._exact.items import Items
from keras_proxygml.metrics._exact.nearest import HEIGHT, SPARE, nearest_rows, rank
from keras_proxygml.metrics._exact.threads import cores, faiss_after_fork, single_blas
from keras_proxygml.metrics._faiss import trained_index

BLOCK = 4096  # items added to the index at a time
FEW = 4096  # an exact search of so few items, or of so small a share of all, costs less
SHARE = 1 / 32


class Index:
    """Finds candidates by a faiss index and ranks them by exact similarity.

    The vectors are the truth and the index is not. It may miss a neighbor: the function `recall`
    measures how many. It never returns an item that may not be found, and it returns k items if
    there are so many: if the index lists too few, because most of what it lists was removed or
    filtered out, the query is searched exactly. So is every row that the index does not hold, such
    as one that was added later.

    Build it with `Index.build`.

    Attributes:
        factory: Its name for faiss's `index_factory`.
        settings: The settings of its search.
        covered: How many rows there were when it was built.
        rows: The rows that it holds. `[n]`, int64, rising.
        index: The faiss index of these rows.
    """

    def __init__(self, factory: str, settings: str, covered: int, rows: np.ndarray, index):
        self.factory, self.settings, self.covered = factory, settings, covered
        self.rows, self.index = rows, index
        self._held = np.zeros(covered, bool)
        self._held[rows] = True

    @classmethod
    @faiss_after_fork()
    def build(
        cls,
        factory: str,
        segments: Sequence[np.ndarray],
        *,
        allowed: np.ndarray | None = None,
        settings: str = "",
        seed: int = 0,
    ) -> "Index":
        """Builds the index.

        Args:
            factory: The index as faiss's `index_factory` names it: `"HNSW32"`, `"IVF4096,SQ8"`.
            segments: Unit vectors, as in `nearest_rows`. `[n, D]` each.
            allowed: Which rows it holds. `[rows]`, bool. By default all.
            settings: Settings of the search, such as `"nprobe=32"` or `"efSearch=64"`.
            seed: Seed of the items that it is trained with.

        Returns:
            The index.

        Raises:
            ValueError: If faiss refuses the index or the settings.
        """
        items = Items(segments)
        rows = np.arange(len(items)) if allowed is None else np.flatnonzero(allowed)
        mixed = np.random.default_rng(seed).permutation(len(rows))

        def sample(n):
            return items[rows[np.sort(mixed[:n])]]

        index = trained_index(factory, settings, sample, len(rows), "settings")
        for first in range(0, len(rows), BLOCK):
            index.add(items[rows[first : first + BLOCK]])
        return cls(factory, settings, len(items), rows, index)

    @faiss_after_fork()
    def search(
        self,
        queries: np.ndarray,
        segments: Sequence[np.ndarray],
        k: int,
        *,
        allowed: np.ndarray | None = None,
        own: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """About the k nearest items of each query. Arguments and results are as in `nearest_rows`.

        The similarities are exact, and equal ones are ordered by row.
        """
        if allowed is None:
            allowed = np.ones(sum(map(len, segments)), bool)
        held = np.count_nonzero(allowed[: self.covered] & self._held)
        if held <= max(FEW, k, SHARE * len(self.rows)):
            return nearest_rows(queries, segments, k, allowed=allowed, own=own)
        found = np.empty((len(queries), k), "int64"), np.empty((len(queries), k))
        for first in range(0, len(queries), HEIGHT):
            some = slice(first, first + HEIGHT)
            of_some = None if own is None else own[some]
            found[0][some], found[1][some] = self._search(
                queries[some], segments, k, allowed, held, of_some
            )
        return found

    def _search(self, queries, segments, k, allowed, held, own):
        """As `search`, for a block of queries, if the index holds `held` rows that are allowed."""
        rows, short = self._candidates(queries, k + (own is not None), allowed, held)
        outside = allowed.copy()
        outside[: self.covered] &= ~self._held
        if outside.any():
            new, _ = nearest_rows(queries, segments, k, allowed=outside, own=own)
            rows = np.hstack([rows, new])
        with single_blas():
            rows, levels = rank(queries, Items(segments), rows, k, own, cores())
        levels /= LEVEL
        if len(short):
            own = None if own is None else own[short]
            found = nearest_rows(queries[short], segments, k, allowed=allowed, own=own)
            rows[short], levels[short] = found
        return rows, levels

    def _candidates(self, queries, k, allowed, held):
        """Rows that the index lists, `[n, m]`, -1 for none, and the queries with fewer than k.

        It is asked for more than k, because some are removed or filtered out, and because their
        exact similarities are in another order than those of the index.
        """
        asked = int((2 * k + SPARE) * len(self.rows) / held)
        places = self.index.search(queries, min(asked, len(self.rows)))[1]
        rows = np.where(places < 0, -1, self.rows[places])
        rows[~allowed[rows]] = -1
        return rows, np.flatnonzero(np.count_nonzero(rows >= 0, axis=1) < min(k, held))
