"""The k greatest numbers of a row, found by counting alone.

Sorting is slow where XLA does it, and needs a whole row in one place. Counts are fast, and those of
parts of a row add up: where the columns are sharded over devices, these exchange a few numbers a
row and never the row.
"""

from statistics import NormalDist

import keras
import numpy as np
from keras import ops

# From then on limits are halved, which ends after as many passes as a number has bits. Guessing
# takes 10 to 20 passes for similarities; equal numbers never end it.
_LAST_GUESS = 24


def greatest(numbers, k):
    """Marks the k greatest of each row: exactly k, of equals the first.

    Args:
        numbers: Floats `[B, M]`, 32 or 64 bits.
        k: How many, up to M.

    Returns:
        `[B, M]`, bool, k true a row.
    """
    low, high = _limits(numbers, k)
    above = numbers >= high
    equal = ops.logical_and(numbers >= low, ops.logical_not(above))
    return ops.logical_or(above, _first(equal, k - _count(above)))


def _limits(numbers, k):
    """Two limits a row, each `[B, 1]`: k numbers or more reach the low one, fewer the high one.

    Either exactly k reach the low one, or no float lies between the two. In between, limits are
    integers in the order of floats, so that none is left out.
    """
    total, normal = numbers.shape[1], NormalDist()
    finite = ops.where(ops.isfinite(numbers), numbers, 0)
    deviation = ops.std(finite, axis=1, keepdims=True)
    # If the numbers were normal: where the limit would be, and the distance of neighbours there.
    quantile = normal.inv_cdf(1 - k / (total + 1))
    spacing = deviation / (total * normal.pdf(quantile))
    first_guess = ops.mean(finite, axis=1, keepdims=True) + quantile * deviation

    def is_searching(step, guess, low, high, reach_low, reach_high):
        return ops.any(ops.logical_and(reach_low > k, high > low + 1))

    def narrow(step, guess, low, high, reach_low, reach_high):
        guess = ops.clip(guess, low + 1, high - 1)
        reach = _count(numbers >= _to_floats(guess))
        is_low = reach >= k
        low, reach_low = ops.where(is_low, guess, low), ops.where(is_low, reach, reach_low)
        high, reach_high = ops.where(is_low, high, guess), ops.where(is_low, reach_high, reach)
        # Until there are two limits, leap as many neighbours as are too many, ever farther; from
        # then on go between the limits in proportion to what reaches them, or now and then halfway.
        leap = 2.0**step * spacing * ops.cast(reach - k, step.dtype)
        share = ops.cast(reach_low - k, step.dtype) / ops.cast(reach_low - reach_high, step.dtype)
        share = ops.where(step % 4 == 3, 0.5, share)
        between = _to_floats(low) + share * (_to_floats(high) - _to_floats(low))
        is_bounded = ops.logical_and(low > lowest, high < highest)
        leapt = ops.where(is_bounded, between, _to_floats(guess) + leap)
        # The mean, without a sum that could overflow.
        halfway = ops.bitwise_and(low, high) + ops.right_shift(ops.bitwise_xor(low, high), 1)
        guess = ops.where(step < _LAST_GUESS, _to_integers(leapt), halfway)
        return step + 1, guess, low, high, reach_low, reach_high

    none = ops.zeros_like(first_guess, dtype="int32")
    infinity = ops.full_like(first_guess, np.inf)
    lowest, highest = _to_integers(-infinity), _to_integers(infinity) + 1  # none reaches that
    start = (ops.zeros((), numbers.dtype), _to_integers(first_guess), lowest, highest)
    end = ops.while_loop(is_searching, narrow, (*start, none + total, none))
    return _to_floats(end[2]), _to_floats(end[3])


def _first(marks, number):
    """Keeps the first marks of each row, as many as `number` `[B, 1]` says."""
    total = marks.shape[1]
    places = ops.arange(total, dtype="int32")

    def is_searching(low, high):
        return ops.any(high - low > 1)

    def narrow(low, high):
        middle = (low + high) // 2
        fits = _count(ops.logical_and(marks, places < middle)) <= number
        return ops.where(fits, middle, low), ops.where(fits, high, middle)

    low = ops.where(_count(marks) <= number, total, 0)  # most rows have no more: nothing to search
    low, _ = ops.while_loop(is_searching, narrow, (low, ops.full_like(low, total + 1)))
    return ops.logical_and(marks, places < low)


def _to_integers(floats):
    """Integers in the order of floats, one for each."""
    bits = 64 if keras.backend.standardize_dtype(floats.dtype) == "float64" else 32
    return _reordered(ops.view(floats, f"int{bits}"))


def _to_floats(integers):
    dtype = keras.backend.standardize_dtype(integers.dtype)
    return ops.view(_reordered(integers), dtype.replace("int", "float"))


def _reordered(bits):
    """From the bits of floats to their order, and back."""
    # The greater a negative float's bits after its sign, the smaller it is.
    after_sign = np.iinfo(keras.backend.standardize_dtype(bits.dtype)).max
    return ops.where(bits < 0, ops.bitwise_xor(bits, after_sign), bits)


def _count(marks):
    return ops.sum(ops.cast(marks, "int32"), axis=1, keepdims=True)
