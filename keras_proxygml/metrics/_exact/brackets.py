"""Finds the similarity of an impostor by its rank, between two similarities of a sample."""

import threading

import numpy as np

from keras_proxygml.metrics._exact.grid import OUTSIDE

SIGMAS = 6.0  # a bracket misses by chance about once in 10**9 times
BEYOND = -OUTSIDE  # above every similarity


class Distinct:
    """Collects numbers from threads, and keeps the distinct ones with their counts."""

    def __init__(self, limit=2**22):
        self._limit, self._lock = limit, threading.Lock()
        self._values, self._counts = [], []
        self._pending = 0

    def add(self, values):
        """Adds numbers."""
        with self._lock:
            self._values.append(values)
            self._counts.append(np.ones(len(values), "int64"))
            self._pending += len(values)
            if self._pending > self._limit:
                self._join()

    def _join(self):
        if self._values:
            values, place = np.unique(np.concatenate(self._values), return_inverse=True)
            counts = np.bincount(place, np.concatenate(self._counts), len(values))
            self._values, self._counts = [values], [counts.astype("int64")]
        self._pending = 0

    def sorted(self):
        """The distinct numbers, rising, and how often each was added."""
        self._join()
        return (
            (self._values[0], self._counts[0])
            if self._values
            else (np.zeros(0), np.zeros(0, "int64"))
        )


class Bracket:
    """Finds the similarity of an impostor by its rank.

    Args:
        rank: How many impostors may be accepted; the next is wanted.
        low, high: Between which similarities to search.
    """

    def __init__(self, rank, low, high):
        self.rank, self.low, self.high = rank, low, high
        self.above, self.inside = 0, Distinct()
        self._lock = threading.Lock()

    def see(self, values):
        """Counts and collects from some similarities."""
        inside = values[values >= self.low]
        kept = inside <= self.high
        with self._lock:
            self.above += len(kept) - np.count_nonzero(kept)
        self.inside.add(inside[kept])

    def found(self):
        """The wanted similarity and the next greater one of an impostor; None if it misled.

        The second is infinite if no impostor is more similar.
        """
        values, counts = self.inside.sorted()
        values, reached = values[::-1], self.above + np.cumsum(counts[::-1])
        place = np.searchsorted(reached, self.rank, "right")
        if self.above > self.rank or place == len(values) or (place == 0 and self.above):
            return None
        return values[place], (values[place - 1] if place else np.inf)


def brackets_of(pairs, ranks, number, seed=0):
    """Brackets from a sample of impostors."""
    if pairs.impostors <= number:
        return [Bracket(rank, OUTSIDE, BEYOND) for rank in ranks]
    sample = np.sort(pairs.sample_impostors(number, seed))[::-1]
    found = []
    for rank in ranks:
        expected = rank / pairs.impostors * len(sample)
        spread = SIGMAS * expected**0.5
        low, high = int(expected + spread) + 2 * int(SIGMAS), int(expected - spread) - 1
        low = sample[low] if low < len(sample) else OUTSIDE
        # The next greater similarity must lie inside too.
        greater = sample[sample > sample[high]] if high >= 0 else sample[:0]
        found.append(Bracket(rank, low, greater[-1] if len(greater) else BEYOND))
    return found
