"""How many of the true nearest items an approximate search finds."""

import numpy as np


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
