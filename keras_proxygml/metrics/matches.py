"""The own-class items of queries, and how many items of other classes come before them."""

import numpy as np

from keras_proxygml.metrics.threads import in_threads
from keras_proxygml.metrics.vectors import LEVEL

OUTSIDE = -2 * int(LEVEL)  # below every level

# A key sorts the matches of a block of queries: by the query's place in the block, then from high
# to low level. Levels lie within ±2**48 and a hair, so 50 bits hold one.
_BITS = 50
_MIDDLE = 1 << (_BITS - 1)


def key(place, level):
    """The key of a level for the query at a place of a block."""
    return (place << _BITS) + (_MIDDLE - level)


def level_of(keys):
    """The level of a key."""
    return _MIDDLE - (keys & ((1 << _BITS) - 1))


class Matches:
    """The matches of queries sorted by class: ragged arrays, the entries of one query in a row.

    A query's matches are the gallery items of its class, the most similar first; R is their
    number. A match is live while it may be among the R nearest. What else comes before a match
    that is not live matters to no metric, save for the first match, whose rank is wanted anyhow.

    Args:
        counts: R of each query; 0 also for a query that is not to be counted here. `[Q]`.
        block: Queries per block.

    Attributes:
        start: The entries of query q are `start[q]` to `start[q + 1]`. `[Q + 1]`.
        keys: How similar each match is, as a key. `[entries]`, int64.
        ahead: How many others are at least as similar as this match, but less similar than the
            one before it. `[entries]`.
        live: How many matches are live: the first so many. `[Q]`.
    """

    def __init__(self, counts, block):
        self.block = block
        self.start = np.concatenate([[0], np.cumsum(counts)])
        self.keys = np.empty(self.start[-1], "int64")
        self.ahead = np.zeros(self.start[-1], "int32")
        self.live = np.array(counts)

    def entries(self, first, last):
        """Slice of the entries of a run of queries."""
        return slice(self.start[first], self.start[last])

    def add(self, first, last, ahead):
        """Adds what a tile found ahead of the matches of a run of queries."""
        self.ahead[self.entries(first, last)] += ahead.astype("int32")
        self.give_up(first, last, self.total_ahead(first, last))

    def total_ahead(self, first, last):
        """How many others were found ahead of each match in all."""
        start = self.start[first : last + 1] - self.start[first]
        total = np.cumsum(self.ahead[self.entries(first, last)], dtype="int64")
        before = np.concatenate([[0], total])[start[:-1]]
        return total - np.repeat(before, np.diff(start))

    def give_up(self, first, last, total):
        """Ends the life of matches with too many ahead: the j-th of R can bear R - j."""
        start = self.start[first : last + 1] - self.start[first]
        bearable = np.repeat(start[1:], np.diff(start)) - np.arange(1, len(total) + 1)
        alive = np.concatenate([[0], np.cumsum(total <= bearable)])
        live = self.live[first:last]
        np.minimum(live, alive[start[1:]] - alive[start[:-1]], out=live)


def set_keys(matches, queries, items, itself=None, threads=1):
    """Computes how similar the matches are, exactly.

    Args:
        matches: The `Matches` of the queries.
        queries: Their `UnitVectors`.
        items: The gallery's.
        itself: Place of each query among the items, which it does not match; -1 for none. `[Q]`, or
            None if all are.
        threads: How many to work with.
    """
    counts = np.diff(matches.start)

    def fill(task):
        rows, columns = task
        levels = _levels(queries, rows, items, columns)
        if itself is not None:
            own = itself[rows] - columns[:, :1]  # a query is of its own class
            class_, row = np.nonzero(own >= 0)
            levels[class_, row, own[class_, row]] = OUTSIDE
        some = counts[rows]
        levels = -np.sort(-levels, axis=-1)[..., : some.max()]
        place = np.arange(levels.shape[-1])
        entries = matches.start[rows][..., None] + place
        keys = key((rows % matches.block)[..., None], levels)
        # Queries of one class have different numbers of matches where some are in the gallery.
        kept = ... if some.min() == some.max() else place < some[..., None]
        matches.keys[entries[kept]] = keys[kept]

    in_threads(fill, _own_classes(counts, queries, items), threads)


def _own_classes(counts, queries, items, numbers=2**19):
    """Places of queries `[G, r]` and of all items `[G, c]` of each one's class, G classes at once.

    Classes of equal size go together, and about `numbers` numbers at a time.
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


def summary(start, ahead, live):
    """What the metrics need to know of each query.

    Args:
        start: Where each query's entries start, and the last end. `[Q + 1]`.
        ahead: How many others are ahead of each match in all; of the first, and of those that
            are live, all of them. `[entries]`.
        live: `[Q]`.

    Returns:
        Rank of the first match (0 without a match), R-precision and average precision at R
        (NaN without), `[3, Q]`.
    """
    counts = np.diff(start)
    query = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(1, len(query) + 1) - start[query]
    rank = place + ahead
    within = (place <= live[query]) & (rank <= counts[query])
    result = np.full((3, len(counts)), np.nan)
    result[0] = 0
    some = counts > 0
    result[0, some] = rank[start[:-1][some]]
    # bincount adds in the order of the entries, so that no digit depends on how queries are split
    for row, weights in ((1, within), (2, within * (place / rank))):
        result[row, some] = np.bincount(query, weights, len(counts))[some] / counts[some]
    return result
