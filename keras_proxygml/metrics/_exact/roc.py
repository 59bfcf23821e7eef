"""The exact ROC curve of all pairs, in bounded memory.

**What is held.** The similarities of the genuine pairs are held in memory, sorted. For each of
them, the impostors below it and those not above it are counted, which `below` explains. These
counts are the ROC curve: the area under it, the equal error rate and the true accepts at every
false accept rate follow.

**What is held in parts.** If there are too many genuine pairs, they are cut by similarity, and the
impostors are counted again for each part, from the most similar part to the least.

**Where the thresholds come from.** A threshold is the smallest similarity with at most so many
impostors at or above it, so it needs the similarity of one impostor of a certain rank. A random
sample brackets it, and what lies within the bracket is collected while impostors are counted. If
the sample misled, a larger one is drawn.
"""

import functools
import itertools
import threading

import numpy as np

from keras_proxygml.metrics._exact.below import Below
from keras_proxygml.metrics._exact.brackets import BEYOND, Distinct, brackets_of
from keras_proxygml.metrics._exact.grid import OUTSIDE

BINS = 2**16  # cut the genuine pairs into parts


class Curve:
    """What the ROC curve says, read part by part from the most similar genuine pairs on.

    Args:
        genuine, impostors: How many pairs there are.
        ranks: How many impostors may be accepted, for each false accept rate. `[F]`.

    Attributes:
        accepted: How many genuine pairs are accepted at each of these rates. `[F]`.
        equal_error_rate: Where false accepts and false rejects are equally frequent.
    """

    def __init__(self, genuine, impostors, ranks):
        self.genuine, self.impostors, self.ranks = genuine, impostors, np.array(ranks)
        self.accepted = np.zeros(len(ranks), "int64")
        self.equal_error_rate = None
        self._twice = 0  # how often an impostor is less similar, counted twice; once if they tie
        self._seen = 0  # genuine pairs in the parts before

    @property
    def area(self):
        """The area under the curve, after all parts."""
        return self._twice / (2 * self.genuine * self.impostors)

    def read(self, counts, below, up_to):
        """Reads a part of the genuine similarities, rising.

        Args:
            counts: How many genuine pairs have each similarity. `[P]`.
            below: How many impostors are less similar. `[P]`.
            up_to: How many are not more similar. `[P]`.
        """
        high, low = np.divmod(below + up_to, 2**20)  # whole numbers, in which nothing overflows
        self._twice += (int(counts @ high) << 20) + int(counts @ low)
        false_accepts = self.impostors - below
        for i, rank in enumerate(self.ranks):
            self.accepted[i] += counts[false_accepts <= rank].sum()
        if self.equal_error_rate is None:
            self._cross(counts[::-1], self.impostors - up_to[::-1], false_accepts[::-1])
        self._seen += counts.sum()

    def _cross(self, counts, x_before, x_after):
        """Finds where the curve crosses the line of equal errors, falling through thresholds.

        At each similarity the curve goes straight from what is above to what is at or above.
        """
        y_after = self._seen + np.cumsum(counts)
        x = np.stack([x_before, x_after], axis=1) / self.impostors
        reject = 1 - np.stack([y_after - counts, y_after], axis=1) / self.genuine
        over = np.flatnonzero(reject.ravel() <= x.ravel())
        if not len(over):
            return
        at, is_after = divmod(over[0], 2)
        self.equal_error_rate = float(reject[at, 0])  # false accepts rise, false rejects stay
        if is_after:
            gap = reject[at] - x[at]
            part = gap[0] / (gap[0] - gap[1])
            self.equal_error_rate = float(x[at, 0] + part * (x[at, 1] - x[at, 0]))


def parts_of(pairs, most):
    """Cuts similarities so that about `most` genuine pairs lie between two cuts, falling."""
    if pairs.genuine <= most:
        return [(OUTSIDE, BEYOND)]
    counts, lock = np.zeros(BINS, "int64"), threading.Lock()

    def count(values):
        bins = np.minimum((values + 1.5) * (BINS / 3), BINS - 1).astype("int64")
        found = np.bincount(bins, minlength=BINS)
        with lock:
            counts[:] += found

    pairs.each_genuine(count)
    part = np.cumsum(counts[::-1]) // most
    cuts = BINS - 1 - np.flatnonzero(np.diff(part))
    edges = [BEYOND, *(cuts / (BINS / 3) - 1.5), OUTSIDE]
    return [(low, high) for high, low in itertools.pairwise(edges)]


def roc(pairs, ranks, most):
    """The curve of all pairs, and the threshold of each rank.

    Args:
        pairs: `Pairs`.
        ranks: How many impostors may be accepted, for each false accept rate. `[F]`.
        most: How many genuine similarities to hold at a time.

    Returns:
        A `Curve`, and the smallest similarities of any pair at which no more are accepted, `[F]`.
    """
    curve = Curve(pairs.genuine, pairs.impostors, ranks)
    number = int(np.clip(pairs.impostors // 1024, 2**15, 2**20))
    brackets = brackets_of(pairs, ranks, number)
    thresholds = np.full(len(ranks), np.inf)
    for i, (low, high) in enumerate(parts_of(pairs, most)):
        genuine = Distinct()
        part = functools.partial(_within, low, high)
        pairs.each_genuine(lambda x, add=genuine.add, part=part: add(part(x)))
        values, counts = genuine.sorted()
        curve.read(counts, *_count(pairs, values, brackets if i == 0 else []))
        if i == 0:
            limits = _settle(pairs, brackets, number)
            thresholds = limits[:, 1]
        above = np.append(values, np.inf)[np.searchsorted(values, limits[:, 0], "right")]
        thresholds = np.minimum(thresholds, above)
    nothing = np.isinf(thresholds)
    thresholds[nothing] = np.nextafter(limits[nothing, 0], np.inf)
    return curve, thresholds


def _within(low, high, values):
    return values[(values >= low) & (values < high)]


def _count(pairs, values, brackets):
    """How many impostors are below each value, and how many not above. `[P]` each, int64."""
    if not len(values):
        return np.zeros((2, 0), "int64")
    below = Below(values)

    def count(impostors):
        for bracket in brackets:
            bracket.see(impostors)
        below.see(impostors)

    pairs.each_impostor(count)
    return below.result()


def _settle(pairs, brackets, number):
    """The result of each bracket, from wider ones where the sample misled. `[F, 2]`."""
    limits = [bracket.found() for bracket in brackets]
    for seed in range(1, 100):
        open_ = [i for i, limit in enumerate(limits) if limit is None]
        if not open_:
            break
        number *= 2
        again = brackets_of(pairs, [brackets[i].rank for i in open_], number, seed)
        pairs.each_impostor(lambda values, again=again: [x.see(values) for x in again])
        for i, bracket in zip(open_, again, strict=True):
            limits[i] = bracket.found()
    return np.array(limits).reshape(len(brackets), 2)
