"""The best item of each query's own class, and the best of any other class, exactly."""

import numpy as np

from keras_proxygml.metrics._exact.grid import LEVEL, OUTSIDE, exact_levels, rounding_slack
from keras_proxygml.metrics._exact.threads import cores, in_threads, single_blas

HEIGHT, WIDTH = 256, 4096  # queries and items multiplied at a time
MANY = 1 / 64  # with more candidates than this share of a tile, all of it is computed in float64


def best_of_classes(queries, classes, segments, item_classes, own=None):
    """Finds the most similar item of each query's own class and of any other class.

    Memory beside the arguments is that of one tile for each core.

    Args:
        queries: Unit vectors on the grid. `[Q, D]`, float32.
        classes: Class number of each query; -1 stands for a class that no item has. `[Q]`.
        segments: Arrays or memory maps of unit vectors on the grid, `[n, D]` each, whose rows are
            numbered through. A list.
        item_classes: Class number of each of these rows; -1 leaves the row out. `[M]`.
        own: Row of each query among the items, which it does not find; -1 for none. `[Q]`, or
            None.

    Returns:
        Similarities of the best items of the own class and of other classes, `[2, Q]`, float64,
        -inf where there is none; and their rows, `[2, Q]`, int64, -1 where there is none. Of equal
        items, the first counts.
    """
    levels = np.full((2, len(queries)), -np.inf)
    rows = np.full((2, len(queries)), -1, "int64")
    own = np.full(len(queries), -1) if own is None else own

    def search(first):
        some = slice(first, first + HEIGHT)
        block = _Block(queries[some], classes[some], own[some], levels[:, some], rows[:, some])
        for start, vectors in _parts(segments):
            block.see(start, vectors, item_classes[start : start + len(vectors)])

    with single_blas():
        in_threads(search, range(0, len(queries), HEIGHT), cores())
    return levels / LEVEL, rows


def _parts(segments):
    """The first row of each part, and its vectors."""
    start = 0
    for segment in segments:
        for i in range(0, len(segment), WIDTH):
            yield start + i, np.asarray(segment[i : i + WIDTH])
        start += len(segment)


class _Block:
    """What a block of queries has found so far; `levels` and `rows` are views `[2, n]`."""

    def __init__(self, vectors, classes, own, levels, rows):
        self.vectors, self.classes, self.own = vectors, classes, own
        self.levels, self.rows = levels, rows
        self.slack = rounding_slack(vectors.shape[1])

    def see(self, start, items, item_classes):
        """Compares the queries with some items, the first of which has the row `start`."""
        values = self.vectors @ items.T
        is_own = self.classes[:, None] == item_classes
        hidden = np.zeros_like(is_own)
        hidden[:, item_classes < 0] = True
        inside = np.flatnonzero((self.own >= start) & (self.own < start + len(items)))
        hidden[inside, self.own[inside] - start] = True
        for side, allowed in enumerate((is_own, ~is_own)):
            allowed &= ~hidden
            if allowed.any():
                self._improve(side, start, items, values, allowed)

    def _improve(self, side, start, items, values, allowed):
        values = np.where(allowed, values, np.float32(OUTSIDE))
        # Each product is within the slack of the exact similarity, and so is the greatest of them.
        found = self.levels[side] / LEVEL
        bound = np.maximum(values.max(axis=1) - 2 * self.slack, found - self.slack)
        bound = np.nextafter(bound.astype("float32"), np.float32(OUTSIDE))
        bound = np.maximum(bound, np.float32(OUTSIDE + 0.5))  # keeps out the pairs not allowed
        query, column = np.nonzero(values >= bound[:, None])
        if len(query) > MANY * values.size:
            exact = self.vectors.astype("float64") @ items.astype("float64").T * LEVEL
            levels = exact[query, column]
        else:
            levels = exact_levels(self.vectors, items, query, column).astype("float64")
        # The best of each query first, and of equal ones the first row.
        order = np.lexsort((column, -levels, query))
        order = order[np.diff(query[order], prepend=-1) > 0]
        query, column, levels = query[order], column[order], levels[order]
        better = levels > self.levels[side, query]
        query = query[better]
        self.levels[side, query] = levels[better]
        self.rows[side, query] = start + column[better]
