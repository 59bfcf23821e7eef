"""Exact ranks of own-class items: the engine under the retrieval metrics."""

import numpy as np

# A unit vector on the grid of 2**-24 has products that are multiples of 2**-48 and partial sums
# that stay near 1, so 53 bits hold every one of them: a float64 matrix product is exact, whatever
# the order in which a BLAS adds. Hence equal vectors tie, and results depend on nothing but data.
GRID = 2.0**24
# Below every similarity; own-class items are set to it once they are read.
OUTSIDE = -2.0


def unit_vectors(embeddings):
    """Scales vectors to unit length and rounds them to the grid of 2**-24.

    Args:
        embeddings: `[N, D]`, any real dtype. A zero vector stays zero.

    Returns:
        `[N, D]`, float32, which holds every point of the grid exactly.
    """
    x = np.ascontiguousarray(embeddings, "float64")
    largest = np.abs(x).max(axis=1, keepdims=True, initial=0.0)
    x = x / np.where(largest > 0, largest, 1.0)  # squares neither overflow nor vanish
    length = np.sqrt((x * x).sum(axis=1, keepdims=True))
    return (np.rint(x / np.where(length > 0, length, 1.0) * GRID) / GRID).astype("float32")


def own_class_ranks(similarities, own):
    """Ranks of one query's own-class items; an item of another class that ties comes first.

    Args:
        similarities: The query's similarity to each gallery item but itself. `[M]`.
        own: Whether the item has the query's class. `[M]`, bool.

    Returns:
        The ranks in rising order. `[R]`, integers from 1.
    """
    matches = np.sort(similarities[own])[::-1]
    others = np.sort(similarities[~own])
    ahead = len(others) - np.searchsorted(others, matches, side="left")
    return np.arange(1, len(matches) + 1) + ahead
