import hypothesis
import numpy as np
import pytest
import retrieval_oracle as oracle
from hypothesis import strategies as st

from keras_proxygml.metrics._exact import nearest as engine
from keras_proxygml.metrics._exact import scan
from keras_proxygml.metrics.neighbors import nearest

VECTORS = st.lists(st.lists(st.integers(-2, 2), min_size=3, max_size=3), min_size=2, max_size=20)


def expected(queries, items, k, own=()):
    """Places of the k nearest, the first of equals first; own is the place of each query."""
    queries, items = ([oracle.grid_points(v) for v in x] for x in (queries, items))
    found = []
    for q, query in enumerate(queries):
        similar = [-sum(a * b for a, b in zip(query, item, strict=True)) for item in items]
        order = sorted((s, i) for i, s in enumerate(similar) if list(own[q : q + 1]) != [i])
        found.append([i for _, i in order[:k]])
    return found


@pytest.mark.parametrize("spare", [0, 8])
@hypothesis.settings(deadline=None)
@hypothesis.given(vectors=VECTORS, data=st.data())
def test_nearest_of_itself(spare, vectors, data):
    k = data.draw(st.integers(1, len(vectors) - 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "SPARE", spare)
        patch.setattr(scan, "PRODUCTS", 1)
        patch.setattr(scan, "NARROW", 4)
        places, _ = nearest(np.array(vectors), k)
    assert places.tolist() == expected(vectors, vectors, k, own=range(len(vectors)))


@pytest.mark.parametrize("spare", [0, 8])
@hypothesis.settings(deadline=None)
@hypothesis.given(queries=VECTORS, gallery=VECTORS, data=st.data())
def test_nearest_of_a_gallery_that_holds_some_queries(spare, queries, gallery, data):
    row = st.integers(-1, len(gallery) - 1)
    itself = data.draw(st.lists(row, min_size=len(queries), max_size=len(queries)))
    k = data.draw(st.integers(1, len(gallery) - 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "SPARE", spare)
        patch.setattr(scan, "PRODUCTS", 1)
        patch.setattr(scan, "NARROW", 4)
        places, _ = nearest(np.array(queries), k, gallery=gallery, itself=itself)
    assert places.tolist() == expected(queries, gallery, k, own=itself)


@hypothesis.settings(deadline=None)
@hypothesis.given(VECTORS, VECTORS)
def test_nearest_of_a_gallery(queries, gallery):
    places, similarities = nearest(queries, 1, gallery=gallery)
    assert places.tolist() == expected(queries, gallery, 1)
    for query, (place,), (similarity,) in zip(queries, places, similarities, strict=True):
        item = np.array(gallery[place])
        lengths = np.linalg.norm(query) * np.linalg.norm(item) or 1.0
        assert similarity == pytest.approx(np.dot(query, item) / lengths, abs=1e-6)


def test_differences_below_float32_count():
    rng = np.random.default_rng(0)
    vectors = (1 + 1e-6 * rng.normal(size=(150, 5))).astype("float32")
    places, _ = nearest(vectors, 4)
    assert places.tolist() == expected(vectors, vectors, 4, own=range(150))


@pytest.mark.parametrize(
    ("k", "gallery", "message"),
    [
        (0, None, r"`k` must be an integer of 1 to 4\. Received: k=0"),
        (5, None, r"an integer of 1 to 4\. Received: k=5"),
        (1, np.ones((2, 2)), r"`gallery` must be \[N, 3\], .* Received: shape \(2, 2\)"),
        (1, np.full((2, 3), np.nan), r"`gallery` must be finite\. Received: 2 of 2 rows"),
    ],
)
def test_errors_say_what_came(k, gallery, message):
    with pytest.raises(ValueError, match=message):
        nearest(np.ones((5, 3)), k, gallery=gallery)


def test_itself_leaves_one_item_less():
    vectors = np.eye(5, 3)
    with pytest.raises(ValueError, match=r"1 to 4\. Received: k=5"):
        nearest(vectors, 5, gallery=vectors, itself=np.arange(5))
    assert nearest(vectors, 5, gallery=vectors, itself=[-1] * 5)[0].shape == (5, 5)
    with pytest.raises(ValueError, match="`itself` must be None where there is no gallery"):
        nearest(vectors, 1, itself=np.arange(5))
    with pytest.raises(ValueError, match=r"from -1 to 4\. Received: 0 to 5"):
        nearest(vectors, 1, gallery=vectors, itself=[0, 1, 2, 3, 5])
