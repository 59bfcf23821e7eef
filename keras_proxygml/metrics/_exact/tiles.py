"""Counts what is ahead of each match, tile by tile of the similarity matrix."""

import threading

import numpy as np

from keras_proxygml.metrics._exact.block_counts import BlockCounts
from keras_proxygml.metrics._exact.grid import LEVEL, OUTSIDE, Labeled, rounding_slack
from keras_proxygml.metrics._exact.matches import key, level_of, per_query

STRIP = 2**18  # similarities compared at a time: about what fits the cache of a core
LISTED = 2**17  # candidates counted at a time
# If more than this share of a tile is undecided, computing all of it in float64 costs less than
# computing these pairs one by one.
UNDECIDED = 1 / 64


class Tiles:
    """Counts on tiles of a matrix of similarities; if it is symmetric, a tile serves both sides.

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
        """How many pairs all tiles hold."""
        if not len(self.matches.keys):
            return 0
        return sum(self._pairs(task) for task in self.tasks())

    def _pairs(self, task):
        rows, columns = (self._last(axis, first) - first for axis, first in enumerate(task))
        return rows * columns

    def _last(self, axis, first):
        """The end of a block of rows (axis 0) or columns (axis 1)."""
        return min(first + self.block, len(self.vectors[axis]))

    def prune_early(self, first, size=512):
        """Prunes the matches of a block that a sample of the gallery suffices to rule out."""
        queries, items = self.vectors
        last = self._last(0, first)
        places = np.unique(np.linspace(0, len(items) - 1, size).astype("int64"))
        levels = queries[first:last] @ items[places].T
        levels[queries.classes[first:last, None] == items.classes[places]] = OUTSIDE
        levels.sort(axis=1)
        levels = (levels[:, ::-1] * LEVEL).astype("int64")
        keys = key(np.arange(last - first)[:, None], levels)
        matches = self.matches.keys[self.matches.span(first, last)]
        total = np.searchsorted(keys.ravel(), matches - int(self.slack * LEVEL) - 2, "right")
        counts = np.diff(self.matches.start[first : last + 1])
        total -= np.repeat(np.arange(last - first), counts) * len(places)
        self.matches.prune(first, last, total)

    def count(self, task):
        """Counts one tile; returns how many pairs it holds."""
        # A tile on the diagonal of a symmetric matrix has the same queries on both sides.
        sides = task if self.symmetric and task[0] != task[1] else task[:1]
        blocks = [(first, self._last(axis, first), axis) for axis, first in enumerate(sides)]
        start = self.matches.start
        blocks = [block for block in blocks if start[block[0]] < start[block[1]]]
        if blocks:
            counts = self._count(task, blocks)
            with self._lock:
                for block in counts:
                    self.matches.add(block.first, block.last, block.ahead)
        return self._pairs(task)

    def _count(self, task, blocks):
        """A `BlockCounts` of each block, which is a first and a last query and an axis."""
        tile = _Tile(*(self._part(axis, first) for axis, first in enumerate(task)))
        counts = [BlockCounts(self.matches, *block, self.slack) for block in blocks]
        if not _count_strips(tile.close_strips(self._buffer()), counts, UNDECIDED * tile.size):
            counts = [BlockCounts(self.matches, *block, 0.0) for block in blocks]
            _count_strips(tile.exact_strips(), counts, np.inf)
        for block in counts:
            block.settle(tile.left.vectors, tile.right.vectors)
        return counts

    def _part(self, axis, first):
        """Rows (axis 0) or columns (axis 1) of a tile."""
        vectors, places = self.vectors[axis], slice(first, first + self.block)
        return Labeled(vectors[places], vectors.classes[places])

    def _buffer(self):
        """A tile's memory, one for each thread."""
        if not hasattr(self._local, "buffer"):
            self._local.buffer = np.empty(self.block**2, "float32")
        return self._local.buffer

    def write_results(self, first, result):
        """Writes what `per_query` returns for a block, and the cosines of the first matches."""
        last = self._last(0, first)
        matches = self.matches
        start = matches.start[first : last + 1] - matches.start[first]
        ahead, active = matches.total_ahead(first, last), matches.active[first:last]
        some = np.flatnonzero(np.diff(start))
        result[:3, first + some] = per_query(start, ahead, active)[:, some]
        result[3, first + some] = level_of(matches.keys[matches.start[first + some]]) / LEVEL


class _Tile:
    """The similarities of one tile, strip by strip; pairs of one class are OUTSIDE.

    Args:
        left, right: `Labeled` unit vectors of the rows and of the columns, sorted by class.
    """

    def __init__(self, left, right):
        self.left, self.right = left, right
        self.shape = rows, columns = len(left.vectors), len(right.vectors)
        self.size = rows * columns
        height = max(1, STRIP // columns)
        self._strips = [slice(i, i + height) for i in range(0, rows, height)]

    def close_strips(self, buffer):
        """Yields the rows of each strip, a slice, and their similarities in float32."""
        tile = buffer[: self.size].reshape(self.shape)
        np.matmul(self.left.vectors, self.right.vectors.T, out=tile)
        for rows in self._strips:
            yield rows, self._hide_own_class(tile[rows], rows)

    def exact_strips(self):
        """Yields the rows of each strip, a slice, and their similarities in float64."""
        columns = self.right.vectors.astype("float64").T
        for rows in self._strips:
            values = self.left.vectors[rows].astype("float64") @ columns
            yield rows, self._hide_own_class(values, rows)

    def _hide_own_class(self, values, strip):
        classes = self.left.classes[strip], self.right.classes
        if classes[0][0] <= classes[1][-1] and classes[1][0] <= classes[0][-1]:
            for c in np.intersect1d(*classes):
                # Classes are sorted, so the pairs of one class form a rectangle.
                rows, columns = (slice(*np.searchsorted(x, [c, c + 1])) for x in classes)
                values[rows, columns] = OUTSIDE
        return values


def _count_strips(strips, counts, limit):
    """Counts strips for some `BlockCounts`; stops and returns false if too much is undecided."""
    waiting = [[] for _ in counts]
    for rows, values in strips:
        for block, found in zip(counts, waiting, strict=True):
            found.append(block.find_candidates(values, rows))
            if sum(len(f[0]) for f in found) > LISTED:
                block.count_candidates(*map(np.concatenate, zip(*found, strict=True)))
                found.clear()
            if block.num_undecided() > limit:
                return False
    for block, found in zip(counts, waiting, strict=True):
        if found:
            block.count_candidates(*map(np.concatenate, zip(*found, strict=True)))
    return all(block.num_undecided() <= limit for block in counts)
