"""The nearest few gallery items of each query, exactly."""

import numpy as np
from numpy.typing import ArrayLike

from keras_proxygml.checks import check_integer, check_same_dims, check_vectors
from keras_proxygml.metrics._exact.nearest import nearest_rows, unit_rows
from keras_proxygml.metrics.inputs import check_itself


def nearest(
    embeddings: ArrayLike,
    k: int,
    *,
    gallery: ArrayLike | None = None,
    itself: ArrayLike | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest gallery items of each query by cosine similarity, exactly.

    Items that are equally similar stay in the order of the gallery.

    Args:
        embeddings: The queries. `[Q, D]`, finite.
        k: How many items to find.
        gallery: Items to search. `[M, D]`; by default the queries, each without itself.
        itself: Row of each query in the gallery, which is left out of its results; -1 for none.
            `[Q]`, integers. By default every item may be found.

    Returns:
        Their places in the gallery, `[Q, k]`, int64, the nearest first, and their similarities,
        `[Q, k]`, float64.

    Raises:
        ValueError: If shapes or values do not allow a search, or k is not between 1 and the number
            of items.
    """
    queries = check_vectors("embeddings", embeddings)
    items = queries if gallery is None else check_vectors("gallery", gallery)
    check_same_dims("gallery", items, "embeddings", queries)
    own = check_itself(itself, len(queries), None if gallery is None else len(items))
    if gallery is None:
        own = np.arange(len(queries))
    available = len(items) - (own is not None and own.max() >= 0)
    check_integer("k", k, 1, available, f"A query can find {available} items.")
    rows = columns = unit_rows(queries)
    if gallery is not None:
        columns = unit_rows(items)
    return nearest_rows(rows, [columns], k, own=own)
