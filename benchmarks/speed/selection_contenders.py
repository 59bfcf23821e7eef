"""Other ways to find each sample's k most similar proxies, for `head_speed.py`."""

import numpy as np
from keras import ops

from keras_proxygml import graph, selection
from keras_proxygml.graph import _ranked_first as by_top_k  # noqa: F401  what PyTorch takes


def by_bisection(numbers, k, start, width):
    """What `selection.greatest` marks, by halving the interval of a row's numbers."""
    guessed, selection._limits = selection._limits, _halved_limits
    try:
        return selection.greatest(numbers, k, start, width)
    finally:
        selection._limits = guessed


def _halved_limits(others, total, k):
    lanes = others.lanes
    is_nan = ops.isnan(lanes)
    low = ops.min(ops.where(is_nan, np.inf, lanes), axis=(1, 2))[:, None]
    high = ops.max(ops.where(is_nan, -np.inf, lanes), axis=(1, 2))[:, None]
    low, high = selection._to_integers(low), selection._to_integers(high) + 1

    def is_searching(step, low, high, reach_low, reach_high):
        return ops.any(ops.logical_and(reach_low > k, high > low + 1))

    def narrow(step, low, high, reach_low, reach_high):
        # Floats are halved at first. Their integers end the search where numbers are equal.
        middle = (selection._to_floats(low) + selection._to_floats(high)) / 2
        middle = ops.where(step < 24, selection._to_integers(middle), selection._halfway(low, high))
        middle = ops.clip(middle, low + 1, high - 1)
        limit = selection._to_floats(middle)
        reach = others.count(lambda numbers, _: numbers >= limit)
        is_low = reach >= k
        low, reach_low = ops.where(is_low, middle, low), ops.where(is_low, reach, reach_low)
        high, reach_high = ops.where(is_low, high, middle), ops.where(is_low, reach_high, reach)
        return step + 1, low, high, reach_low, reach_high

    none = ops.zeros_like(low, dtype="int32")
    start = (ops.zeros((), "int32"), low, high, none + total, none)
    _, low, high, *reached = ops.while_loop(is_searching, narrow, start)
    return selection._to_floats(low), selection._to_floats(high), *reached


def select_by(select):
    """Makes the subgraph of this process use another way to select."""
    graph.greatest = select
