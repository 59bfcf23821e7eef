"""Verification over all pairs, against plain loops over whole numbers and scikit-learn."""

import itertools
import math
import tracemalloc
from fractions import Fraction

import hypothesis
import numpy as np
import pytest
import retrieval_oracle as oracle
from hypothesis import strategies as st
from scipy.optimize import brentq
from sklearn.metrics import roc_auc_score, roc_curve

from keras_proxygml.metrics import verification, verification_metrics
from keras_proxygml.metrics._exact import brackets, roc
from keras_proxygml.metrics._exact.grid import unit_vectors

RATES = (0.5, 0.1, 0.03)


@st.composite
def labeled_sets(draw):
    """Vectors of few directions, so that ties abound; classes ragged, some of one member."""
    labels = draw(st.lists(st.integers(0, 3), min_size=3, max_size=16))
    vector = st.lists(st.integers(-2, 2), min_size=3, max_size=3)
    vectors = draw(st.lists(vector, min_size=len(labels), max_size=len(labels)))
    return np.array(vectors, "float32"), np.array(labels)


def clusters(items, classes, dims, noise=1.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, items)
    vectors = rng.normal(size=(classes, dims))[labels] + noise * rng.normal(size=(items, dims))
    return vectors.astype("float32"), labels


def all_pairs(vectors, labels, gallery=None, gallery_labels=None, itself=None):
    """Whole-number similarities of the genuine and of the impostor pairs, by loops."""
    points = [oracle.grid_points(v) for v in vectors]
    items = points if gallery is None else [oracle.grid_points(v) for v in gallery]
    item_labels = labels if gallery is None else gallery_labels
    found = {True: [], False: []}
    for i, point in enumerate(points):
        for j, item in enumerate(items):
            if (j <= i) if gallery is None else (itself is not None and j == itself[i]):
                continue
            similarity = sum(a * b for a, b in zip(point, item, strict=True))
            found[bool(labels[i] == item_labels[j])].append(similarity)
    return found[True], found[False]


def expected(genuine, impostors, rates):
    """The metrics by their definitions, in fractions."""
    levels = sorted({*genuine, *impostors}, reverse=True)
    points = [(Fraction(0), Fraction(1))]  # false accepts and false rejects at each threshold
    for level in levels:
        false_accepts = Fraction(sum(x >= level for x in impostors), len(impostors))
        points.append((false_accepts, Fraction(sum(x < level for x in genuine), len(genuine))))
    found = {}
    for rate in rates:
        exact = Fraction(str(rate))  # 0.03 as a float is a little less
        fits = [i for i, (accepts, _) in enumerate(points) if accepts <= exact]
        measurable = exact * len(impostors) >= 1
        threshold = levels[fits[-1] - 1] / 2**48 if fits[-1] else np.nextafter(levels[0] / 2**48, 9)
        found[f"tar@far={rate:g}"] = float(1 - points[fits[-1]][1]) if measurable else math.nan
        found[f"threshold@far={rate:g}"] = threshold if measurable else math.nan
    for (x, y), (next_x, next_y) in itertools.pairwise(points):
        if next_x >= next_y:
            part = (y - x) / ((y - x) - (next_y - next_x))
            found["eer"] = float(x + part * (next_x - x))
            break
    wins = sum(Fraction((g > i) + (g >= i), 2) for g in genuine for i in impostors)
    found["roc_auc"] = float(wins / len(genuine) / len(impostors))
    return found


@pytest.fixture(params=["one tile", "small tiles", "in parts", "misled sample"], autouse=True)
def ways(request, monkeypatch):
    """Every way to split the work."""
    if request.param != "one tile":
        monkeypatch.setattr(verification, "EDGES", (3,))
    if request.param == "in parts":
        monkeypatch.setattr(verification, "BYTES_PER_GENUINE", 2**28)
    if request.param == "misled sample":
        in_earnest = roc.brackets_of

        def misled(pairs, ranks, number, seed=0):
            if seed < 1:  # beside the wanted similarity
                return [brackets.Bracket(rank, 0.3, 0.31) for rank in ranks]
            return in_earnest(pairs, ranks, 8, seed)

        monkeypatch.setattr(roc, "brackets_of", misled)


def coarser(monkeypatch):
    """The same ways with larger tiles and parts."""
    if verification.EDGES == (3,):
        monkeypatch.setattr(verification, "EDGES", (100,))
    if verification.BYTES_PER_GENUINE > 1000:
        monkeypatch.setattr(verification, "BYTES_PER_GENUINE", 2**19)


EACH = hypothesis.settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)


@EACH
@hypothesis.given(labeled_sets())
def test_equals_the_definitions(data):
    genuine, impostors = all_pairs(*data)
    hypothesis.assume(genuine and impostors)
    found = verification_metrics(*data, false_accept_rates=RATES)
    assert found == pytest.approx(expected(genuine, impostors, RATES), abs=1e-12, nan_ok=True)


