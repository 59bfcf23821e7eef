"""Meets queries with items piece by piece, and keeps the items with the greatest products.

This takes less time than faiss, which is why faiss does not do it. faiss compares one query with
all items on one core, and sorts the products of many queries into heaps. Here all cores work, and a
product that does not reach the limit of its query costs one comparison.
"""

import threading

import numpy as np

from keras_proxygml.metrics._exact.grid import OUTSIDE
from keras_proxygml.metrics._exact.threads import cores, in_threads

PRODUCTS = 2**20  # products that all threads hold at a time
NUMBERS = 2**22  # numbers of items that all threads multiply at a time
NARROW = 1024  # a piece holds at least so many items, however many threads there are
FEW = 4  # up to so many queries, a product of vectors takes less time than one of matrices
BELOW = -1.5  # below every similarity, and above OUTSIDE


def scan(queries, items, kept, dtype, threads):
    """The items with the greatest products of each query.

    Args:
        queries: `[n, D]`, with products above -1.5.
        items: `Items`. They may be of another dtype, for instance int8.
        kept: How many to keep. At most `items.available`.
        dtype: Of the products. If these are exact, ties are kept by row.
        threads: How many threads to use.

    Returns:
        Their rows, by product, and the products: `[n, kept]` each.
    """
    queries = np.ascontiguousarray(queries, dtype)
    columns = np.ascontiguousarray(queries.T)
    best = _Best(len(queries), kept, dtype)
    share = cores() * np.dtype(dtype).itemsize // 4
    width = min(PRODUCTS // (share * len(queries)), NUMBERS // (share * items.dims))
    width = max(width, NARROW)
    local = threading.local()

    def multiply(cut):
        piece = items.piece(*cut)
        if piece is None:
            return
        if len(piece.rows) > getattr(local, "size", 0):
            local.size = len(piece.rows)
            local.buffer = np.empty((local.size, len(queries)), dtype)
        products = local.buffer[: len(piece.rows)]
        vectors = piece.vectors.astype(dtype, copy=False)
        if len(queries) > FEW:
            np.matmul(vectors, columns, out=products)
        else:
            for i, query in enumerate(queries):
                np.vecdot(vectors, query, out=products[:, i])
        if piece.hidden is not None:
            products[piece.hidden] = OUTSIDE
        best.add(products, piece.rows)

    cuts = items.cuts(width)
    in_threads(multiply, cuts, min(threads, len(cuts)))
    return best.found()


class _Best:
    """Keeps the items with the greatest products of each query, while pieces come in any order.

    Of equal products, it keeps those with the lowest rows.

    Args:
        queries: How many queries there are.
        kept: How many items to keep for each. At least so many must come.
        dtype: Of the products.
    """

    def __init__(self, queries, kept, dtype):
        self.queries, self.kept = queries, kept
        # For each query: no product below the limit is needed, and no equal one of a later row.
        # Threads read the two at once, so a new pair replaces the old.
        self.bound = np.full(queries, BELOW, dtype), np.full(queries, np.iinfo("int64").max)
        self.waiting = [(np.zeros(0, "int64"), np.zeros(0, "int64"), np.zeros(0, dtype))]
        self.count = 0
        self.lock = threading.Lock()

    def add(self, products, rows):
        """Adds the products `[w, n]` of items with the given rows `[w]`, which rise."""
        limit, last = self.bound
        limit = np.where(rows[0] > last, np.nextafter(limit, np.inf), limit)
        reached = products >= limit
        if np.count_nonzero(reached) > 2 * self.kept * self.queries:
            reached = products >= np.maximum(limit, self._limit_of(products))
        item, query = np.divmod(np.flatnonzero(reached), self.queries)
        with self.lock:
            self.waiting.append((query, rows[item], products[item, query]))
            self.count += len(query)
            if self.count > self.kept * self.queries:
                self._merge()

    def _limit_of(self, products):
        """A limit that at least `kept` of the products reach, and not many more. `[n]`.

        The items are dealt to 2 · `kept` groups. The limit is the least of the `kept` greatest
        maxima of these groups.
        """
        size = len(products) // (2 * self.kept)
        if size < 2:
            return BELOW
        groups = products[: size * 2 * self.kept].reshape(size, 2 * self.kept, self.queries)
        return np.partition(groups.max(axis=0), self.kept, axis=0)[self.kept]

    def _merge(self):
        """Drops what is not among the best, and raises the limit."""
        query, rows, values = (np.concatenate(x) for x in zip(*self.waiting, strict=True))
        order = np.lexsort((rows, -values, query))
        start = np.searchsorted(query[order], np.arange(self.queries))
        order = order[np.arange(len(order)) - start[query[order]] < self.kept]
        query, rows, values = query[order], rows[order], values[order]
        self.waiting, self.count = [(query, rows, values)], 0
        end = np.searchsorted(query, np.arange(self.queries), "right") - 1
        full = np.bincount(query, minlength=self.queries) == self.kept
        new = values[end], rows[end]
        self.bound = tuple(np.where(full, *x) for x in zip(new, self.bound, strict=True))

    def found(self):
        """Rows and products that are kept. `[n, kept]` each."""
        self._merge()
        _, *found = self.waiting[0]
        return tuple(x.reshape(self.queries, self.kept) for x in found)
