"""Where the proxies of a new class start."""

import warnings

import numpy as np

from keras_proxygml.checks import refuse

NOISE = 0.1  # the angle, in radians, between a vector and its copy


def spherical_centers(embeddings, num_centers, label, seed):
    """Directions that stand for the embeddings of one class.

    Args:
        embeddings: Embeddings of the class, of any length. `[n, D]`, floats.
        num_centers: N, how many directions to find.
        label: The class, for the error.
        seed: Seed of the k-means and of the noise, an integer.

    Returns:
        Unit vectors, no two of them equal. `[N, D]`, float64.

    Raises:
        ValueError: If all embeddings are 0.
    """
    lengths = np.linalg.norm(embeddings.astype("float64"), axis=1, keepdims=True)
    units = (embeddings / np.where(lengths > 0, lengths, 1.0))[lengths[:, 0] > 0]
    if not len(units):
        refuse(
            "inputs",
            "have embeddings other than 0",
            f"{len(embeddings)} items of class {label}, whose embeddings are all 0",
            "The inputs may be empty, or not scaled as in training.",
        )
    centers = np.unique(units, axis=0)
    if len(centers) > num_centers:
        centers = np.unique(_spherical_kmeans(units, num_centers, seed), axis=0)
    rng = np.random.default_rng([seed, label])
    copies = centers[np.arange(num_centers - len(centers)) % len(centers)]
    noise = rng.normal(size=copies.shape)
    noise *= NOISE / np.linalg.norm(noise, axis=1, keepdims=True)
    return np.concatenate([centers, _unit(copies + noise)])


def _spherical_kmeans(units, num_centers, seed):
    """k-means of unit vectors, whose centers are made unit vectors. `[N, D]`."""
    if num_centers == 1:
        members = np.zeros(len(units), int)
    else:
        from sklearn.cluster import KMeans

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there are fewer different vectors than centers
            members = KMeans(num_centers, n_init=10, random_state=seed).fit_predict(units)
    groups = [units[members == i] for i in np.unique(members)]
    means = [group.mean(axis=0) for group in groups]
    # Vectors that point everywhere have no mean direction. Then one of them stands for all.
    means = [x if np.linalg.norm(x) > 1e-6 else g[0] for x, g in zip(means, groups, strict=True)]
    return _unit(np.stack(means))


def _unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
