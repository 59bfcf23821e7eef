"""Other ways to find each sample's k most similar proxies, for `head_speed.py`."""

import numpy as np
from keras import ops

from keras_proxygml import graph, selection
from keras_proxygml.graph import _ranked_first as by_top_k  # noqa: F401  what PyTorch takes
from keras_proxygml.selection import _halfway, _to_floats, _to_integers

# How often the floats between two limits are halved before their integers are. Similarities that
# differ need about 20 halvings. Equal ones near 0 would take many more.
_HALVINGS = 24


def select_by(select):
    """Makes the subgraphs of this process use another way to select."""
    graph.greatest = select


def by_bisection(numbers, k, start, width):
    """What `selection.greatest` marks, found by halving from the extremes on, without a guess."""
    guessed, selection._limits = selection._limits, _bisected_limits
    try:
        return selection.greatest(numbers, k, start, width)
    finally:
        selection._limits = guessed


def _bisected_limits(others, total, k):
    """Finds two limits per row, and how many numbers reach each. All `[B, 1]`.

    At least k reach the low limit and fewer than k the high one. Either exactly k reach the low
    limit, or no float lies between the two.
    """
    is_nan = ops.isnan(others.lanes)
    # The initial values are for a batch without rows, a replica's share of the last one.
    rows = {"axis": (1, 2), "keepdims": True}
    low = ops.min(ops.where(is_nan, np.inf, others.lanes), initial=np.inf, **rows)[:, 0]
    high = ops.max(ops.where(is_nan, -np.inf, others.lanes), initial=-np.inf, **rows)[:, 0]

    def is_searching(step, low, high, reach_low, reach_high):
        return ops.any(ops.logical_and(reach_low > k, high > low + 1))

    def narrow(step, low, high, reach_low, reach_high):
        middle = _to_integers((_to_floats(low) + _to_floats(high)) / 2)  # of infinity, any place
        middle = ops.where(step < _HALVINGS, middle, _halfway(low, high))
        middle = ops.clip(middle, low + 1, high - 1)
        limit = _to_floats(middle)
        reach = others.count(lambda numbers, _: numbers >= limit)
        is_low = reach >= k
        low, reach_low = ops.where(is_low, middle, low), ops.where(is_low, reach, reach_low)
        high, reach_high = ops.where(is_low, high, middle), ops.where(is_low, reach_high, reach)
        return step + 1, low, high, reach_low, reach_high

    low, high = _to_integers(low), _to_integers(high) + 1
    none = ops.zeros_like(low, dtype="int32")
    start = (ops.zeros((), "int32"), low, high, none + total, none)
    _, low, high, *reached = ops.while_loop(is_searching, narrow, start)
    return _to_floats(low), _to_floats(high), *reached
