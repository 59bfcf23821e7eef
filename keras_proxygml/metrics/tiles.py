"""Counts what is ahead of each match, tile by tile of the similarity matrix."""

import threading

import numpy as np

from keras_proxygml.metrics.matches import key, level_of, summary
from keras_proxygml.metrics.vectors import LEVEL, exact_levels, rounding_slack

OUTSIDE = -2.0  # below every similarity: a pair of one class, whose similarity is known already
STRIP = 2**18  # similarities looked at in one go: as many as a core's cache holds
LISTED = 2**17  # candidates looked at in one go
# From these shares of the pairs on, counting whole rows costs less than listing candidates, and
# computing all pairs in float64 less than computing the undecided ones.
MANY = 1 / 64
UNDECIDED = 1 / 64


class Side:
    """What a block of queries looks for in a tile, and what the tile holds ahead of its matches.

    Args:
        matches: The `Matches` of all queries.
        first, last: The block.
        axis: Whether the queries are the rows (0) or the columns (1) of the tile.
    """

    def __init__(self, matches, first, last, axis):
        self.first, self.last, self.axis = first, last, axis
        entries = matches.entries(first, last)
        self.keys = matches.keys[entries]
        self.start = matches.start[first:last] - entries.start
        self.some = matches.start[first + 1 : last + 1] > matches.start[first:last]
        self.live = np.maximum(matches.live[first:last], self.some)

    def restart(self, slack):
        """Counts from nothing, with similarities that are known to within slack."""
        self.ahead = np.zeros(len(self.keys), "int64")
        self.undecided = []
        self.slack = int(np.ceil(slack * LEVEL)) + (slack > 0)
        self.lowest = self._bound(self.start + self.live - 1, -slack)
        self.nearest = self._bound(self.start, slack)

    def _bound(self, entries, slack):
        bound = np.full(len(entries), np.inf)
        bound[self.some] = level_of(self.keys[entries[self.some]]) / LEVEL + slack
        if slack:  # as float32 is compared faster; rounded away from the match
            bound = np.nextafter(bound.astype("float32"), np.float32(np.copysign(np.inf, slack)))
        return bound if self.axis else bound[:, None]

    def look(self, values, rows):
        """Counts in a strip what is ahead of every match, and lists what may be ahead of some.

        Args:
            values: The strip's similarities. `[rows, columns]`.
            rows: Slice of the tile's rows.

        Returns:
            Rows, columns and levels of the candidates.
        """
        within = slice(None) if self.axis else rows
        reached = values >= self.lowest[within]
        if np.count_nonzero(reached) > MANY * values.size:
            ahead = values >= self.nearest[within]
            reached ^= ahead
            some = self.some[within]
            first = self.start[within][some]
            self.ahead[first] += np.count_nonzero(ahead, axis=1 - self.axis)[some]
        at = np.flatnonzero(reached)
        row, column = np.divmod(at, values.shape[1])
        return row + rows.start, column, (values.ravel()[at] * LEVEL).astype("int64")

    def count(self, row, column, level):
        """Counts candidates where they belong; sets aside those that slack leaves undecided."""
        query = column if self.axis else row
        above = np.searchsorted(self.keys, key(query, level - self.slack)) - self.start[query]
        above = np.minimum(above, self.live[query])
        if self.slack:
            entry = self.start[query] + np.maximum(above, 1) - 1
            near = (above > 0) & (level_of(self.keys[entry]) <= level + self.slack)
            self.undecided.append((row[near], column[near]))
            query, above = query[~near], above[~near]
        entry = (self.start[query] + above)[above < self.live[query]]
        self.ahead += np.bincount(entry, minlength=len(self.ahead))

    def decide(self, vectors):
        """Counts what was set aside, by exact similarities."""
        self.slack = 0
        for row, column in self.undecided:
            self.count(row, column, exact_levels(*vectors, row, column))


