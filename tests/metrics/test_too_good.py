"""Numbers that look too good come with a warning that names the cause."""

import numpy as np
import pytest

from keras_proxygml.metrics import (
    approximate_retrieval_metrics,
    clustering_metrics,
    query_results,
    retrieval_metrics,
)

VECTORS = np.random.default_rng(0).normal(size=(60, 8)).astype("float32")
LABELS = np.arange(60) % 12
RETRIEVAL = [
    retrieval_metrics,
    query_results,
    lambda *data, **options: approximate_retrieval_metrics(*data, index="Flat", **options),
]


@pytest.mark.parametrize("metrics", RETRIEVAL)
def test_queries_that_find_themselves(metrics):
    gallery = {"gallery": VECTORS[::-1], "gallery_labels": LABELS[::-1]}
    with pytest.warns(
        UserWarning, match="The first result of every query .* row of each query in `itself`"
    ):
        metrics(VECTORS, LABELS, **gallery)
    # An embedder rounds the same image differently in another batch.
    noisy = VECTORS * (1 + 1e-6 * np.random.default_rng(1).normal(size=VECTORS.shape))
    with pytest.warns(UserWarning, match="The first result of every query"):
        metrics(noisy, LABELS, **gallery)
    metrics(VECTORS, LABELS, **gallery, itself=np.arange(60)[::-1])  # warnings are errors
    metrics(np.r_[VECTORS[1:], -VECTORS[:1]], np.r_[LABELS[1:], LABELS[0]], **gallery)


@pytest.mark.parametrize("metrics", RETRIEVAL)
def test_items_that_are_there_twice(metrics):
    with pytest.warns(UserWarning, match="The first result of every query .* drop the copies"):
        metrics(np.tile(VECTORS, (2, 1)), np.tile(LABELS, 2))


def test_a_warning_points_to_the_caller():
    for metrics in (*RETRIEVAL, clustering_metrics):
        with pytest.warns(UserWarning, match="All items have the same label") as caught:
            metrics(VECTORS, LABELS * 0)
        assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize("metrics", [*RETRIEVAL, clustering_metrics])
@pytest.mark.parametrize("number", [2, 60])
def test_one_class(metrics, number):
    with pytest.warns(UserWarning, match="All items have the same label") as caught:
        metrics(VECTORS[:number], np.full(number, 7))
    assert len(caught) == 1


@pytest.mark.parametrize("metrics", RETRIEVAL)
def test_a_gallery_of_one_class(metrics):
    gallery = {"gallery": VECTORS[:9], "gallery_labels": np.zeros(9, int)}
    with pytest.warns(UserWarning, match="All items have the same label"):
        metrics(VECTORS[9:], LABELS[9:], **gallery)


def test_clustering_of_single_members():
    with pytest.warns(UserWarning, match="Each item has a label of its own"):
        assert clustering_metrics(VECTORS, np.arange(60))["nmi"] == 1.0


def test_collapsed_embedder_scores_zero_by_approximate_search():
    """Equal vectors fill a list in the order of the classes, which must not help."""
    labels = np.repeat(np.arange(4), 10)
    found = approximate_retrieval_metrics(np.ones((40, 3)), labels, index="Flat")
    for name in ("recall@1", "recall@8", "map@r", "r_precision"):
        assert found[name] == 0