@EACH
@hypothesis.given(labeled_sets(), labeled_sets(), st.booleans())
def test_separate_gallery_equals_the_definitions(queries, gallery, is_there):
    itself = None
    if is_there:  # the first query is an item
        gallery = [np.concatenate(pair) for pair in zip(gallery, queries, strict=True)]
        itself = np.full(len(queries[1]), -1)
        itself[0] = len(gallery[1]) - len(queries[1])
    genuine, impostors = all_pairs(*queries, *gallery, itself)
    hypothesis.assume(genuine and impostors)
    options = {"gallery": gallery[0], "gallery_labels": gallery[1], "itself": itself}
    found = verification_metrics(*queries, false_accept_rates=RATES, **options)
    assert found == pytest.approx(expected(genuine, impostors, RATES), abs=1e-12, nan_ok=True)


def by_sklearn(vectors, labels, rates):
    points = unit_vectors(vectors).astype("float64")
    rows, columns = np.triu_indices(len(points), 1)
    scores, is_genuine = (points @ points.T)[rows, columns], labels[rows] == labels[columns]
    false_accepts, accepts, thresholds = roc_curve(is_genuine, scores, drop_intermediate=False)
    found = {}
    for rate in rates:
        last = np.flatnonzero(false_accepts <= rate)[-1]
        found[f"tar@far={rate:g}"] = accepts[last]
        found[f"threshold@far={rate:g}"] = thresholds[last]
    found["eer"] = brentq(lambda x: 1 - x - np.interp(x, false_accepts, accepts), 0, 1)
    return found | {"roc_auc": roc_auc_score(is_genuine, scores)}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_equals_scikit_learn(dtype, monkeypatch):
    coarser(monkeypatch)
    vectors, labels = clusters(700, 60, 24, noise=1.5)
    vectors = vectors.astype(dtype)
    rates = (0.2, 1e-2, 1e-3, 1e-4)  # 240,000 impostors, so brackets come from a sample
    found = verification_metrics(vectors, labels, false_accept_rates=rates)
    assert found == pytest.approx(by_sklearn(vectors, labels, rates), abs=1e-11)


def test_no_order_budget_or_threads_change_a_digit(monkeypatch):
    coarser(monkeypatch)
    vectors, labels = clusters(300, 30, 16)
    found = verification_metrics(vectors, labels)
    order = np.random.default_rng(0).permutation(300)
    assert verification_metrics(vectors[order], labels[order]) == found
    names = np.array([f"class {label}" for label in labels])
    assert verification_metrics(vectors, names, memory_budget=2**23) == found


def test_all_vectors_equal():
    found = verification_metrics(np.ones((30, 4)), np.arange(30) % 3, false_accept_rates=(0.01,))
    assert found["tar@far=0.01"] == 0
    assert 1 < found["threshold@far=0.01"] < 1.001
    assert (found["eer"], found["roc_auc"]) == (0.5, 0.5)


def test_perfect_vectors_and_unmeasurable_rates():
    labels = np.arange(20) % 4
    found = verification_metrics(np.eye(4)[labels], labels, false_accept_rates=(0.01, 0.005))
    assert found["tar@far=0.01"] == 1.0  # of 150 impostors, one may be accepted
    assert found["threshold@far=0.01"] == 1.0
    assert math.isnan(found["tar@far=0.005"])
    assert math.isnan(found["threshold@far=0.005"])
    assert (found["eer"], found["roc_auc"]) == (0.0, 1.0)


@pytest.mark.slow
def test_memory_stays_within_the_budget(ways):
    if verification.EDGES == (3,):
        return
    vectors, labels = clusters(2000, 3, 32)  # 670,000 genuine pairs
    tracemalloc.start()
    found = verification_metrics(vectors, labels, memory_budget=2**25)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * 2**25
    assert found == verification_metrics(vectors, labels)


PAIR = np.eye(4), np.array([0, 0, 1, 1])


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (PAIR, {"false_accept_rates": (0.1, 0)}, r"`false_accept_rates` must be in \(0, 1\)"),
        (PAIR, {"false_accept_rates": 1.0}, "Received: false_accept_rates=1.0"),
        ((PAIR[0], [0, 0, 0, 0]), {}, "`labels` must have items of at least two classes"),
        ((PAIR[0], [0, 1, 2, 3]), {}, "`labels` must have a class of at least two items"),
        (([[1.0], [np.nan]], [0, 0]), {}, "`embeddings` must be finite"),
        (PAIR, {"gallery": PAIR[0]}, "`gallery_labels` must be given"),
        (PAIR, {"memory_budget": 1000}, "`memory_budget` must be enough bytes .* Give 3|Give"),
    ],
)
def test_errors(arguments, options, message, ways):
    with pytest.raises(ValueError, match=message):
        verification_metrics(*arguments, **options)


def test_numpy_may_raise_on_everything(monkeypatch):
    coarser(monkeypatch)
    vectors, labels = clusters(200, 20, 8)
    found = verification_metrics(vectors, labels)
    with np.errstate(all="raise"):
        assert verification_metrics(vectors, labels) == found