class Tiles:
    """Counts on tiles of a matrix of similarities; where it is symmetric, a tile serves both sides.

    Args:
        queries: `UnitVectors` of the queries: the rows.
        items: Those of the gallery: the columns. The same object if the gallery is the queries.
        matches: The `Matches` of the queries; its block is the edge of a tile.
    """

    def __init__(self, queries, items, matches):
        self.vectors, self.matches, self.block = (queries, items), matches, matches.block
        self.symmetric = queries is items
        self.slack = rounding_slack(queries.dims)
        self._lock = threading.Lock()
        self._local = threading.local()

    def blocks(self):
        """First query of each block."""
        return range(0, len(self.vectors[0]), self.block)

    def tasks(self):
        """First row and column of each tile."""
        for row in self.blocks():
            start = row if self.symmetric else 0
            for column in range(start, len(self.vectors[1]), self.block):
                yield row, column

    def work(self):
        """How many pairs there are to look at."""
        if not len(self.matches.keys):
            return 0
        return sum(self._pairs(task) for task in self.tasks())

    def _pairs(self, task):
        rows, columns = (
            min(self.block, len(v) - i) for v, i in zip(self.vectors, task, strict=True)
        )
        return rows * columns

    def give_up_early(self, first, size=512):
        """Gives up the matches of a block of queries that a sample of the gallery rules out."""
        queries, items = self.vectors
        last = min(first + self.block, len(queries))
        places = np.unique(np.linspace(0, len(items) - 1, size).astype("int64"))
        levels = queries[first:last] @ items[places].T
        levels[queries.classes[first:last, None] == items.classes[places]] = OUTSIDE
        levels.sort(axis=1)
        levels = (levels[:, ::-1] * LEVEL).astype("int64")
        keys = key(np.arange(last - first)[:, None], levels)
        matches = self.matches.keys[self.matches.entries(first, last)]
        total = np.searchsorted(keys.ravel(), matches - int(self.slack * LEVEL) - 2, "right")
        counts = np.diff(self.matches.start[first : last + 1])
        total -= np.repeat(np.arange(last - first), counts) * len(places)
        self.matches.give_up(first, last, total)

    def count(self, task):
        """Counts one tile; returns how many pairs it holds."""
        starts = task if self.symmetric and task[0] != task[1] else task[:1]
        sides = []
        for axis, first in enumerate(starts):
            last = min(first + self.block, len(self.vectors[axis]))
            sides.append(Side(self.matches, first, last, axis))
        sides = [side for side in sides if len(side.keys)]
        if not sides:
            return self._pairs(task)
        if not hasattr(self._local, "buffer"):
            self._local.buffer = np.empty(self.block**2, "float32")
        _count(self.vectors, task, self.block, sides, self.slack, self._local.buffer)
        with self._lock:
            for side in sides:
                self.matches.add(side.first, side.last, side.ahead)
        return self._pairs(task)

    def summarize(self, first, result):
        """Puts the `summary` of each query of a block, and its first match's cosine, in place."""
        last = min(first + self.block, len(self.vectors[0]))
        matches = self.matches
        start = matches.start[first : last + 1] - matches.start[first]
        ahead, live = matches.total_ahead(first, last), matches.live[first:last]
        some = np.flatnonzero(np.diff(start))
        result[:3, first + some] = summary(start, ahead, live)[:, some]
        result[3, first + some] = level_of(matches.keys[matches.start[first + some]]) / LEVEL


def _count(vectors, task, block, sides, slack, buffer):
    places = [slice(first, first + block) for first in task]
    classes = [v.classes[p] for v, p in zip(vectors, places, strict=True)]
    vectors = [v[p] for v, p in zip(vectors, places, strict=True)]
    rows, columns = map(len, vectors)
    tile = buffer[: rows * columns].reshape(rows, columns)
    np.matmul(vectors[0], vectors[1].T, out=tile)
    height = max(1, STRIP // columns)
    strips = [slice(i, min(i + height, rows)) for i in range(0, rows, height)]
    close = ((s, _blank(tile[s], classes[0][s], classes[1])) for s in strips)
    if not _scan(close, sides, slack, UNDECIDED * tile.size):
        wide = vectors[1].astype("float64").T
        exact = (
            (s, _blank(vectors[0][s].astype("float64") @ wide, classes[0][s], classes[1]))
            for s in strips
        )
        _scan(exact, sides, 0.0, np.inf)
    for side in sides:
        side.decide(vectors)


def _scan(strips, sides, slack, limit):
    """Counts strips for the sides. Ends early, and false, where too much is left undecided."""
    for side in sides:
        side.restart(slack)
    waiting = [[] for _ in sides]
    for rows, values in strips:
        for side, found in zip(sides, waiting, strict=True):
            found.append(side.look(values, rows))
            if sum(len(f[0]) for f in found) > LISTED:
                side.count(*map(np.concatenate, zip(*found, strict=True)))
                found.clear()
            if sum(len(u[0]) for u in side.undecided) > limit:
                return False
    for side, found in zip(sides, waiting, strict=True):
        if found:
            side.count(*map(np.concatenate, zip(*found, strict=True)))
    return all(sum(len(u[0]) for u in side.undecided) <= limit for side in sides)


def _blank(values, row_classes, column_classes):
    """Sets pairs of one class to OUTSIDE: rectangles, as classes are sorted."""
    if row_classes[0] <= column_classes[-1] and column_classes[0] <= row_classes[-1]:
        for c in np.intersect1d(row_classes, column_classes):
            rows, columns = (
                slice(*np.searchsorted(x, [c, c + 1])) for x in (row_classes, column_classes)
            )
            values[rows, columns] = OUTSIDE
    return values
