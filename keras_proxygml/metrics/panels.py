"""Ranks the matches of queries of large classes, a panel of whole rows at a time."""

import numpy as np

from keras_proxygml.metrics.matches import summary

OUTSIDE = -2.0  # below every similarity
SAMPLE = 1024  # how many similarities of a row tell which of its matches to give up
PAIR = 8  # a pair in a panel takes about so many times as long as one in a tile


class Panels:
    """Ranks by float64 products, which are exact, and one sort per query.

    Where a query has very many matches, this costs less time and memory than lists of matches.

    Args:
        queries, items: `UnitVectors` of the queries and the gallery.
        itself: Place of each query among the items, -1 for none. `[Q]`, or None if all are.
        places: The queries to rank. `[P]`.
        height: Rows of a panel.
        width: Items multiplied at a time.
    """

    def __init__(self, queries, items, itself, places, height, width):
        self.queries, self.items, self.itself, self.places = queries, items, itself, places
        self.height, self.width = height, width

    def tasks(self):
        """First of the places of each panel."""
        return range(0, len(self.places), self.height)

    def work(self):
        """All the work there is, in pairs of a tile."""
        return PAIR * len(self.places) * len(self.items)

    def rank(self, task, result):
        """Ranks the matches of one panel, and puts the `summary` of each query in its place."""
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
        ahead, live, nearest = zip(*found, strict=True)
        start = np.concatenate([[0], np.cumsum([len(a) for a in ahead])])
        result[:3, places] = summary(start, np.concatenate(ahead), np.array(live))
        result[3, places] = nearest
        return PAIR * len(places) * len(self.items)

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
        for i in range(0, len(self.items), self.width):
            some = slice(i, i + self.width)
            values[:, some] = rows @ self.items[some].astype("float64").T
        return values


def _ahead(own, others):
    """How many others are ahead of each match, and how many matches are live."""
    bearable = np.arange(len(own) - 1, -1, -1)  # the j-th of R can bear R - j ahead
    sample = np.sort(others[:: -(-len(others) // SAMPLE)])
    live = np.count_nonzero(len(sample) - np.searchsorted(sample, own) <= bearable)
    near = np.sort(others[others >= own[max(live, 1) - 1]])
    ahead = len(near) - np.searchsorted(near, own)
    return ahead, min(live, np.count_nonzero(ahead <= bearable))
