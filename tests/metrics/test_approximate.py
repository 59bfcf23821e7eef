import numpy as np
import pytest

from keras_proxygml.metrics.approximate import approximate_retrieval_metrics
from keras_proxygml.metrics.retrieval import retrieval_metrics


def clusters(items=900, classes=120, dims=8, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, items)
    vectors = rng.normal(size=(classes, dims))[labels] + 0.5 * rng.normal(size=(items, dims))
    return vectors.astype("float32"), labels


def without(metrics, *names):
    return {name: value for name, value in metrics.items() if name not in names}


@pytest.mark.parametrize("separate", [False, True])
def test_an_index_that_misses_nothing_is_exact(separate):
    vectors, labels = clusters()
    vectors[::9] = vectors[0]  # and ties still count against
    gallery = {"gallery": vectors[200:], "gallery_labels": labels[200:]} if separate else {}
    queries = (vectors[:200], labels[:200]) if separate else (vectors, labels)
    expected = retrieval_metrics(*queries, **gallery)
    # Ties beyond the end of a list are not seen: long lists keep them in.
    k = (1, 2, 4, 8, 300)
    found = approximate_retrieval_metrics(*queries, index="Flat", k=k, **gallery)
    recalls = {name: found.pop(name) for name in list(found) if name.startswith("index_")}
    assert recalls == {f"index_recall@{n}": 1.0 for n in k}
    assert without(found, "recall@300") == pytest.approx(without(expected, "mrr"), abs=1e-12)


def test_queries_in_the_gallery_do_not_find_themselves():
    vectors, labels = clusters()
    itself = np.where(np.arange(300) % 3 == 0, -1, np.arange(100, 400))
    gallery = {"gallery": vectors, "gallery_labels": labels, "itself": itself}
    queries = vectors[100:400] * np.where(itself < 0, 1.01, 1)[:, None], labels[100:400]
    expected = retrieval_metrics(*queries, **gallery)
    found = approximate_retrieval_metrics(*queries, index="Flat", **gallery)
    assert all(found.pop(f"index_recall@{n}") == 1.0 for n in (1, 2, 4, 8))
    assert found == pytest.approx(without(expected, "mrr"), abs=1e-12)


def test_what_an_index_misses_is_reported():
    vectors, labels = clusters()
    poor, good = (
        approximate_retrieval_metrics(vectors, labels, index="IVF20,Flat", search=f"nprobe={n}")
        for n in (1, 20)
    )
    assert 0.2 < poor["index_recall@8"] < 0.9
    assert poor["index_recall@8"] < poor["index_recall@1"]
    assert poor["recall@1"] < good["recall@1"]
    assert good["index_recall@8"] == 1.0
    # A sample of the queries tells about the same.
    few = approximate_retrieval_metrics(vectors, labels, index="IVF20,Flat", checked=300)
    assert few["index_recall@8"] == pytest.approx(poor["index_recall@8"], abs=0.05)


def test_k_beyond_the_gallery():
    vectors, labels = clusters(items=40, classes=4)
    found = approximate_retrieval_metrics(vectors, labels, index="Flat", k=100)
    assert found["recall@100"] == found["index_recall@100"] == 1.0


def test_very_large_classes_have_no_precision_at_r():
    vectors, labels = clusters(items=2400, classes=2)
    found = approximate_retrieval_metrics(vectors, labels, index="Flat", k=1, checked=50)
    assert set(found) == {"recall@1", "queries_without_match", "index_recall@1"}
    assert found["recall@1"] == retrieval_metrics(vectors, labels, k=1)["recall@1"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"index": "Nonsense"},
            r"`index` must be .* 200 items of 8 numbers.* Received: index='Nonsense', search=''",
        ),
        (
            {"index": "IVF2,Flat", "search": "nonsense=3"},
            "Received: index='IVF2,Flat', search='nonsense=3'",
        ),
        ({"index": "Flat", "k": 0}, r"`k` must be .* Received: k=0"),
        (
            {"index": "Flat", "gallery": np.ones((2, 8))},
            r"`gallery_labels` must be given .* Received: gallery_labels=None",
        ),
        (
            {"index": "Flat", "checked": 0},
            r"`checked` must be an integer of 1 or more\. Received: checked=0",
        ),
    ],
)
def test_errors_say_what_came(options, message):
    with pytest.raises(ValueError, match=message):
        approximate_retrieval_metrics(*clusters(items=200, classes=20), **options)
