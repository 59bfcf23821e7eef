"""The similarities of all pairs: of one class (genuine), and of two classes (impostors).

All products are computed in float64, where vectors on the grid have exact ones.
"""

import threading

import numpy as np

from keras_proxygml.metrics._exact.grid import LEVEL, OUTSIDE, exact_levels
from keras_proxygml.metrics._exact.threads import in_threads

STRIP = 2**18  # genuine pairs multiplied at a time


class Pairs:
    """All pairs of a query and an item, or all pairs of items if there is no gallery.

    Args:
        rows: `UnitVectors` of the queries.
        columns: Those of the gallery. The same object if the gallery is the queries: each pair of
            two items then counts once.
        itself: Place of each query among the items, with which it makes no pair; -1 for none.
            `[Q]`, or None if there is none.
        edge: Rows and columns of a tile.
        threads: How many threads to work with.

    Attributes:
        genuine: How many pairs are of one class.
        impostors: How many are not.
    """

    def __init__(self, rows, columns, itself, edge, threads):
        self.rows, self.columns, self.itself = rows, columns, itself
        self.edge, self.threads = edge, threads
        self.symmetric = rows is columns
        first, last = columns.members(rows.classes)
        same = int((last - first).sum())
        total = len(rows) * len(columns)
        if self.symmetric:
            same, total = (same - len(rows)) // 2, (total - len(rows)) // 2
        hidden = 0 if itself is None or self.symmetric else np.count_nonzero(itself >= 0)
        self.genuine, self.impostors = same - hidden, total - same

    def each_genuine(self, function):
        """Calls a function, in threads, with the similarities of genuine pairs, part by part."""
        in_threads(lambda task: function(self._genuine(*task)), self._strips(), self.threads)

    def each_impostor(self, function):
        """Calls a function, in threads, with those of impostors, tile by tile."""
        local = threading.local()

        def count(task):
            if not hasattr(local, "buffer"):
                local.buffer = np.empty(self.edge**2)
            values = self._impostors(*task, local.buffer)
            if len(values):
                function(values)

        in_threads(count, self._tiles(), self.threads)

    def sample_impostors(self, number, seed=0):
        """Similarities of random impostor pairs, drawn with replacement. At most `number`."""
        rng = np.random.default_rng(seed)
        found = []
        for _ in range(8):
            row = rng.integers(len(self.rows), size=number)
            column = rng.integers(len(self.columns), size=number)
            kept = self.rows.classes[row] != self.columns.classes[column]
            row, column = row[kept], column[kept]
            for i in range(0, len(row), 4096):
                left, right = self.rows[row[i : i + 4096]], self.columns[column[i : i + 4096]]
                place = np.arange(len(left))
                found.append(exact_levels(left, right, place, place) / LEVEL)
            if sum(map(len, found)) >= number:
                break
        return np.concatenate([np.zeros(0), *found])[:number]

    def _strips(self):
        """First and last row of each strip of genuine pairs, and those of its columns."""
        classes, first = np.unique(self.rows.classes, return_index=True)
        for begin, end, start, stop in zip(
            first, [*first[1:], len(self.rows)], *self.columns.members(classes), strict=True
        ):
            height = max(1, STRIP // max(1, stop - start))
            for i in range(begin, end, height):
                yield i, min(i + height, end), start, stop

    def _genuine(self, begin, end, start, stop):
        if self.symmetric:  # pairs with earlier rows belong to other strips
            start = begin
        left, right = self.rows[begin:end], self.columns[start:stop]
        values = left.astype("float64") @ right.astype("float64").T
        if self.symmetric:
            values[np.tri(*values.shape, dtype=bool)] = OUTSIDE
        elif self.itself is not None:
            own = self.itself[begin:end]
            some = np.flatnonzero(own >= 0)
            values[some, own[some] - start] = OUTSIDE
        return values[values > OUTSIDE]

    def _tiles(self):
        for row in range(0, len(self.rows), self.edge):
            start = row if self.symmetric else 0
            for column in range(start, len(self.columns), self.edge):
                yield row, column

    def _impostors(self, row, column, buffer):
        sides = slice(row, row + self.edge), slice(column, column + self.edge)
        left, right = self.rows[sides[0]], self.columns[sides[1]]
        values = buffer[: len(left) * len(right)].reshape(len(left), len(right))
        np.matmul(left.astype("float64"), right.astype("float64").T, out=values)
        classes = self.rows.classes[sides[0]], self.columns.classes[sides[1]]
        common = np.intersect1d(*classes)
        for c in common:
            # Classes are sorted, so the pairs of one class form a rectangle.
            rectangle = tuple(slice(*np.searchsorted(x, [c, c + 1])) for x in classes)
            values[rectangle] = OUTSIDE
        hidden = len(common) or (self.symmetric and row == column)
        if self.symmetric and row == column:
            values[np.tri(len(left), dtype=bool)] = OUTSIDE
        return values[values > OUTSIDE] if hidden else values.reshape(-1)
