"""How many impostors are below each genuine similarity."""

import threading

import numpy as np

MOST_BUCKETS = 2**20


class Below:
    """Counts numbers of threads below given ones.

    Equal steps cut the range of the given numbers into buckets. A number in a bucket without a
    given one is only counted there. The others are sorted, and the given ones searched in them.

    Args:
        values: Distinct numbers, rising. `[P]`.
    """

    def __init__(self, values):
        self.values = values
        self.below, self.tied = np.zeros((2, len(values)), "int64")
        self._number = min(MOST_BUCKETS, 1024 + 2 * len(values))
        self._counts = np.zeros(self._number + 2, "int64")
        self._low = values[0]
        self._steps = self._number / max(values[-1] - values[0], 1e-9)
        self._bucket = self._buckets(values)
        self._is_shared = np.zeros(self._number + 2, bool)
        self._is_shared[self._bucket] = True
        self._lock = threading.Lock()

    def _buckets(self, numbers):
        """Buckets of numbers, which rise with them. The first and the last lie outside."""
        steps = (numbers - self._low) * self._steps
        # What rounds to the end of the range is in the last bucket inside, as the end itself is.
        steps[(steps >= self._number) & (numbers <= self.values[-1])] = self._number - 1
        np.floor(steps, out=steps)
        return (np.clip(steps, -1, self._number, out=steps) + 1).astype("int32")

    def see(self, numbers):
        """Counts some numbers, in any order."""
        buckets = self._buckets(numbers)
        counts = np.bincount(buckets, minlength=self._number + 2)
        near = np.sort(numbers[self._is_shared[buckets]])
        place = np.searchsorted(near, self.values)
        equal = np.append(near, np.inf)[place] == self.values
        ties = np.searchsorted(near, self.values[equal], "right") - place[equal]
        with self._lock:
            self._counts += counts
            self.below += place
            self.tied[equal] += ties

    def result(self):
        """How many numbers are below each given one, and how many not above. `[P]` each."""
        alone = np.where(self._is_shared, 0, self._counts)
        below = self.below + np.cumsum(alone)[self._bucket]
        return below, below + self.tied
