"""The k greatest numbers of a row, found by counting alone.

Sorting is slow where XLA does it, and needs a whole row in one place. Counts are fast, and those of
parts of a row add up: where the columns are sharded over devices, these exchange a few numbers a
row and never the row.
"""

from statistics import NormalDist

import keras
import numpy as np
from keras import ops

# How many limits are guessed, of which random similarities need fewer than 20, before they are
# halved: where the k-th number and the next are equal, guessing alone would not end.
_GUESSES = 24


def greatest(numbers, k):
    """Marks the k greatest of each row: exactly k, of equals the first.

    Args:
        numbers: Floats `[B, M]`, 32 or 64 bits.
        k: How many, up to M.

    Returns:
        `[B, M]`, bool, k true a row. NaN is never marked: where too few others are left, fewer.
    """
    low, high, reach_low, reach_high = _limits(numbers, k)
    above = numbers >= high
    equal = ops.logical_and(numbers >= low, ops.logical_not(above))
    return ops.logical_or(above, _first(equal, k - reach_high, reach_low - reach_high))


def _limits(numbers, k):
    """Two limits a row, and how many reach each: k or more the low one, fewer the high one.

    Either exactly k reach the low one, or no float lies between the two. In between, limits are
    integers in the order of floats, so that none is left out. All `[B, 1]`.
    """
    total, normal = numbers.shape[1], NormalDist()
    finite = ops.where(ops.isfinite(numbers), numbers, 0)
    deviation = ops.std(finite, axis=1, keepdims=True)
    # If the numbers were normal: where the limit would be, and the distance of neighbours there.
    quantile = normal.inv_cdf(1 - k / (total + 1))
    spacing = deviation / (total * normal.pdf(quantile))
    guess = _to_integers(ops.mean(finite, axis=1, keepdims=True) + quantile * deviation)

    def is_searching(step, guess, low, high, reach_low, reach_high):
        return ops.any(ops.logical_and(reach_low > k, high > low + 1))

    def narrow(step, guess, low, high, reach_low, reach_high):
        guess = ops.clip(guess, low + 1, high - 1)
        reach = _count(numbers >= _to_floats(guess))
        is_low = reach >= k
        low, reach_low = ops.where(is_low, guess, low), ops.where(is_low, reach, reach_low)
        high, reach_high = ops.where(is_low, high, guess), ops.where(is_low, reach_high, reach)
        # Until both limits are met: leap as many neighbours as reach it too many, ever farther.
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
    share = ops.where(step % 4 == 3, 0.5, share)  # lest one of the limits creeps
    return _to_floats(low) + share * (_to_floats(high) - _to_floats(low))


def _halfway(low, high):
    """The mean of integers, without a sum that could overflow."""
    return ops.bitwise_and(low, high) + ops.right_shift(ops.bitwise_xor(low, high), 1)


def _first(marks, number, marked):
    """Keeps the first `number` `[B, 1]` of the marks of each row, which are `marked` `[B, 1]`."""
    total = marks.shape[1]
    places = ops.arange(total, dtype="int32")

    def is_searching(low, high):
        return ops.any(high - low > 1)

    def narrow(low, high):
        middle = (low + high) // 2
        fits = _count(ops.logical_and(marks, places < middle)) <= number
        return ops.where(fits, middle, low), ops.where(fits, high, middle)

    low = ops.where(marked <= number, total, 0)  # most rows have no more: nothing to search
    low, _ = ops.while_loop(is_searching, narrow, (low, ops.full_like(low, total + 1)))
    return ops.logical_and(marks, places < low)


def _to_integers(floats):
    """Integers in the order of floats, one for each.

    Floats too small to be normal, which some of TensorFlow's threads take for 0, are 0 here.
    """
    _, integer, skipped = _kind(floats)
    bits = ops.view(ops.absolute(floats), integer)
    steps = ops.where(bits > skipped, bits - skipped, ops.zeros_like(bits))
    return ops.where(floats < 0, -steps, steps)


def _to_floats(integers):
    kind, _, skipped = _kind(integers)
    steps = ops.absolute(integers)
    bits = ops.where(steps > 0, steps + skipped, ops.zeros_like(steps))
    floats = ops.view(bits, kind)
    return ops.where(integers < 0, -floats, floats)


def _kind(numbers):
    """The names of the float and the integer of its length, and the bits below the first normal."""
    bits = 64 if "64" in keras.backend.standardize_dtype(numbers.dtype) else 32
    smallest = np.finfo(f"float{bits}").smallest_normal
    return f"float{bits}", f"int{bits}", smallest.view(f"int{bits}") - 1


def _count(marks):
    return ops.sum(ops.cast(marks, "int32"), axis=1, keepdims=True)
