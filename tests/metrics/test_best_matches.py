"""The best of the own class and of any other, against plain loops over whole numbers."""

import hypothesis
import numpy as np
import pytest
import retrieval_oracle as oracle
from hypothesis import strategies as st

from keras_proxygml.metrics import best_matches
from keras_proxygml.metrics._exact import best
from keras_proxygml.metrics._exact.grid import unit_vectors
from keras_proxygml.metrics.best_matches import best_stored_matches


@st.composite
def labeled_sets(draw):
    """Vectors of few directions, so that ties abound, and ragged classes."""
    labels = draw(st.lists(st.integers(0, 4), min_size=2, max_size=24))
    vector = st.lists(st.integers(-2, 2), min_size=3, max_size=3)
    vectors = draw(st.lists(vector, min_size=len(labels), max_size=len(labels)))
    return np.array(vectors, "float32"), np.array(labels)


def expected(queries, labels, items, item_labels, itself):
    """Own and other similarity, and the label of the first best other, by loops."""
    points = [oracle.grid_points(v) for v in items]
    for q, query in enumerate(map(oracle.grid_points, queries)):
        own, other, other_label = -np.inf, -np.inf, None
        for i, point in enumerate(points):
            similarity = sum(a * b for a, b in zip(query, point, strict=True)) / 2**48
            if i == itself[q]:
                continue
            if item_labels[i] == labels[q]:
                own = max(own, similarity)
            elif similarity > other:
                other, other_label = similarity, item_labels[i]
        yield own, other, other_label


def check(found, wanted, names):
    own, other, labels = zip(*wanted, strict=True)
    assert found.own.tolist() == list(own)
    assert found.other.tolist() == list(other)
    assert [names.get(x) for x in found.other_classes.tolist()] == list(labels)


@pytest.fixture(params=["small tiles", "all exact", "large tiles"], autouse=True)
def tiles(request, monkeypatch):
    if request.param != "large tiles":
        monkeypatch.setattr(best, "HEIGHT", 3)
        monkeypatch.setattr(best, "WIDTH", 4)
    if request.param == "all exact":
        monkeypatch.setattr(best, "MANY", 0)


IN_ONE_PROCESS = hypothesis.settings(
    deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)


@IN_ONE_PROCESS
@hypothesis.given(labeled_sets())
def test_each_item_queries_the_others(data):
    vectors, labels = data
    found = best_matches(vectors, labels)
    names = dict(zip(found.classes.tolist(), labels.tolist(), strict=True))
    check(found, expected(vectors, labels, vectors, labels, range(len(labels))), names)
    assert (found.items, found.item_classes) == (len(labels), len(set(labels)))


@IN_ONE_PROCESS
@hypothesis.given(labeled_sets(), labeled_sets(), st.integers(1, 10))
def test_separate_gallery_and_stored_segments(queries, gallery, cut):
    (vectors, labels), (items, item_labels) = queries, gallery
    found = best_matches(vectors, labels, gallery=items, gallery_labels=item_labels)
    numbers = np.unique([*labels, *item_labels])
    names = dict(enumerate(numbers.tolist()))
    check(found, expected(vectors, labels, items, item_labels, [-1] * len(labels)), names)
    # The same from segments, in which one row has no label.
    without = np.zeros((1, 3), "float32")
    segments = [unit_vectors(x) for x in (items[:cut], without, items[cut:])]
    rows = np.delete(np.arange(len(items) + 1), min(cut, len(items)))
    stored = best_stored_matches(unit_vectors(vectors), labels, segments, item_labels, rows=rows)
    for name in ("own", "other", "classes", "other_classes", "items", "item_classes"):
        np.testing.assert_array_equal(getattr(stored, name), getattr(found, name))


def test_a_query_that_is_in_the_gallery():
    vectors, labels = np.random.default_rng(0).normal(size=(40, 5)), np.arange(40) % 7
    alone = best_matches(vectors, labels)
    rows = np.array([3, 30, 11])
    options = {"gallery": vectors, "gallery_labels": labels, "itself": rows}
    found = best_matches(vectors[rows], labels[rows], **options)
    np.testing.assert_array_equal(found.own, alone.own[rows])
    np.testing.assert_array_equal(found.other, alone.other[rows])


@pytest.mark.parametrize("spread", [0.0, 1e-7, 1e-5])
def test_differences_below_float32_count(spread):
    rng = np.random.default_rng(0)
    vectors, labels = 1 + spread * rng.normal(size=(60, 8)), rng.integers(0, 9, 60)
    found = best_matches(vectors, labels)
    wanted = list(expected(vectors, labels, vectors, labels, range(60)))
    assert found.own.tolist() == [x[0] for x in wanted]
    assert found.other.tolist() == [x[1] for x in wanted]


def test_labels_may_be_strings_of_any_length():
    vectors = np.eye(3) + 0.1
    gallery = {"gallery": vectors, "gallery_labels": ["a", "a longer one", "c"]}
    found = best_matches(vectors[:1], ["unknown"], **gallery)
    assert found.own.tolist() == [-np.inf]
    assert found.other_classes.tolist() == [0]
    assert found.labels.tolist() == ["unknown"]


def test_numpy_may_raise_on_everything():
    vectors, labels = np.random.default_rng(0).normal(size=(40, 5)), np.arange(40) % 7
    expected_matches = best_matches(vectors, labels)
    with np.errstate(all="raise"):
        found = best_matches(vectors * 1e-200, labels)
    np.testing.assert_array_equal(found.own, expected_matches.own)
    np.testing.assert_array_equal(found.other, expected_matches.other)
