"""The k greatest numbers of a row, found by counting alone.

Sorting needs a whole row in one place. Counts of parts of a row add up, so where the columns are
sharded over devices, these exchange a few numbers a row and never the row.
"""

import keras
from keras import ops


def greatest(numbers, k):
    """Marks the k greatest of each row: exactly k, of equals the first.

    Args:
        numbers: Floats `[B, M]`, 32 or 64 bits.
        k: How many, up to M.

    Returns:
        `[B, M]`, bool, k true a row.
    """
    keys, bits = _as_ordered_integers(numbers)
    kth = _greatest_integer(lambda limit: _count(keys >= limit) >= k, bits, keys)  # [B, 1]
    above, equal = keys > kth, ops.equal(keys, kth)
    places = ops.arange(numbers.shape[1], dtype=keys.dtype)
    missing = k - _count(above)
    end = _greatest_integer(
        lambda end: _count(equal & (places < end)) <= missing, numbers.shape[1].bit_length(), keys
    )
    return above | (equal & (places < end))


def _as_ordered_integers(numbers):
    """Unsigned integers in the order of floats, and how many bits they have."""
    bits = 64 if keras.backend.standardize_dtype(numbers.dtype) == "float64" else 32
    raw = ops.view(numbers, f"uint{bits}")
    sign = ops.convert_to_tensor(1 << (bits - 1), dtype=raw.dtype)
    # The greater a negative float's bits, the smaller it is.
    return ops.where(raw >= sign, ops.bitwise_invert(raw), raw | sign), bits


def _greatest_integer(holds, bits, like):
    """The greatest integer that `holds` in each row, `[B, 1]`, built from its highest bit down.

    `holds` takes a candidate for each row, and must hold for 0 and for all below one that it
    holds for.
    """

    def next_bit(i, found):
        bit = ops.left_shift(ops.ones((), like.dtype), ops.cast(bits - 1 - i, like.dtype))
        return ops.where(holds(found | bit), found | bit, found)

    return ops.fori_loop(0, bits, next_bit, ops.zeros_like(like[:, :1]))


def _count(marks):
    return ops.sum(ops.cast(marks, "int32"), axis=1, keepdims=True)
