"""How many of the true nearest items an approximate search finds."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_proxygml.metrics._exact.nearest import nearest_rows


def recall(
    search: Callable[..., tuple[np.ndarray, np.ndarray]],
    queries: np.ndarray,
    segments: Sequence[np.ndarray],
    k: int,
    **options: Any,
) -> float:
    """Which share of the k nearest items of some queries a search finds.

    Args:
        search: The search, with the arguments and results of `nearest_rows`.
        queries, segments, k: As in `nearest_rows`.
        **options: Its `allowed` and `own`.

    Returns:
        As `share_found`.
    """
    _, exact = nearest_rows(queries, segments, k, **options)
    _, found = search(queries, segments, k, **options)
    return share_found(found, exact)


def share_found(found: np.ndarray, exact: np.ndarray) -> float:
    """Which share of the k nearest items a search found, by their exact similarities.

    An item that is as similar as the k-th nearest counts as one of them.

    Args:
        found: Similarities of what the search found. `[Q, k]`, NaN for none.
        exact: Similarities of the k nearest items. `[Q, k]`, NaN for none.

    Returns:
        A number of 0 to 1; NaN if there was nothing to find.
    """
    last = np.fmin.reduce(exact, axis=1)[:, None]
    there = np.count_nonzero(exact >= last)
    return float(np.count_nonzero(found >= last) / there) if there else float("nan")
