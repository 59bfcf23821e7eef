"""Ranks the matches of queries of large classes: by whole rows of similarities, sorted."""

import numpy as np

from keras_proxygml.metrics._exact.grid import OUTSIDE
from keras_proxygml.metrics._exact.matches import per_query

COLUMNS = 256  # gallery items multiplied at a time
SAMPLE = 1024  # how many similarities of a row decide which of its matches to prune
COST = 8  # a pair takes about so many times as long here as in a tile


class WholeRows:
    """Ranks by float64 products, which are exact, and one sort per query.

    If a query has very many matches, this takes less time and memory than tiles do.

    Args:
        queries, items: `UnitVectors` of the queries and the gallery.
        itself: Place of each query among the items, -1 for none. `[Q]`, or None if all are.
        places: The queries to rank. `[P]`.
        height: How many rows to compute at a time.
    """

    def __init__(self, queries, items, itself, places, height):
        self.queries, self.items, self.itself, self.places = queries, items, itself, places
        self.height = height

    def tasks(self):
        """Where each run of `height` places starts."""
        return range(0, len(self.places), self.height)

    def work(self):
        """All the work there is, in pairs of a tile."""
        return COST * len(self.places) * len(self.items)

    def rank(self, task, result):
        """Writes the results of the queries of one task; returns how much work that was."""
        places = self.places[task : task + self.height]
        found = [
            self._rank(*query)
            for query in zip(
                places,
                self._similarities(places),
                *self.items.members(self.queries.classes[places]),
                strict=True,
            )
        ]
        ahead, active, nearest = zip(*found, strict=True)
        start = np.concatenate([[0], np.cumsum([len(a) for a in ahead])])
        result[:3, places] = per_query(start, np.concatenate(ahead), np.array(active))
        result[3, places] = nearest
        return COST * len(places) * len(self.items)

    def _rank(self, place, similarities, begin, end):
        own = similarities[begin:end].copy()
        similarities[begin:end] = OUTSIDE
        if self.itself is not None and self.itself[place] >= 0:
            own = np.delete(own, self.itself[place] - begin)
        own = np.sort(own)[::-1]
        return *_ahead(own, similarities), own[0]

    def _similarities(self, places):
        rows = self.queries[places].astype("float64")
        values = np.empty((len(places), len(self.items)))
        for i in range(0, len(self.items), COLUMNS):
            some = slice(i, i + COLUMNS)
            values[:, some] = rows @ self.items[some].astype("float64").T
        return values


def _ahead(own, others):
    """How many others are ahead of each match, and how many matches are active."""
    allowed = np.arange(len(own) - 1, -1, -1)  # R - j others ahead of the j-th of R matches
    sample = np.sort(others[:: -(-len(others) // SAMPLE)])
    active = np.count_nonzero(len(sample) - np.searchsorted(sample, own) <= allowed)
    near = np.sort(others[others >= own[max(active, 1) - 1]])
    ahead = len(near) - np.searchsorted(near, own)
    return ahead, min(active, np.count_nonzero(ahead <= allowed))
