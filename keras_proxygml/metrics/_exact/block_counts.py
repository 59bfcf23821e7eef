"""How many items of a tile are ahead of each match of a block of queries."""

import numpy as np

from keras_proxygml.metrics._exact.grid import LEVEL, exact_levels
from keras_proxygml.metrics._exact.matches import key, level_of

# If more than this share of the pairs are candidates, counting in whole rows those that are ahead
# of every match costs less than looking up each.
MANY = 1 / 64


class BlockCounts:
    """Counts what a tile holds ahead of the matches of one block of queries.

    Args:
        matches: The `Matches` of all queries.
        first, last: The block.
        axis: Whether the queries are the rows (0) or the columns (1) of the tile.
        slack: How far the tile's similarities may be from the exact ones; 0 if they are exact.

    Attributes:
        first, last: The block.
        ahead: How many others were found, as in `Matches.ahead`. `[matches]` of the block.
        undecided: Rows and columns of the pairs that the slack leaves undecided, a list.
    """

    def __init__(self, matches, first, last, axis, slack):
        self.first, self.last, self.axis = first, last, axis
        span = matches.span(first, last)
        self.keys = matches.keys[span]
        self.start = matches.start[first:last] - span.start
        self.has_match = matches.start[first + 1 : last + 1] > matches.start[first:last]
        # The rank of the first match is always needed.
        self.active = np.maximum(matches.active[first:last], self.has_match)
        self.ahead = np.zeros(len(self.keys), "int64")
        self.undecided = []
        self.slack = int(np.ceil(slack * LEVEL)) + (slack > 0)
        self.lowest = self._bound(self.start + self.active - 1, -slack)
        self.highest = self._bound(self.start, slack)

    def _bound(self, match, slack):
        """Similarity of one match of each query plus slack, shaped to compare with a tile."""
        bound = np.full(len(match), np.inf)
        bound[self.has_match] = level_of(self.keys[match[self.has_match]]) / LEVEL + slack
        if slack:  # float32 is compared faster; round away from the match
            bound = np.nextafter(bound.astype("float32"), np.float32(np.copysign(np.inf, slack)))
        return bound if self.axis else bound[:, None]

    def find_candidates(self, values, rows):
        """Lists the pairs that may be ahead of some match.

        If they are many, those that are ahead of every match are counted at once instead.

        Args:
            values: Similarities of some rows of the tile. `[rows, columns]`.
            rows: Slice of these rows.

        Returns:
            Rows, columns and levels of the candidates.
        """
        within = slice(None) if self.axis else rows
        reached = values >= self.lowest[within]
        if np.count_nonzero(reached) > MANY * values.size:
            ahead = values >= self.highest[within]
            reached ^= ahead
            has_match = self.has_match[within]
            first = self.start[within][has_match]
            self.ahead[first] += np.count_nonzero(ahead, axis=1 - self.axis)[has_match]
        at = np.flatnonzero(reached)
        row, column = np.divmod(at, values.shape[1])
        return row + rows.start, column, (values.ravel()[at] * LEVEL).astype("int64")

    def count_candidates(self, row, column, level):
        """Counts candidates, and sets aside those that the slack leaves undecided."""
        query = column if self.axis else row
        above = np.searchsorted(self.keys, key(query, level - self.slack)) - self.start[query]
        above = np.minimum(above, self.active[query])
        if self.slack:
            match = self.start[query] + np.maximum(above, 1) - 1
            near = (above > 0) & (level_of(self.keys[match]) <= level + self.slack)
            self.undecided.append((row[near], column[near]))
            query, above = query[~near], above[~near]
        # `above` matches are more similar, so the candidate is ahead of the next one, if any.
        match = (self.start[query] + above)[above < self.active[query]]
        self.ahead += np.bincount(match, minlength=len(self.ahead))

    def num_undecided(self):
        """How many pairs were set aside."""
        return sum(len(rows) for rows, _ in self.undecided)

    def settle(self, rows, columns):
        """Counts the undecided pairs by exact similarities of the tile's unit vectors."""
        self.slack = 0
        for row, column in self.undecided:
            self.count_candidates(row, column, exact_levels(rows, columns, row, column))
