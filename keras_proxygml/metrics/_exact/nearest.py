"""The nearest few items of each query: exact, in threads, in bounded memory.

A block of queries meets the items piece by piece. float32 products keep a few more candidates than
are asked for, and exact products of the candidates rank them. The products that were dropped are
known to be below a limit. If the slack of float32 leaves open whether a dropped item belongs to the
result, the query is searched again with float64 products, which are exact on the grid.

This takes less time than faiss, which is why faiss does not do it. faiss compares one query with
all items on one core, and sorts the products of many queries into heaps. Here all cores work, and a
product that does not reach the limit costs one comparison.
"""

import threading

import numpy as np

from keras_proxygml.metrics._exact.grid import (
    LEVEL,
    OUTSIDE,
    exact_levels,
    rounding_slack,
    unit_vectors,
)
from keras_proxygml.metrics._exact.items import Items
from keras_proxygml.metrics._exact.threads import cores, in_threads, single_blas

HEIGHT = 256  # queries multiplied at a time
SPARE = 8  # items kept beyond k, so that rounding seldom leaves open which are the nearest
PRODUCTS = 2**20  # products that all threads hold at a time
NUMBERS = 2**22  # numbers of items that all threads multiply at a time
NARROW = 1024  # a piece holds at least so many items, however many threads there are
BELOW = -1.5  # below every similarity, and above OUTSIDE


def unit_rows(vectors, block=1024):
    """The unit vectors that `nearest_rows` compares.

    Args:
        vectors: `[N, D]`, any real dtype, finite. A zero vector stays zero: it is equally similar
            (0) to every other one.
        block: How many vectors a thread scales at a time.

    Returns:
        Unit vectors, rounded to the grid of 2**-24. `[N, D]`, float32.
    """
    units = np.empty(vectors.shape, "float32")

    def fill(first):
        units[first : first + block] = unit_vectors(vectors[first : first + block])

    starts = range(0, len(units), block)
    in_threads(fill, starts, max(1, min(cores(), len(starts))))
    return units


def nearest_rows(queries, segments, k, *, allowed=None, own=None):
    """The k nearest items of each query by cosine similarity, exactly.

    Equally similar items come by row. The result of a query depends neither on the other queries
    nor on where the segments begin.

    Args:
        queries: Unit vectors, as `unit_rows` makes them. `[Q, D]`.
        segments: A list of arrays or memory maps of unit vectors `[n, D]`, float32. Their rows are
            numbered through.
        k: How many items to find.
        allowed: Which rows may be found. `[rows]`, bool. By default all.
        own: Row of each query, which is left out of its result; -1 for none. `[Q]`, int64.

    Returns:
        Their rows, `[Q, k]`, int64, the nearest first, and their similarities, `[Q, k]`, float64.
        If fewer than k items may be found, the rest is -1 and NaN.
    """
    items = Items(segments, allowed)
    rows = np.full((len(queries), k), -1, "int64")
    levels = np.full((len(queries), k), np.nan)
    height = max(1, min(HEIGHT, PRODUCTS // (k + SPARE + 1)))
    blocks = [slice(i, i + height) for i in range(0, len(queries), height)]
    outer = max(1, min(cores(), len(blocks)))
    inner = cores() // outer

    def search(some):
        of_block = _Search(queries[some], items, k, None if own is None else own[some], inner)
        found = of_block.nearest()
        rows[some, : found[0].shape[1]], levels[some, : found[0].shape[1]] = found

    if items.available:
        with single_blas():
            in_threads(search, blocks, outer)
    return rows, levels / LEVEL


class _Search:
    """The search for one block of queries.

    Args:
        queries: `[n, D]`.
        items: The `Items`.
        k: How many to find.
        own: Row of each query that must not be found. `[n]`, or None.
        threads: How many threads to use.
    """

    def __init__(self, queries, items, k, own, threads):
        self.queries, self.items, self.own, self.threads = queries, items, own, threads
        self.k = min(k, items.available)

    def nearest(self):
        """Rows, `[n, k]`, and levels, `[n, k]`; -1 and NaN where there is no other item."""
        places = np.arange(len(self.queries))
        rows, values = self._scan(places, SPARE, "float32")
        all_found = rows.shape[1] == self.items.available
        dropped = values.min(axis=1).astype("float64") * LEVEL
        rows, levels = self._ranked(places, rows, self._levels(rows))
        if not all_found:
            # Dropped items are less similar than the least kept, except for the rounding of both.
            slack = rounding_slack(self.items.dims) * LEVEL + 1
            open_ = np.flatnonzero(levels[:, -1] <= dropped + slack)
            if len(open_):
                again, exact = self._scan(open_, 0, "float64")
                rows[open_], levels[open_] = self._ranked(open_, again, exact * LEVEL)
        return rows, levels

    def _levels(self, rows):
        """The exact levels of the items in some rows, `[n, m]`."""
        levels = np.empty(rows.shape)
        step = -(-len(rows) // self.threads)

        def fill(first):
            some = slice(first, first + step)
            query = np.repeat(np.arange(len(rows))[some], rows.shape[1])
            found = exact_levels(self.queries, self.items, query, rows[some].ravel())
            levels[some] = found.reshape(rows[some].shape)

        in_threads(fill, range(0, len(rows), step), self.threads)
        return levels

    def _ranked(self, places, rows, levels):
        """The first k of candidates `[n, m]`: the highest level first, equal ones by row."""
        if self.own is not None:
            levels[rows == self.own[places, None]] = np.nan  # NaN is sorted to the end
        order = np.lexsort((rows, -levels))[:, : self.k]
        rows, levels = (np.take_along_axis(x, order, axis=1) for x in (rows, levels))
        rows[np.isnan(levels)] = -1
        return rows, levels

    def _scan(self, places, spare, dtype):
        """The rows with the greatest products, in any order, and these products: `[n, m]` each."""
        queries = np.ascontiguousarray(self.queries[places].astype(dtype).T)
        kept = min(self.k + spare + (self.own is not None), self.items.available)
        best = _Best(len(places), kept, dtype)
        share = cores() * np.dtype(dtype).itemsize // 4
        width = min(PRODUCTS // (share * len(places)), NUMBERS // (share * self.items.dims))
        width = max(width, NARROW)
        local = threading.local()

        def multiply(cut):
            piece = self.items.piece(*cut)
            if piece is None:
                return
            if len(piece.rows) > getattr(local, "size", 0):
                local.size = len(piece.rows)
                local.buffer = np.empty((local.size, len(places)), dtype)
            products = local.buffer[: len(piece.rows)]
            np.matmul(piece.vectors.astype(dtype, copy=False), queries, out=products)
            if piece.hidden is not None:
                products[piece.hidden] = OUTSIDE
            best.add(products, piece.rows)

        cuts = self.items.cuts(width)
        in_threads(multiply, cuts, min(self.threads, len(cuts)))
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
