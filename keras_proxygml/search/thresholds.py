"""What every threshold accepts, on the data and on classes drawn from them."""

from typing import NamedTuple

import numpy as np


class Rates(NamedTuple):
    """The rates of every threshold. Each `[T]`, or `[R, T]` for R draws of classes."""

    false_accept_rate: np.ndarray
    true_identification_rate: np.ndarray
    precision: np.ndarray
    f1: np.ndarray

    def at(self, indices):
        """The rates of some thresholds, one per draw. `[R]` each."""
        rows = np.arange(len(indices))
        return Rates(*(np.atleast_2d(x)[rows, indices] for x in self))


class Target(NamedTuple):
    """What a threshold is chosen by: "false_accept_rate", "precision" or "f1", and its value."""

    name: str
    value: float | None

    def choose(self, rates):
        """Index of the threshold to choose, in each draw. `[R]`.

        Thresholds fall from the first to the last, which accept more and more. The first accepts
        nothing.
        """
        values = np.atleast_2d(getattr(rates, self.name))
        if self.name == "f1":
            # The smallest of equally good thresholds is the last.
            return values.shape[1] - 1 - np.argmax(values[:, ::-1], axis=1)
        if self.name == "precision":
            values = np.nan_to_num(values)  # a threshold that accepts nothing has no precision
            fits = values >= self.value
            # A draw in which no threshold reaches the precision takes the most precise.
            fits |= ~fits.any(axis=1, keepdims=True) & (values == values.max(axis=1, keepdims=True))
        else:
            # 0.07 * 100 exceeds 7 in floating point, and the share 7 / 100 fits 0.07.
            fits = values <= self.value * (1 + 1e-12)
        return values.shape[1] - 1 - np.argmax(fits[:, ::-1], axis=1)


class Outcomes:
    """The queries sorted by the similarities at which they are accepted.

    Each query counts twice: as an unknown one, accepted at its best similarity to another class;
    and, if its class has an item, as a known one, accepted at its best similarity to any. A tie
    between its own class and another counts as wrong.

    Args:
        matches: A `BestMatches`.

    Attributes:
        thresholds: One that accepts nothing, and then every similarity at which some query is
            accepted, falling. `[T]`.
        num_classes: One more than the greatest number of a class.
    """

    def __init__(self, matches):
        own, other, classes = matches.own, matches.other, matches.classes
        known, right = own > -np.inf, own > other
        scores = np.concatenate([other, np.maximum(own, other)[known]])
        first = np.concatenate([classes, classes[known]])
        second = np.concatenate([matches.other_classes, matches.other_classes[known]])
        is_known = np.arange(len(scores)) >= len(other)
        is_right = np.concatenate([np.zeros(len(other), bool), right[known]])
        order = np.argsort(-scores, kind="stable")
        order = order[scores[order] > -np.inf]
        scores = scores[order]
        # Position of the last of each run of equal scores.
        self._ends = np.flatnonzero(np.diff(scores, append=-np.inf))
        above = np.nextafter(scores[:1], np.inf)
        self.thresholds = np.concatenate([above, scores[self._ends]])
        # What is right depends on the query's class alone, and the rest on two classes.
        self._first, self._second = first[order], np.where(is_right, -1, second)[order]
        self._is_known, self._is_right = is_known[order], is_right[order]
        self.num_classes = int(max(classes.max(), matches.other_classes.max())) + 1
        self._unknown = np.bincount(classes, minlength=self.num_classes)
        self._known = np.bincount(classes[known], minlength=self.num_classes)
        asked = np.unique(classes)
        self._strata = asked, np.setdiff1d(matches.other_classes, [*asked, -1])

    def __len__(self):
        return len(self._first)

    def rates(self, weights=None):
        """The rates of all thresholds.

        Args:
            weights: What `draw` returns; by default each class counts once.

        Returns:
            `Rates`, `[R, T]` each, or `[1, T]`.
        """
        if weights is None:
            weights = np.ones((1, self.num_classes))
        padded = np.concatenate([weights, np.ones((len(weights), 1))], axis=1)  # -1 is the last
        # The weight of the query's class alone would vary too little: classes that look alike come
        # in pairs. The product varies rather too much, which is the safe side (Owen 2007).
        count = padded[:, self._first] * padded[:, self._second]
        unknown = self._accepted(count * ~self._is_known)
        right = self._accepted(count * self._is_right)
        wrong = self._accepted(count * (self._is_known & ~self._is_right))
        queries, known = weights @ self._unknown, weights @ self._known
        with np.errstate(invalid="ignore", divide="ignore"):  # nothing accepted, or nobody known
            false_accept_rate = unknown / queries[:, None]
            identified = right / known[:, None]
            precision = right / (right + wrong + unknown)
            f1 = 2 * right / (right + wrong + unknown + known[:, None])
        return Rates(false_accept_rate, identified, precision, np.nan_to_num(f1))

    def draw(self, rng, times):
        """How often each class is drawn, with replacement. `[times, classes]`.

        As many classes of queries are drawn as there are, and as many others of the gallery.
        """
        weights = np.zeros((times, self.num_classes))
        for classes in self._strata:
            if len(classes):
                share = np.full(len(classes), 1 / len(classes))
                weights[:, classes] = rng.multinomial(len(classes), share, size=times)
        return weights

    def _accepted(self, counts):
        """Sums of what each threshold accepts. `[R, T]`."""
        sums = np.cumsum(counts, axis=1)[:, self._ends]
        return np.concatenate([np.zeros((len(sums), 1)), sums], axis=1)


def drawn_thresholds(outcomes, target, resamples, seed, numbers=2**21):
    """Thresholds of drawn classes, and false accept rates of other draws at these thresholds.

    Args:
        outcomes: `Outcomes`.
        target: `Target`.
        resamples: How many times to draw as many classes as there are, with replacement.
        seed: Seed of the draws.
        numbers: How many numbers an array may have.

    Returns:
        Two arrays, `[resamples]`.
    """
    rng = np.random.default_rng(seed)
    # A draw has a weight per class, and what it accepts is summed per query.
    widest = max(len(outcomes), outcomes.num_classes)
    step = min(resamples, max(2, numbers // widest))
    thresholds, false_accepts = [], []
    for _ in range(0, resamples, step):
        rates = outcomes.rates(outcomes.draw(rng, step))
        chosen = target.choose(rates)
        # Each draw chooses a threshold, and another draw counts what that accepts.
        others = np.roll(rates.false_accept_rate, 1, axis=0)
        thresholds.append(outcomes.thresholds[chosen])
        false_accepts.append(np.minimum(others[np.arange(step), chosen], 1))
    return tuple(np.concatenate(x)[:resamples] for x in (thresholds, false_accepts))
