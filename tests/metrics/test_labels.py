"""Labels name classes: the metrics never calculate with them."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from keras_proxygml.metrics import (
    approximate_retrieval_metrics,
    clustering_metrics,
    compare_results,
    confidence_intervals,
    query_results,
    retrieval_metrics,
)

CLASSES = 24
NUMBERS = np.arange(96) % CLASSES
VECTORS = np.random.default_rng(1).normal(size=(CLASSES, 6))[NUMBERS]
VECTORS = VECTORS + 0.5 * np.random.default_rng(2).normal(size=VECTORS.shape)
DTYPES = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]


def names(dtype):
    """As many distinct numbers of a dtype, its ends often among them."""
    ends = np.iinfo(dtype)
    number = st.integers(int(ends.min), int(ends.max))
    number = st.sampled_from([int(ends.max), int(ends.max) - 1, int(ends.min)]) | number
    return st.lists(number, min_size=CLASSES, max_size=CLASSES, unique=True)


def of_one_set(labels):
    """All metrics of labels `[96]`."""
    found = retrieval_metrics(VECTORS, labels) | clustering_metrics(VECTORS, labels)
    approximate = approximate_retrieval_metrics(VECTORS, labels, index="Flat", checked=9)
    return found | {f"approximate {name}": value for name, value in approximate.items()}


def of_two_sets(labels, gallery_labels):
    """Metrics of queries in a gallery that may be labeled in another dtype."""
    gallery = {"gallery": VECTORS[40:], "gallery_labels": gallery_labels[40:]}
    return retrieval_metrics(VECTORS[:40], labels[:40], **gallery)


@pytest.fixture(scope="module")
def expected():
    return of_one_set(NUMBERS), of_two_sets(NUMBERS, NUMBERS)


@hypothesis.settings(deadline=None, max_examples=20)
@hypothesis.given(st.data(), st.sampled_from(DTYPES))
def test_metrics_do_not_depend_on_the_numbering(expected, data, dtype):
    labels = np.array(data.draw(names(dtype)), dtype)[NUMBERS]
    assert of_one_set(labels) == pytest.approx(expected[0], abs=1e-12)
    assert of_two_sets(labels, labels) == expected[1]


def test_the_greatest_number_of_a_dtype_may_be_a_label(expected):
    for dtype in DTYPES:
        labels = np.where(NUMBERS == CLASSES - 1, np.iinfo(dtype).max, NUMBERS).astype(dtype)
        assert retrieval_metrics(VECTORS, labels).items() <= expected[0].items()


@hypothesis.settings(deadline=None, max_examples=20)
@hypothesis.given(st.data(), st.permutations(DTYPES))
def test_queries_and_gallery_of_different_dtypes(expected, data, dtypes):
    low = max(int(np.iinfo(dtype).min) for dtype in dtypes[:2])
    high = min(int(np.iinfo(dtype).max) for dtype in dtypes[:2])
    number = st.integers(low, high) | st.integers(max(low, high - 64), high)
    drawn = data.draw(st.lists(number, min_size=CLASSES, max_size=CLASSES, unique=True))
    labels = (np.array(drawn, dtype)[NUMBERS] for dtype in dtypes[:2])
    assert of_two_sets(*labels) == expected[1]


def test_numbers_that_are_equal_as_float64_or_modulo_2_to_the_64():
    # 2**63 - 1 and 2**63 are one float64; -1 is 2**64 - 1 in unsigned arithmetic.
    queries, gallery = np.array([2**63 - 1, -1, 5]), np.array([2**63, 2**64 - 1, 5], "uint64")
    found = query_results(np.eye(3), queries, gallery=np.eye(3), gallery_labels=gallery)
    assert found.matches.tolist() == [0, 0, 1]


@pytest.mark.parametrize("form", [list, np.array, lambda x: np.array(x, object)[:, None]])
def test_strings_name_classes_too(expected, form):
    labels = form([f"class {c}" for c in NUMBERS.tolist()])
    assert of_one_set(labels) == pytest.approx(expected[0], abs=1e-12)
    assert of_two_sets(labels, labels) == expected[1]


def test_results_keep_the_labels_of_the_user():
    for labels in (
        np.iinfo("uint64").max - NUMBERS.astype("uint64"),
        NUMBERS.astype("int16") - 300,
        np.array([f"{c:02d}" for c in NUMBERS]),
    ):
        results = query_results(VECTORS, labels)
        assert results.labels.dtype == labels.dtype
        np.testing.assert_array_equal(results.labels, labels)
        classes, means = results.by_class()
        assert classes.dtype == labels.dtype
        np.testing.assert_array_equal(classes, np.unique(labels))
        own = results.average_precision[labels == classes[3]]
        assert means["map@r"][3] == pytest.approx(own.mean())
        plain = query_results(VECTORS, np.unique(labels, return_inverse=True)[1])
        assert confidence_intervals(results) == confidence_intervals(plain)
        assert compare_results(results, results)["map@r"].p_value == 1


@pytest.mark.parametrize(
    "labels",
    [
        NUMBERS * 1.0,
        NUMBERS > 3,
        NUMBERS.astype("m8[s]"),
        [1, "1"] * 48,
        [1, None] * 48,
        [2**64, 1] * 48,
        [-1, 2**63] * 48,  # which NumPy makes float64
    ],
)
@pytest.mark.parametrize("metrics", [retrieval_metrics, clustering_metrics])
def test_what_names_no_class_is_refused(metrics, labels):
    with pytest.raises(ValueError, match=r"`labels` must be integers or strings, \[N\] or"):
        metrics(VECTORS, labels)


def test_bytes_are_strings(expected):
    names = np.char.add("class ", NUMBERS.astype(str))
    assert of_one_set(names.astype("S")) == of_one_set(names)
    assert of_two_sets(names.astype("S"), names.astype("S").tolist()) == of_two_sets(names, names)
