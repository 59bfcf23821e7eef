"""The own-class items of queries, and how many items of other classes are ahead of them."""

import numpy as np

from keras_proxygml.metrics._exact.grid import LEVEL, OUTSIDE
from keras_proxygml.metrics._exact.threads import in_threads

# A key sorts the matches of a block of queries: by the query's place in the block, then from high
# to low level. Rounding to the grid lets levels exceed ±2**48 a little, so a key has 50 bits for
# one.
_BITS = 50
_MIDDLE = 1 << (_BITS - 1)


def key(place, level):
    """The key of a level for the query at a place of a block."""
    return (place << _BITS) + (_MIDDLE - level)


def level_of(keys):
    """The level of a key."""
    return _MIDDLE - (keys & ((1 << _BITS) - 1))


class Matches:
    """The matches of all queries in flat arrays: query after query, the most similar first.

    Once a match has too many items ahead of it, no metric needs its exact rank, and it is no longer
    active. The first match is the exception: MRR and Recall@K need its rank.

    Args:
        counts: R of each query, in the order of the classes; 0 for a query that is ranked
            elsewhere. `[Q]`.
        block: Queries per block.

    Attributes:
        start: The matches of query q are at `start[q]` to `start[q + 1]`. `[Q + 1]`.
        keys: How similar each match is, as a key. `[matches]`, int64.
        ahead: How many items of other classes lie between the previous match and this one. A tie
            with this match lies before it. `total_ahead` sums them. `[matches]`.
        active: How many matches of each query are active: the first so many. `[Q]`.
    """

    def __init__(self, counts, block):
        self.block = block
        self.start = np.concatenate([[0], np.cumsum(counts)])
        self.keys = np.empty(self.start[-1], "int64")
        self.ahead = np.zeros(self.start[-1], "int32")
        self.active = np.array(counts)

    def span(self, first, last):
        """Slice of the matches of a run of queries."""
        return slice(self.start[first], self.start[last])

    def add(self, first, last, ahead):
        """Adds how many others a tile holds ahead of the matches of a run of queries."""
        self.ahead[self.span(first, last)] += ahead.astype("int32")
        self.prune(first, last, self.total_ahead(first, last))

    def total_ahead(self, first, last):
        """How many others were found so far ahead of each match of a run of queries."""
        start = self.start[first : last + 1] - self.start[first]
        total = np.cumsum(self.ahead[self.span(first, last)], dtype="int64")
        before = np.concatenate([[0], total])[start[:-1]]
        return total - np.repeat(before, np.diff(start))

    def prune(self, first, last, total):
        """Ends the matches with too many ahead: the j-th of R is not among the R nearest then."""
        start = self.start[first : last + 1] - self.start[first]
        # R - j others may be ahead of the j-th match.
        allowed = np.repeat(start[1:], np.diff(start)) - np.arange(1, len(total) + 1)
        kept = np.concatenate([[0], np.cumsum(total <= allowed)])
        active = self.active[first:last]
        np.minimum(active, kept[start[1:]] - kept[start[:-1]], out=active)


def set_keys(matches, queries, items, itself=None, threads=1):
    """Computes how similar the matches are, exactly.

    Args:
        matches: The `Matches` of the queries.
        queries: Their `UnitVectors`.
        items: The gallery's.
        itself: Place of each query among the items, which it does not match; -1 for none. `[Q]`, or
            None if all are.
        threads: How many threads to work with.
    """
    counts = np.diff(matches.start)

    def fill(task):
        rows, columns = task
        levels = _levels(queries, rows, items, columns)
        if itself is not None:
            own = itself[rows] - columns[:, :1]  # a query is of its own class
            class_, row = np.nonzero(own >= 0)
            levels[class_, row, own[class_, row]] = OUTSIDE * LEVEL
        some = counts[rows]
        levels = -np.sort(-levels, axis=-1)[..., : some.max()]
        place = np.arange(levels.shape[-1])
        targets = matches.start[rows][..., None] + place
        keys = key((rows % matches.block)[..., None], levels)
        # If only some queries of a class are in the gallery, their numbers of matches differ.
        kept = ... if some.min() == some.max() else place < some[..., None]
        matches.keys[targets[kept]] = keys[kept]

    in_threads(fill, _own_classes(counts, queries, items), threads)


def _own_classes(counts, queries, items, numbers=2**19):
    """Places of queries `[G, r]` and of all items `[G, c]` of their class, for G classes at once.

    Classes of equal size go together, in groups that need about `numbers` numbers.
    """
    first = np.flatnonzero(np.diff(queries.classes, prepend=-1))
    first = first[np.maximum.reduceat(counts, first) > 0]
    begins, ends = queries.members(queries.classes[first])
    begin_items, end_items = items.members(queries.classes[first])
    shapes = np.stack([ends - begins, end_items - begin_items], axis=1)
    for number, size in np.unique(shapes, axis=0):
        same = np.flatnonzero((shapes == (number, size)).all(axis=1))
        step = max(1, numbers // ((number + size) * queries.dims + number * size))
        rows = max(1, min(number, numbers // (size + queries.dims)))
        for i in range(0, len(same), step):
            some = same[i : i + step, None]
            for offset in range(0, number, rows):
                places = np.arange(offset, min(offset + rows, number))
                yield begins[some] + places, begin_items[some] + np.arange(size)


def _levels(queries, rows, items, columns):
    """Levels of queries at places `[G, r]` and items at `[G, c]`: `[G, r, c]`."""
    left, right = (
        vectors[places.ravel()].astype("float64").reshape(*places.shape, -1)
        for vectors, places in ((queries, rows), (items, columns))
    )
    return (np.matmul(left, right.swapaxes(1, 2)) * LEVEL).astype("int64")


def per_query(start, ahead, active):
    """The results of each query.

    Args:
        start: Where each query's matches start, and where the last ends. `[Q + 1]`.
        ahead: How many others are ahead of each match; exact for the first match and those that
            are active. `[matches]`.
        active: How many matches of each query are active. `[Q]`.

    Returns:
        Rank of the first match (0 without a match), R-precision and average precision at R
        (NaN without), `[3, Q]`.
    """
    counts = np.diff(start)
    query = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(1, len(query) + 1) - start[query]
    rank = place + ahead
    within = (place <= active[query]) & (rank <= counts[query])
    result = np.full((3, len(counts)), np.nan)
    result[0] = 0
    some = counts > 0
    result[0, some] = rank[start[:-1][some]]
    # bincount adds in the order of the matches, so no digit depends on how queries are split.
    for row, weights in ((1, within), (2, within * (place / rank))):
        result[row, some] = np.bincount(query, weights, len(counts))[some] / counts[some]
    return result
