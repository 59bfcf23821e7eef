"""NMI, AMI and pairwise F1 of k-means."""

import itertools

import numpy as np
import pytest

from keras_proxygml import clustering_metrics


def blobs(noise, classes=7, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), rng.integers(2, 30, classes))
    centers = rng.normal(size=(classes, 16))
    return centers[labels] + noise * rng.normal(size=(len(labels), 16)), labels * 5 + 3


def test_separate_classes_score_one_whatever_their_length():
    embeddings, labels = blobs(0.0, classes=4)
    lengths = np.random.default_rng(1).uniform(0.1, 9, (len(labels), 1))
    metrics = clustering_metrics(embeddings * lengths, labels, restarts=20)
    assert metrics == pytest.approx({"nmi": 1.0, "ami": 1.0, "f1": 1.0})


def test_numpy_numbers_are_those_of_python():
    embeddings, labels = blobs(0.5)
    expected = clustering_metrics(embeddings, labels, seed=3, restarts=2)
    assert (
        clustering_metrics(embeddings, labels, seed=np.int64(3), restarts=np.int64(2)) == expected
    )


def test_random_labels_score_near_chance():
    embeddings, labels = blobs(1.0)
    labels = np.random.default_rng(2).permutation(labels)
    metrics = clustering_metrics(embeddings, labels)
    assert abs(metrics["ami"]) < 0.1
    assert metrics["nmi"] > metrics["ami"]  # what adjusting for chance takes off


def test_definitions_on_the_clusters_found(monkeypatch):
    """NMI by the arithmetic mean of the entropies, F1 over all pairs, written out."""
    clusters, labels = np.array([0, 0, 0, 1, 1, 2]), np.array([4, 4, 5, 5, 5, 4])
    monkeypatch.setattr("keras_proxygml.metrics.clustering._kmeans", lambda *_: clusters)
    metrics = clustering_metrics(np.eye(6), labels)
    pairs = list(itertools.combinations(range(6), 2))
    together = [(clusters[i] == clusters[j], labels[i] == labels[j]) for i, j in pairs]
    shared = sum(a and b for a, b in together)
    found, wanted = sum(a for a, _ in together), sum(b for _, b in together)
    assert metrics["f1"] == pytest.approx(2 * shared / (found + wanted))

    def entropy(*groups):
        _, counts = np.unique(np.stack(groups), axis=1, return_counts=True)
        return -np.sum(counts / 6 * np.log(counts / 6))

    mutual = entropy(labels) + entropy(clusters) - entropy(labels, clusters)
    assert metrics["nmi"] == pytest.approx(2 * mutual / (entropy(labels) + entropy(clusters)))


def test_a_seed_gives_the_same_clusters():
    embeddings, labels = blobs(1.5)
    first, again, other = (clustering_metrics(embeddings, labels, seed=s) for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_bad_input():
    embeddings, labels = blobs(0.1)
    with pytest.raises(ValueError, match=r"integers or strings, .* dtype float64"):
        clustering_metrics(embeddings, labels.astype(float))
    embeddings[3, 2] = np.nan
    with pytest.raises(
        ValueError, match=r"`embeddings` must be finite\. Received: 1 of \d+ rows .* index 3"
    ):
        clustering_metrics(embeddings, labels)
