"""Unit vectors in several arrays, read as one: the segments of a gallery."""

from typing import NamedTuple

import numpy as np


class Piece(NamedTuple):
    """Some items that are multiplied at once.

    Attributes:
        vectors: Unit vectors. `[w, D]`.
        rows: Row of each among all items. `[w]`.
        hidden: Which of them must not be found, `[w]`, or None.
    """

    vectors: np.ndarray
    rows: np.ndarray
    hidden: np.ndarray | None


class Items:
    """Unit vectors in segments, whose rows are numbered through.

    A memory map is read piece by piece and never copied as a whole.

    Args:
        segments: Arrays or memory maps. `[n, D]` each, float32.
        allowed: Which rows may be found. `[rows]`, bool, or None for all.

    Attributes:
        dims: D.
        available: How many rows may be found.
    """

    def __init__(self, segments, allowed=None):
        # np.asarray makes plain arrays of memory maps, without a copy: slices of them cost less.
        self._segments = [np.asarray(segment) for segment in segments if len(segment)]
        self._starts = np.cumsum([0, *map(len, self._segments)])
        self._allowed = allowed
        self.dims = self._segments[0].shape[1] if self._segments else 0
        self.available = len(self) if allowed is None else int(np.count_nonzero(allowed))

    def __len__(self):
        return int(self._starts[-1])

    @property
    def shape(self):
        return len(self), self.dims

    def __getitem__(self, rows):
        """The vectors of some rows. `[n]` → `[n, D]`."""
        if len(self._segments) == 1:
            return self._segments[0][rows]
        found = np.empty((len(rows), self.dims), self._segments[0].dtype)
        segment = np.searchsorted(self._starts, rows, "right") - 1
        for i in np.unique(segment):
            some = segment == i
            found[some] = self._segments[i][rows[some] - self._starts[i]]
        return found

    def cuts(self, width):
        """First row, and row after the last, of pieces of about `width` rows that are allowed."""
        edges = np.append(np.arange(0, len(self), width), len(self))
        if self._allowed is not None:
            before = np.add.reduceat(self._allowed, edges[:-1], dtype="int64")
            group = np.cumsum(before) // width
            edges = edges[np.append(True, np.append(group[1:] != group[:-1], True))]
        return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))

    def piece(self, first, last):
        """The piece of a cut; None if it has no row that is allowed."""
        rows = np.arange(first, last)
        if self._allowed is None:
            return Piece(self._between(first, last), rows, None)
        allowed = self._allowed[first:last]
        count = np.count_nonzero(allowed)
        if count > (last - first) // 2:
            hidden = None if count == last - first else ~allowed
            return Piece(self._between(first, last), rows, hidden)
        rows = rows[allowed]
        return Piece(self[rows], rows, None) if count else None

    def _between(self, first, last):
        """The vectors of neighboring rows: a view if they are in one segment, else a copy."""
        begin = np.searchsorted(self._starts, first, "right") - 1
        end = np.searchsorted(self._starts, last, "left")
        parts = [
            segment[max(first - start, 0) : last - start]
            for segment, start in zip(
                self._segments[begin:end], self._starts[begin:end].tolist(), strict=True
            )
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
