"""The nearest few items of each query: exact, in threads, in bounded memory.

A block of queries meets the items piece by piece. float32 products keep a few more candidates than
are asked for, and exact products of the candidates rank them. The products that were dropped are
known to be below a limit. If the slack of float32 leaves open whether a dropped item belongs to the
result, the query is searched again with float64 products, which are exact on the grid.
"""

import numpy as np

from keras_proxygml.metrics._exact.grid import (
    LEVEL,
    exact_levels,
    rounding_slack,
    unit_vectors,
)
from keras_proxygml.metrics._exact.items import Items
from keras_proxygml.metrics._exact.scan import scan
from keras_proxygml.metrics._exact.threads import cores, in_threads, single_blas

HEIGHT = 256  # queries multiplied at a time
KEPT = 2**18  # candidates that a thread keeps at a time
SPARE = 8  # items kept beyond k, so that rounding seldom leaves open which are the nearest


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

    def search(block, own, threads):
        return _nearest(block, items, k, own, threads)

    return in_blocks(search, queries, k, own)


def in_blocks(search, queries, k, own=None):
    """Searches for blocks of queries: several at a time, or one at a time in all threads.

    Args:
        search: Takes queries `[n, D]`, their own rows `[n]` or None, and a number of threads, and
            returns rows and levels `[n, m]`, with m up to k.
        queries: `[Q, D]`.
        k: How many items to find.
        own: As in `nearest_rows`.

    Returns:
        As `nearest_rows`.
    """
    rows = np.full((len(queries), k), -1, "int64")
    levels = np.full((len(queries), k), np.nan)
    height = max(1, min(HEIGHT, KEPT // (k + SPARE + 1)))
    blocks = [slice(i, i + height) for i in range(0, len(queries), height)]
    threads = max(1, min(cores(), len(blocks)))

    def fill(some):
        of_some = None if own is None else own[some]
        found, exact = search(queries[some], of_some, cores() // threads)
        rows[some, : found.shape[1]], levels[some, : found.shape[1]] = found, exact

    with single_blas():
        in_threads(fill, blocks, threads)
    return rows, levels / LEVEL


def rank(queries, items, rows, k, own=None, threads=1):
    """The nearest k of some candidates, by exact products.

    Args:
        queries: Unit vectors. `[n, D]`.
        items: `Items` of unit vectors.
        rows: Rows of the candidates, each once; -1 for none. `[n, m]`.
        k: How many to keep.
        own: As in `nearest_rows`.
        threads: How many threads to use.

    Returns:
        Rows and levels, the highest level first, equal ones by row: `[n, min(k, m)]` each. -1 and
        NaN where there is no item.
    """
    levels = np.full(rows.shape, np.nan)
    step = max(1, -(-len(rows) // threads))

    def fill(first):
        some = slice(first, first + step)
        query, place = np.nonzero(rows[some] >= 0)
        found = exact_levels(queries[some], items, query, rows[some][query, place])
        levels[some][query, place] = found

    in_threads(fill, range(0, len(rows), step), threads)
    return _ordered(rows, levels, k, own)


def _ordered(rows, levels, k, own):
    if own is not None:
        levels[rows == own[:, None]] = np.nan  # NaN is sorted to the end
    order = np.lexsort((rows, -levels))[:, :k]
    rows, levels = (np.take_along_axis(x, order, axis=1) for x in (rows, levels))
    rows[np.isnan(levels)] = -1
    return rows, levels


def _nearest(queries, items, k, own, threads):
    """`nearest_rows` for one block of queries: rows and levels, `[n, min(k, available)]` each."""
    k = min(k, items.available)
    if not k:
        return np.zeros((len(queries), 0), "int64"), np.zeros((len(queries), 0))
    least = k + (own is not None)  # the query itself may be found, and is then dropped
    kept = min(least + SPARE, items.available)
    found, products = scan(queries, items, kept, "float32", threads)
    rows, levels = rank(queries, items, found, k, own, threads)
    if kept == items.available:
        return rows, levels
    # What was dropped is less similar than the least kept, except for the rounding of both.
    slack = rounding_slack(items.dims) * LEVEL + 1
    open_ = np.flatnonzero(levels[:, -1] <= products[:, -1].astype("float64") * LEVEL + slack)
    if len(open_):
        found, products = scan(queries[open_], items, least, "float64", threads)
        own = None if own is None else own[open_]
        rows[open_], levels[open_] = _ordered(found, products * LEVEL, k, own)
    return rows, levels
