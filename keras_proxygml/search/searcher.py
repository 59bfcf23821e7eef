"""How a gallery searches: exactly, or by a faiss index or int8 codes that are derived from it."""

from typing import Any

import numpy as np

from keras_proxygml.checks import check_integer
from keras_proxygml.metrics._exact.nearest import nearest_rows
from keras_proxygml.search._storage.storage import Storage
from keras_proxygml.search.answers import vectors_of
from keras_proxygml.search.index import Index
from keras_proxygml.search.quantized import Quantized
from keras_proxygml.search.recall import recall

CHECKED = 256  # items that search for their neighbors to measure the recall
GROWTH = 1.25  # an index is built again once there are so many times the rows that it holds


class Searcher:
    """Searches a storage, and builds what it needs for that when it needs it.

    An index and codes are derived from the vectors. They are in memory only, so they can't be
    damaged, foreign or out of date: loading an index file of unknown origin could run into faiss's
    unchecked reading.

    Args:
        index: `None` for exact search, `"int8"`, or a name for faiss's `index_factory`.
        settings: Settings of the faiss index's search, such as `"nprobe=32"`.
    """

    def __init__(self, index: str | None, settings: str) -> None:
        self.index, self.settings = index, settings
        self._built: Index | Quantized | None = None
        self._state: tuple[Any, ...] = ()

    def search(
        self,
        storage: Storage,
        queries: np.ndarray,
        k: int,
        *,
        allowed: np.ndarray | None = None,
        own: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows and similarities, as `nearest_rows` returns them. By default, items that are there.

        Args:
            storage: Where the vectors are.
            queries, k, allowed, own: As in `nearest_rows`.
        """
        if allowed is None and len(storage) < storage.num_rows:
            allowed = ~storage.removed
        segments, options = storage.segments, {"allowed": allowed, "own": own}
        if self.index is None:
            return nearest_rows(queries, segments, k, **options)
        return self._of(storage).search(queries, segments, k, **options)

    def recall(self, storage: Storage, k: int, seed: int) -> float:
        """Which share of the true k nearest items the search finds, for a sample of the items.

        Args:
            storage: Where the vectors are.
            k: How many items to find.
            seed: Seed of the sample.
        """
        check_integer("k", k, 1, len(storage) - 1, "Each of the items searches the others.")
        if self.index is None:
            return 1.0
        rows = np.random.default_rng(seed).permutation(np.flatnonzero(~storage.removed))[:CHECKED]
        options = {"allowed": ~storage.removed, "own": rows}
        search = self._of(storage).search
        return recall(search, vectors_of(storage, rows), storage.segments, k, **options)

    def _of(self, storage):
        """The index or the codes, built again if the rows have changed too much."""
        if self._is_outdated(storage):
            if self.index == "int8":
                self._built = Quantized.build(storage.segments)
            else:
                allowed = ~storage.removed
                options = {"allowed": allowed, "settings": self.settings}
                self._built = Index.build(self.index, storage.segments, **options)
            self._state = storage.numbering, storage.num_rows
        return self._built

    def _is_outdated(self, storage):
        if self._built is None or self._state[0] is not storage.numbering:
            return True
        most = self._state[1] if self.index == "int8" else GROWTH * self._state[1]
        return storage.num_rows > most
