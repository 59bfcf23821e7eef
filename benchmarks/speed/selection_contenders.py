"""Other ways to find each sample's k most similar proxies, for `head_speed.py`."""

from statistics import NormalDist

import numpy as np
from keras import ops

from keras_proxygml import graph, selection
from keras_proxygml.graph import _ranked_first as by_top_k  # noqa: F401  what PyTorch takes
from keras_proxygml.selection import _halfway, _to_floats, _to_integers

# How many limits are guessed before the search bisects, because equal numbers never end guessing.
_GUESSES = 24
# How many numbers of a row suffice for a first guess of its limits.
_SAMPLE = 256


def select_by(select):
    """Makes the subgraphs of this process use another way to select."""
    graph.greatest = select


def by_interpolation(numbers, k, start, width):
    """What `selection.greatest` marks, its limits guessed as if the numbers were normal."""
    bisected, selection._limits = selection._limits, _guessed_limits
    try:
        return selection.greatest(numbers, k, start, width)
    finally:
        selection._limits = bisected


def _guessed_limits(others, total, k):
    """Two limits a row, and how many reach each: k or more the low one, fewer the high one.

    Either exactly k reach the low one, or no float lies between the two. In between, limits are
    integers in the order of floats, so that none is left out. All `[B, 1]`.
    """
    normal = NormalDist()
    mean, deviation = _mean_and_deviation(others.lanes)
    # The limit, and the distance of neighbors there, if the numbers were normally distributed.
    quantile = normal.inv_cdf(1 - k / (total + 1))
    spacing = deviation / (total * normal.pdf(quantile))
    guess = _to_integers(mean + quantile * deviation)

    def is_searching(step, guess, low, high, reach_low, reach_high):
        return ops.any(ops.logical_and(reach_low > k, high > low + 1))

    def narrow(step, guess, low, high, reach_low, reach_high):
        guess = ops.clip(guess, low + 1, high - 1)
        limit = _to_floats(guess)
        reach = others.count(lambda numbers, _: numbers >= limit)
        is_low = reach >= k
        low, reach_low = ops.where(is_low, guess, low), ops.where(is_low, reach, reach_low)
        high, reach_high = ops.where(is_low, high, guess), ops.where(is_low, reach_high, reach)
        # Until both limits are known, move by as many neighbors as too many reach it, and farther
        # in each step.
        leapt = _to_floats(guess) + 2.0**step * spacing * ops.cast(reach - k, spacing.dtype)
        between = _between(step, low, high, reach_low - k, reach_low - reach_high)
        is_bounded = ops.logical_and(low > lowest, high < highest)
        guess = _to_integers(ops.where(is_bounded, between, leapt))  # NaN too, and any other place
        guess = ops.where(step < _GUESSES, guess, _halfway(low, high))
        return step + 1, guess, low, high, reach_low, reach_high

    none = ops.zeros_like(guess, dtype="int32")
    highest = _to_integers(ops.full_like(spacing, np.inf)) + 1  # nothing reaches it
    lowest = 1 - highest  # and all but NaN this
    start = (ops.zeros((), spacing.dtype), guess, lowest, highest, none + total, none)
    _, _, low, high, *reached = ops.while_loop(is_searching, narrow, start)
    return _to_floats(low), _to_floats(high), *reached


def _between(step, low, high, missing, reaching):
    """A float between two limits, as `missing` of the `reaching` numbers between them lie below."""
    share = ops.cast(missing, step.dtype) / ops.cast(reaching, step.dtype)
    share = ops.where(step % 4 == 3, 0.5, share)  # or one of the limits could move slowly
    return _to_floats(low) + share * (_to_floats(high) - _to_floats(low))


def _mean_and_deviation(lanes):
    """Estimates of those of each row. For a long row, one lane suffices."""
    _, number, length = lanes.shape
    sample = lanes[:, 0] if length > _SAMPLE else ops.reshape(lanes, (-1, number * length))
    finite = ops.where(ops.isfinite(sample), sample, 0)
    return ops.mean(finite, axis=1, keepdims=True), ops.std(finite, axis=1, keepdims=True)
