"""Identification with unknown queries, against plain loops over whole numbers and scikit-learn."""

import math

import hypothesis
import numpy as np
import pytest
import retrieval_oracle as oracle
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from keras_proxygml.metrics import (
    IdentificationResults,
    identification_intervals,
    identification_metrics,
    identification_results,
)

RATES = (0.5, 0.2)


@st.composite
def labeled_sets(draw, classes):
    """Vectors of few directions, so that ties abound."""
    labels = draw(st.lists(classes, min_size=2, max_size=16))
    vector = st.lists(st.integers(-2, 2), min_size=3, max_size=3)
    vectors = draw(st.lists(vector, min_size=len(labels), max_size=len(labels)))
    return np.array(vectors, "float32"), np.array(labels)


def answers(queries, gallery):
    """Whether known, whether right, and the score of each query, by loops."""
    items = [(oracle.grid_points(v), label) for v, label in zip(*gallery, strict=True)]
    for vector, label in zip(*queries, strict=True):
        point = oracle.grid_points(vector)
        similar = [(sum(a * b for a, b in zip(point, p, strict=True)) / 2**48, x) for p, x in items]
        score = max(s for s, _ in similar)
        best = {x for s, x in similar if s == score}  # several classes tie: wrong
        yield label in {x for _, x in items}, best == {label}, score


def expected(found, rates):
    known = [(right, score) for is_known, right, score in found if is_known]
    unknown = [score for is_known, _, score in found if not is_known]
    metrics = {}
    scores = sorted({score for *_, score in found})
    for rate in rates:
        fits = [t for t in scores if sum(s >= t for s in unknown) <= rate * len(unknown)]
        threshold = fits[0] if fits else np.nextafter(scores[-1], 9)
        tpir = sum(right and score >= threshold for right, score in known) / len(known)
        measurable = rate * len(unknown) >= 1
        metrics[f"tpir@fpir={rate:g}"] = tpir if measurable else math.nan
        metrics[f"threshold@fpir={rate:g}"] = threshold if measurable else math.nan
    nan, pairs = math.nan, len(known) * len(unknown)
    metrics |= {"auroc": nan, "fpr95": nan, "oscr": nan}
    if unknown:
        wins = sum((s > u) + (s >= u) for _, s in known for u in unknown)
        metrics["auroc"] = wins / 2 / pairs
        fits = [t for t in scores if sum(s >= t for _, s in known) >= 0.95 * len(known)]
        metrics["fpr95"] = sum(u >= fits[-1] for u in unknown) / len(unknown)
        metrics["oscr"] = sum(right and s > u for right, s in known for u in unknown) / pairs
    order = sorted(found, key=lambda x: (-x[2], x[1]))
    rights = [right for _, right, _ in order]
    precisions = [sum(rights[: i + 1]) / (i + 1) for i, right in enumerate(rights) if right]
    return metrics | {"gap": sum(precisions) / len(known)}


@hypothesis.settings(deadline=None)
@hypothesis.given(labeled_sets(st.integers(0, 5)), labeled_sets(st.integers(0, 2)))
def test_equals_the_definitions(queries, gallery):
    found = list(answers(queries, gallery))
    hypothesis.assume(any(is_known for is_known, *_ in found))
    options = {"gallery": gallery[0], "gallery_labels": gallery[1]}
    metrics = identification_metrics(*queries, false_positive_rates=RATES, **options)
    spread = [metrics.pop(f"tpir_spread@fpir={rate:g}") for rate in RATES]
    assert metrics == pytest.approx(expected(found, RATES), abs=1e-12, nan_ok=True)
    assert all((x != x) or 0 <= x <= 0.5 for x in spread)


def data(seed=0, queries=400, classes=40, known=25, dims=16):
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(classes, dims))
    labels, items = rng.integers(0, classes, queries), np.repeat(np.arange(known), 4)
    make = lambda x: centers[x] + 0.8 * rng.normal(size=(len(x), dims))  # noqa: E731
    return (make(labels), labels), {"gallery": make(items), "gallery_labels": items}


def test_equals_scikit_learn():
    queries, options = data()
    found = identification_results(*queries, **options)
    metrics = found.metrics()
    np.testing.assert_array_equal(found.known, queries[1] < 25)
    assert metrics["auroc"] == pytest.approx(roc_auc_score(found.known, found.score))
    false, true, thresholds = roc_curve(found.known, found.score, drop_intermediate=False)
    assert metrics["fpr95"] == pytest.approx(false[np.flatnonzero(true >= 0.95)[0]])
    # Average precision counts what is right; GAP divides by the known queries.
    precision = average_precision_score(found.right, found.score)
    share = found.right.sum() / found.known.sum()
    assert metrics["gap"] == pytest.approx(precision * share)
    threshold = thresholds[np.flatnonzero(false <= 0.1)[-1]]
    assert metrics["threshold@fpir=0.1"] == threshold
    hits = found.right & (found.score >= threshold)
    assert metrics["tpir@fpir=0.1"] == hits[found.known].mean()
    assert metrics["tpir@fpir=0.1"] < metrics["oscr"] < metrics["auroc"]


