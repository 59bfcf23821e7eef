"""The k greatest numbers of a row, found by counting alone.

Sorting is slow in XLA, and it needs a whole row on one device. Counting is fast, and the counts of
parts of a row add up. If the columns are sharded over devices, the devices exchange a few numbers
per row and never the row.
"""

from statistics import NormalDist
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_proxygml.numerics import is_worth_compiling

# How many limits are guessed before the search bisects. Random similarities need fewer than 20. If
# the k-th number and the next are equal, guessing alone would not end.
_GUESSES = 24
# How many numbers of a row are enough for a first guess of its limits.
_SAMPLE = 256


class _Others(NamedTuple):
    """Rows to choose from, without a few numbers, which are counted and subtracted."""

    lanes: object  # [B, L, ⌈M / L⌉], NaN behind the last number
    left_out: object  # [B, A]
    left_out_places: object  # [B, A]

    def count(self, condition):
        """How many of each row meet a condition on numbers and their places, `[B, 1]`.

        On a CPU, XLA would materialize the boolean array before summing it. With 16 parts of the
        row side by side, it sums while it reads, which takes little longer than reading.
        """
        _, lanes, length = self.lanes.shape
        places = ops.arange(length, dtype="int32")
        found = (condition(self.lanes[:, i], i * length + places) for i in range(lanes))
        few = condition(self.left_out, self.left_out_places)
        return _sum(sum(ops.cast(x, "int32") for x in found)) - _sum(ops.cast(few, "int32"))


def greatest(numbers, k, start, width):
    """Marks the k greatest of each row, the first among equals, and `width` more columns.

    Args:
        numbers: Floats `[B, M]`, 32 or 64 bits.
        k: How many, up to M - `width`.
        start: The first of the columns that are always marked. `[B, 1]`, int32.
        width: How many columns are always marked. They do not count in k.

    Returns:
        `[B, M]`, bool, k + `width` true per row. NaN is not marked in other columns, so fewer are
        true if too many are NaN.
    """
    total = numbers.shape[1]
    lanes = _in_lanes(numbers)
    always = start + ops.arange(width, dtype="int32")
    others = _Others(lanes, ops.take_along_axis(numbers, always, axis=1), always)
    low, high, reach_low, reach_high = _limits(others, total - width, k)
    end = _end_of_first(others, low, high, k - reach_high, reach_low - reach_high)
    places = ops.arange(total, dtype="int32")
    is_great = ops.logical_or(numbers >= high, ops.logical_and(numbers >= low, places < end))
    return ops.logical_or(is_great, ops.logical_and(places >= start, places < start + width))


def _in_lanes(numbers):
    """Numbers `[B, M]` as `[B, L, ⌈M / L⌉]`, NaN behind the last number of a row.

    L is 16 if XLA counts many numbers on a single CPU, else 1. Reshaping columns that are sharded
    over devices could gather them. GPUs do not need it.
    """
    is_single_cpu = keras.distribution.list_devices() == ["cpu:0"]
    lanes = 16 if is_single_cpu and is_worth_compiling(numbers.shape[1]) else 1
    padding = -numbers.shape[1] % lanes
    padded = ops.pad(numbers, ((0, 0), (0, padding)), constant_values=np.nan)
    return ops.reshape(padded, (-1, lanes, padded.shape[1] // lanes))


def _limits(others, total, k):
    """Finds two limits per row, and how many numbers reach each. All `[B, 1]`.

    At least k reach the low limit and fewer than k the high one. Either exactly k reach the low
    limit, or no float lies between the two. Limits are integers in the order of floats, so the
    search leaves none out.
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
        # Until both limits are known, jump past the surplus: (reach - k) times the expected
        # spacing, doubled in each step.
        leapt = _to_floats(guess) + 2.0**step * spacing * ops.cast(reach - k, spacing.dtype)
        between = _between(step, low, high, reach_low - k, reach_low - reach_high)
        is_bounded = ops.logical_and(low > lowest, high < highest)
        # If this is NaN or outside the limits, the next step clips it.
        guess = _to_integers(ops.where(is_bounded, between, leapt))
        guess = ops.where(step < _GUESSES, guess, _halfway(low, high))
        return step + 1, guess, low, high, reach_low, reach_high

    none = ops.zeros_like(guess, dtype="int32")
    highest = _to_integers(ops.full_like(spacing, np.inf)) + 1  # nothing reaches it
    lowest = 1 - highest  # and all but NaN this
    start = (ops.zeros((), spacing.dtype), guess, lowest, highest, none + total, none)
    _, _, low, high, *reached = ops.while_loop(is_searching, narrow, start)
    return _to_floats(low), _to_floats(high), *reached


def _between(step, low, high, surplus, reaching):
    """A float between two limits. Of the `reaching` numbers between, `surplus` should lie below."""
    share = ops.cast(surplus, step.dtype) / ops.cast(reaching, step.dtype)
    share = ops.where(step % 4 == 3, 0.5, share)  # or one of the limits could move slowly
    return _to_floats(low) + share * (_to_floats(high) - _to_floats(low))


def _halfway(low, high):
    """The mean of integers, without a sum that could overflow."""
    return ops.bitwise_and(low, high) + ops.right_shift(ops.bitwise_xor(low, high), 1)


def _mean_and_deviation(lanes):
    """Estimates of both for each row, from one lane if the row is long."""
    _, number, length = lanes.shape
    sample = lanes[:, 0] if length > _SAMPLE else ops.reshape(lanes, (-1, number * length))
    finite = ops.where(ops.isfinite(sample), sample, 0)
    return ops.mean(finite, axis=1, keepdims=True), ops.std(finite, axis=1, keepdims=True)


def _end_of_first(others, low, high, number, reaching):
    """The place behind the first `number` of the `reaching` numbers between two limits.

    All `[B, 1]`. If there are no more than `number`, it is a place behind the row.
    """
    _, lanes, length = others.lanes.shape
    behind = ops.full_like(number, length * lanes + 1)

    def is_searching(low_end, high_end):
        return ops.any(high_end - low_end > 1)

    def narrow(low_end, high_end):
        middle = (low_end + high_end) // 2

        def is_before(numbers, places):
            is_between = ops.logical_and(numbers >= low, ops.logical_not(numbers >= high))
            return ops.logical_and(is_between, places < middle)

        before = others.count(is_before)
        low_end = ops.where(before <= number, middle, low_end)
        return low_end, ops.where(before >= number, middle, high_end)

    def search():
        start = ops.where(reaching <= number, behind, 0), behind
        return ops.while_loop(is_searching, narrow, start)[0]

    return ops.cond(ops.any(reaching > number), search, lambda: behind)


def _to_integers(floats):
    """Integers in the order of floats, one for each.

    Subnormal floats are 0 here, because some of TensorFlow's threads round them to 0.
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


def _sum(numbers):
    return ops.sum(numbers, axis=1, keepdims=True)
