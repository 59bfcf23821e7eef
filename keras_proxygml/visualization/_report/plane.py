"""Where each item is on the map."""

import numpy as np

from keras_proxygml.visualization.embeddings import tsne

MOST = 2000  # embeddings that the t-SNE is computed of; its time grows faster than their number
NEIGHBORS = 3
UNITS = 4095  # places are integers from 0 to this, which makes the page smaller


def places_on_map(vectors: np.ndarray, seed: int) -> tuple[np.ndarray, str]:
    """Places embeddings on a map, those of a small cosine distance together.

    Args:
        vectors: `[N, D]`.
        seed: Seed of the t-SNE, and of the sample that it is computed of.

    Returns:
        Places, `[N, 2]`, integers from 0 to 4095, and how they were found, in a sentence.
    """
    from sklearn.preprocessing import normalize

    units = normalize(vectors.astype("float32"))
    points, how = _placed(units, seed)
    points = np.pad(points, ((0, 0), (0, 2 - points.shape[1])))
    low, span = points.min(axis=0), max(np.ptp(points, axis=0).max(), 1e-9)
    return np.rint((points - low) / span * UNITS).astype(int), how


def _placed(units, seed):
    """Points of unit vectors, `[N, 2]` or less, and how they were found."""
    from sklearn.neighbors import KNeighborsRegressor

    if len(units) < 4:
        points, how = units[:, :2], "The map shows the first two numbers of each embedding."
    elif len(units) <= MOST:
        points, how = tsne(units, seed), f"The map is a t-SNE of all {len(units):,} embeddings."
    else:
        some = np.sort(np.random.default_rng(seed).choice(len(units), MOST, replace=False))
        fitted = KNeighborsRegressor(NEIGHBORS, weights="distance", algorithm="brute")
        points = fitted.fit(units[some], tsne(units[some], seed)).predict(units)
        how = (
            f"The map is a t-SNE of {MOST:,} random embeddings. Each of the other "
            f"{len(units) - MOST:,} is among its {NEIGHBORS} nearest of these."
        )
    return points, how
