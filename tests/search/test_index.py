import numpy as np
import pytest

from keras_proxygml.metrics._exact.nearest import nearest_rows, unit_rows
from keras_proxygml.search import index as index_module
from keras_proxygml.search.index import Index
from keras_proxygml.search.recall import recall


def clusters(items, dims=16, seed=0):
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(99).normal(size=(100, dims))
    return unit_rows(centers[rng.integers(100, size=items)] + 0.7 * rng.normal(size=(items, dims)))


@pytest.fixture
def items():
    return clusters(6000)


@pytest.fixture
def queries():
    return clusters(300, seed=1)


@pytest.fixture(autouse=True)
def _indexes_are_used(monkeypatch):
    monkeypatch.setattr(index_module, "FEW", 20)


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def equal(found, wanted):
    for got, expected in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("own", [None, np.arange(300)])
def test_an_index_that_misses_nothing_is_exact(items, queries, own):
    items[::1000] = items[3]  # equal items come by row
    segments = np.array_split(items, 4)
    index = Index.build("Flat", segments)
    wanted = nearest_rows(queries, segments, 10, own=own)
    equal(index.search(queries, segments, 10, own=own), wanted)
    assert recall(index.search, queries, segments, 10, own=own) == 1.0


@pytest.mark.parametrize("factory", ["Flat", "HNSW16", "IVF16,SQ8"])
def test_similarities_are_exact_and_queries_independent(items, queries, factory):
    index = Index.build(factory, [items])
    rows, similarities = index.search(queries, [items], 5)
    exact = np.einsum("qkd,qd->qk", items[rows].astype("float64"), queries.astype("float64"))
    np.testing.assert_array_equal(similarities, exact)
    assert (np.diff(similarities, axis=1) <= 0).all()
    parts = [index.search(queries[i : i + 100], [items], 5)[0] for i in range(0, 300, 100)]
    np.testing.assert_array_equal(np.concatenate(parts), rows)


def test_recall_is_the_share_of_true_neighbors(items, queries):
    index = Index.build("IVF64,Flat", [items])
    rows, _ = index.search(queries, [items], 10)
    true, _ = nearest_rows(queries, [items], 10)
    share = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows, true, strict=True)])
    assert recall(index.search, queries, [items], 10) == pytest.approx(share)
    assert 0.3 < share < 0.9
    thorough = Index.build("IVF64,Flat", [items], settings="nprobe=64")
    assert recall(thorough.search, queries, [items], 10) == 1.0
    assert recall(Index.build("HNSW32", [items]).search, queries, [items], 10) > 0.95
    assert np.isnan(recall(index.search, queries, [items], 10, allowed=np.zeros(6000, bool)))


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("factory", ["Flat", "HNSW16", "IVF64,Flat"])
def test_filters_leave_k_results(items, queries, factory, share):
    allowed = np.random.default_rng(0).random(len(items)) < share
    index = Index.build(factory, [items])
    rows, _ = index.search(queries, [items], 10, allowed=allowed)
    assert allowed[rows].all()
    assert (np.diff(np.sort(rows, axis=1), axis=1) > 0).all()
    if factory == "Flat":
        equal(index.search(queries, [items], 10, allowed=allowed), exact(queries, items, allowed))


def exact(queries, items, allowed):
    return nearest_rows(queries, [items], 10, allowed=allowed)


def test_a_filter_far_from_the_query_is_searched_exactly(items, queries):
    near = items @ queries[0]
    allowed = near < np.quantile(near, 0.4)  # the index lists what is near, which is not allowed
    index = Index.build("IVF64,Flat", [items])
    equal(
        index.search(queries[:1], [items], 10, allowed=allowed),
        exact(queries[:1], items, allowed),
    )


def test_k_results_come_if_there_are_k(items, queries):
    allowed = np.zeros(len(items), bool)
    allowed[7:12] = True
    rows, similarities = Index.build("HNSW16", [items]).search(queries, [items], 8, allowed=allowed)
    assert (np.sort(rows[:, :5], axis=1) == np.arange(7, 12)).all()
    assert (rows[:, 5:] == -1).all()
    assert np.isnan(similarities[:, 5:]).all()


def test_rows_it_does_not_hold_are_searched_exactly(items, queries):
    held = np.arange(4000) % 7 > 0
    index = Index.build("Flat", [items[:4000]], allowed=held)
    assert index.covered == 4000
    segments = [items[:4000], items[4000:]]
    equal(index.search(queries, segments, 10), nearest_rows(queries, segments, 10))
    removed = np.random.default_rng(0).random(6000) < 0.8
    equal(index.search(queries, segments, 10, allowed=removed), exact(queries, items, removed))


@pytest.mark.parametrize(
    ("factory", "settings"), [("Nonsense", ""), ("IVF7000,Flat", ""), ("Flat", "nprobe=3")]
)
def test_what_faiss_refuses(items, factory, settings):
    message = (
        rf"`index` must be .* 6000 items of 16 numbers.* index='{factory}', settings='{settings}"
    )
    with pytest.raises(ValueError, match=message):
        Index.build(factory, [items], settings=settings)
