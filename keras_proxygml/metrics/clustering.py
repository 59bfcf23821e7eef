"""Clustering metrics: NMI, AMI and pairwise F1 of k-means with as many clusters as classes."""

import faiss
from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score
from sklearn.metrics.cluster import pair_confusion_matrix

from keras_proxygml.checks import check_integer
from keras_proxygml.metrics.inputs import check_set, number_classes
from keras_proxygml.metrics.threads import faiss_after_fork
from keras_proxygml.metrics.too_good import warn_of_one_class, warn_of_single_members
from keras_proxygml.metrics.vectors import unit_vectors

_ITERATIONS = 20  # as the official code has for Stanford Online Products


def clustering_metrics(embeddings, labels, *, seed=0, restarts=1):
    """NMI, AMI and pairwise F1 of a k-means clustering with as many clusters as classes.

    faiss clusters the unit vectors: the same seed gives the same clusters.

    Args:
        embeddings: `[N, D]`, finite floats of any length.
        labels: Class of each embedding. `[N]` or `[N, 1]`, integers or strings.
        seed: Seed of the first centroids. An integer of 0 or more.
        restarts: How many clusterings to try, 1 or more; that of the least inertia counts.

    Returns:
        A dict of floats: `nmi`, normalised by the arithmetic mean of both entropies; `ami`, the
        same adjusted for chance; `f1`, of the pairs of items that share a cluster against those
        that share a class.

    Raises:
        ValueError: If shapes, dtypes or values do not allow a clustering, or `seed` or `restarts`
            is out of range.

    Warns:
        UserWarning: If there is one class, or each item has a class of its own.

    Reference:
        Song et al., "Deep Metric Learning via Lifted Structured Feature Embedding", CVPR 2016 (NMI
        and F1 for retrieval); Vinh et al., JMLR 2010 (AMI).
    """
    check_integer("seed", seed, minimum=0)
    check_integer("restarts", restarts, minimum=1)
    embeddings, labels = check_set(embeddings, labels, "embeddings", "labels")
    (classes,) = number_classes(labels)
    warn_of_one_class(classes, stacklevel=2)
    warn_of_single_members(classes, stacklevel=2)
    clusters = _kmeans(unit_vectors(embeddings), int(classes.max()) + 1, seed, restarts)
    return {
        "nmi": float(normalized_mutual_info_score(classes, clusters, average_method="arithmetic")),
        "ami": float(adjusted_mutual_info_score(classes, clusters, average_method="arithmetic")),
        "f1": _pairwise_f1(classes, clusters),
    }


@faiss_after_fork()
def _kmeans(vectors, num_clusters, seed, restarts):
    kmeans = faiss.Kmeans(
        vectors.shape[1],
        num_clusters,
        niter=_ITERATIONS,
        nredo=restarts,
        seed=seed % 2**31,  # faiss has no larger integers
        # Every vector counts, and small classes are no reason for a warning.
        min_points_per_centroid=1,
        max_points_per_centroid=len(vectors),
    )
    kmeans.train(vectors)
    return kmeans.assign(vectors)[1]


def _pairwise_f1(classes, clusters):
    (_, false_pairs), (missed_pairs, true_pairs) = pair_confusion_matrix(classes, clusters)
    found = 2 * true_pairs + false_pairs + missed_pairs
    return float(2 * true_pairs / found) if found else 0.0
