"""What `retrieval_speed` compares: functions of embeddings and labels that return metrics.

The first line of each docstring says what it computes, in the table too.
"""

import numpy as np

TOP = (1, 10, 100, 1000)


def make_data(items, dims, classes, noise, seed=0):
    """Class centres and noise; every class has two members or more, as in the paper's data."""
    rng = np.random.default_rng(seed)
    sizes = 2 + rng.multinomial(items - 2 * classes, np.full(classes, 1 / classes))
    labels = rng.permutation(np.repeat(np.arange(classes), sizes))
    spread = noise * np.exp(0.3 * rng.standard_normal((items, 1), dtype="float32"))
    vectors = rng.standard_normal((classes, dims), dtype="float32")[labels]
    vectors += spread * rng.standard_normal((items, dims), dtype="float32")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, labels


def ours(vectors, labels, **options):
    """Recall@1, 10, 100, 1000, MAP@R, R-precision, MRR."""
    from keras_proxygml.metrics import retrieval_metrics

    return retrieval_metrics(vectors, labels, k=TOP, **options)


def ours_in_2_gib(vectors, labels):
    """The same, with a budget of 2 GiB and its progress on stderr."""
    return ours(vectors, labels, memory_budget=2**31, progress=True)


def ours_with_nmi(vectors, labels):
    """Recall@1, 2, 4, 8, MAP@R, R-precision, MRR; NMI, AMI, F1."""
    from keras_proxygml.metrics import clustering_metrics, retrieval_metrics

    return retrieval_metrics(vectors, labels) | clustering_metrics(vectors, labels)


def numpy_product(vectors, labels, block=2048):
    """All products of pairs in float32, block by block into one buffer, and nothing else."""
    out = np.empty((block, len(vectors)), "float32")
    for i in range(0, len(vectors), block):
        rows = vectors[i : i + block]
        np.matmul(rows, vectors.T, out=out[: len(rows)])
    return {}


def faiss_search(vectors, labels, k=1001):
    """`IndexFlatIP.search` for the 1001 nearest, of which Recall@K would be read."""
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    near = index.search(vectors, k)[1]
    return {"recall@1": float((labels[near[:, 1]] == labels).mean())}


def pytorch_metric_learning(vectors, labels, extra=()):
    """`AccuracyCalculator(k="max_bin_count")`: Precision@1, MAP@R, R-precision, MRR."""
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    include = ("precision_at_1", "mean_average_precision_at_r", "r_precision", *extra)
    if not extra:
        include = (*include, "mean_reciprocal_rank")
    calculator = AccuracyCalculator(include=include, k="max_bin_count")
    return calculator.get_accuracy(vectors, labels)


def pytorch_metric_learning_with_nmi(vectors, labels):
    """`AccuracyCalculator(k="max_bin_count")`: Precision@1, MAP@R, R-precision; NMI, AMI."""
    return pytorch_metric_learning(vectors, labels, extra=("NMI", "AMI"))


def least_work(vectors, labels, edge=1024):
    """Each pair's float32 product once, in tiles, and faiss's k-means: what none can do without."""
    import faiss

    for i in range(0, len(vectors), edge):
        for j in range(i, len(vectors), edge):
            vectors[i : i + edge] @ vectors[j : j + edge].T
    kmeans = faiss.Kmeans(
        vectors.shape[1],
        len(np.unique(labels)),
        niter=20,
        min_points_per_centroid=1,
        max_points_per_centroid=len(vectors),
    )
    kmeans.train(vectors)
    kmeans.assign(vectors)
    return {}


def official_code(vectors, labels):
    """The official ProxyGML `evaluation.py`: Recall@1, 2, 4, 8 by a full sort, NMI by sklearn."""
    from sklearn.cluster import KMeans
    from sklearn.metrics import normalized_mutual_info_score

    # n_init was 10 by default in the scikit-learn 0.20.3 that it asks for.
    kmeans = KMeans(n_clusters=int(labels.max()) + 1, n_init=10).fit(vectors)
    nmi = normalized_mutual_info_score(labels, kmeans.labels_, average_method="arithmetic")
    similarities = vectors.dot(vectors.T)
    np.fill_diagonal(similarities, similarities.min() - 1)
    near = labels[np.argsort(-similarities, axis=1)[:, :8]]
    hits = {k: sum(labels[j] in near[j, :k] for j in range(len(labels))) for k in (1, 2, 4, 8)}
    return {"nmi": nmi, **{f"recall@{k}": hit / len(labels) for k, hit in hits.items()}}