def test_rates_of_each_class_and_their_spread():
    labels = np.array(["a", "a", "b", "b", "x", "x", "y", "y"])
    known = np.array([True] * 4 + [False] * 4)
    right = np.array([True, True, True, False, False, False, False, False])
    score = np.array([0.9, 0.8, 0.7, 0.6, 0.75, 0.2, 0.1, 0.1])
    results = IdentificationResults(labels, known, right, score)
    classes, rates = results.by_class(0.75)
    assert classes.tolist() == ["a", "b", "x", "y"]
    np.testing.assert_array_equal(rates["tpir"], [1, 0, np.nan, np.nan])
    np.testing.assert_array_equal(rates["fpir"], [np.nan, np.nan, 0.5, 0])
    metrics = results.metrics((0.25, 0.2))
    assert metrics["threshold@fpir=0.25"] == 0.6  # 1 of 4 is accepted, the next has 0.2
    assert metrics["tpir@fpir=0.25"] == 0.75
    assert metrics["tpir_spread@fpir=0.25"] == 0.25  # shares 1 and 0.5
    assert all(math.isnan(metrics[f"{x}@fpir=0.2"]) for x in ("tpir", "threshold", "tpir_spread"))


def test_nobody_is_unknown():
    queries, options = data(known=40)
    metrics = identification_metrics(*queries, **options)
    assert {name for name, value in metrics.items() if value == value} == {"gap"}


def test_intervals_hold_the_value_and_narrow_with_more_classes():
    widths = []
    for classes in (30, 300):
        results = identification_results(
            *(x := data(0, 10 * classes, classes, classes // 2))[0], **x[1]
        )
        found = identification_intervals(results, resamples=100)
        assert found == identification_intervals(results, resamples=100)
        for name, interval in found.items():
            assert interval.value == results.metrics()[name]
            assert interval.low <= interval.value <= interval.high or "spread" in name
        widths.append(found["oscr"].high - found["oscr"].low)
    assert widths[0] > 1.3 * widths[1] > 0


def test_a_class_that_is_drawn_twice_counts_twice():
    # Each class has one query, so the spread is that of the drawn queries' results.
    labels, known = np.arange(12), np.arange(12) < 8
    right, score = np.arange(12) < 4, np.where(known, 0.9, 0.1)
    results = IdentificationResults(labels, known, right, score)
    options = {"false_positive_rates": (0.5,), "resamples": 300}
    found = identification_intervals(results, **options)["tpir_spread@fpir=0.5"]
    shares = np.random.default_rng(1).binomial(8, 0.5, 4000) / 8
    expected = np.percentile(np.sqrt(shares * (1 - shares)), [2.5, 97.5])
    np.testing.assert_allclose([found.low, found.high], expected, atol=1e-9)


def test_intervals_without_unknown_queries():
    queries, options = data(known=40)
    found = identification_intervals(identification_results(*queries, **options), resamples=20)
    assert found["gap"].low < found["gap"].value < found["gap"].high
    assert math.isnan(found["oscr"].low)


PAIR = np.eye(4), np.array([0, 0, 1, 7])
GALLERY = {"gallery": np.eye(4), "gallery_labels": [0, 1, 1, 2]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"false_positive_rates": (0.1, 1)}, r"`false_positive_rates` must be in \(0, 1\)"),
        ({"gallery_labels": [5, 5, 6, 6]}, "`gallery_labels` must have classes of `labels`"),
        ({"gallery_labels": ["a", "b", "c", "d"]}, "`gallery_labels` must be integers"),
        ({"gallery": np.eye(3), "gallery_labels": [0, 1, 1]}, r"`gallery` must be \[N, 4\]"),
        ({"gallery": None}, "`gallery` must be given"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        identification_metrics(*PAIR, **{**GALLERY, **options})


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (
            [0, 0, 0, 7],
            {},
            "`results` must have at least two classes of known .* Received: 1 and 1",
        ),
        ([0, 0, 1, 7], {"confidence": 0}, "`confidence` must be in"),
        ([0, 0, 1, 7], {"resamples": 0}, "`resamples` must be an integer"),
    ],
)
def test_errors_of_intervals(labels, options, message):
    results = identification_results(PAIR[0], labels, **GALLERY)
    with pytest.raises(ValueError, match=message):
        identification_intervals(results, **options)


def test_numpy_may_raise_on_everything():
    queries, options = data()
    found = identification_metrics(*queries, **options)
    with np.errstate(all="raise"):
        assert identification_metrics(*queries, **options) == found
