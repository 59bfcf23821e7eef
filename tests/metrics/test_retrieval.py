import json
import pathlib
import re
import tracemalloc

import hypothesis
import numpy as np
import pytest
import retrieval_oracle as oracle
from hypothesis import strategies as st

from keras_proxygml.metrics._exact import search, threads
from keras_proxygml.metrics._exact.plan import Plan
from keras_proxygml.metrics._exact.threads import Progress
from keras_proxygml.metrics.retrieval import query_results, retrieval_metrics

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "peers_public.npz"

K = (1, 2, 4, 8)
# Few vectors and few labels, as hypothesis draws them, often mean what the metrics warn of.
TOO_GOOD = pytest.mark.filterwarnings(
    "ignore:The first result of every query", "ignore:All items have the same"
)


@st.composite
def labeled_sets(draw, classes=st.integers(0, 4), dims=3):
    """Vectors of few distinct directions, so ties abound; classes ragged, some of one member."""
    labels = draw(st.lists(classes, min_size=2, max_size=24))
    coordinate = st.integers(-2, 2)
    vector = st.lists(coordinate, min_size=dims, max_size=dims)
    vectors = draw(st.lists(vector, min_size=len(labels), max_size=len(labels)))
    return np.array(vectors, "float32"), np.array(labels)


def clusters(items, classes, dims, noise=1.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, items)
    centers = rng.normal(size=(classes, dims))
    vectors = centers[labels] + noise * rng.normal(size=(items, dims))
    return vectors.astype("float32"), labels


# Every way to split a search: by tiles, by whole rows, and by both.
PLANS = {
    "tiles": Plan(keep=True, most=100, edge=5, height=1, threads=2),
    "one tile": Plan(keep=True, most=100, edge=512, height=1, threads=1),
    "made on demand": Plan(keep=False, most=100, edge=4, height=1, threads=1),
    "whole rows": Plan(keep=True, most=0, edge=64, height=3, threads=2),
    "both": Plan(keep=False, most=2, edge=4, height=2, threads=3),
}


@TOO_GOOD
@pytest.mark.parametrize("plan", PLANS)
@hypothesis.settings(deadline=None)
@hypothesis.given(data=labeled_sets())
def test_equals_oracle(plan, data):
    vectors, labels = data
    hypothesis.assume(len(set(labels)) < len(labels))
    expected = oracle.metrics(vectors, labels, K)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "make_plan", lambda *_: PLANS[plan])
        found = retrieval_metrics(vectors, labels, k=K)
    assert found == pytest.approx(expected, abs=1e-12)


@TOO_GOOD
@pytest.mark.parametrize("plan", PLANS)
@hypothesis.settings(deadline=None)
@hypothesis.given(queries=labeled_sets(), gallery=labeled_sets())
def test_separate_gallery_equals_oracle(plan, queries, gallery):
    hypothesis.assume(set(queries[1]) & set(gallery[1]))
    expected = oracle.metrics(*queries, K, *gallery)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "make_plan", lambda *_: PLANS[plan])
        found = retrieval_metrics(*queries, k=K, gallery=gallery[0], gallery_labels=gallery[1])
    assert found == pytest.approx(expected, abs=1e-12)


@TOO_GOOD
@pytest.mark.parametrize("plan", PLANS)
@hypothesis.settings(deadline=None)
@hypothesis.given(gallery=labeled_sets(), data=st.data())
def test_queries_in_the_gallery_equal_oracle(plan, gallery, data):
    # Some queries are rows of the gallery, some are others of the same label.
    rows = np.array(data.draw(st.lists(st.integers(0, len(gallery[0]) - 1), min_size=1)))
    is_there = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))))
    itself = np.where(is_there, rows, -1)
    queries = gallery[0][rows] * np.where(is_there, 1, -1)[:, None], gallery[1][rows]
    found = oracle.per_query(*queries, *gallery, itself)
    hypothesis.assume(any(found))
    expected = oracle.metrics(*queries, K, *gallery, itself)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "make_plan", lambda *_: PLANS[plan])
        options = dict(zip(("gallery", "gallery_labels"), gallery, strict=True), itself=itself)
        metrics = retrieval_metrics(*queries, k=K, **options)
        results = query_results(*queries, **options)
    assert metrics == pytest.approx(expected, abs=1e-12)
    assert results.first_rank.tolist() == [ranks[0] if ranks else 0 for ranks in found]
    assert results.matches.tolist() == [len(ranks) for ranks in found]


@pytest.mark.parametrize("plan", PLANS)
def test_a_gallery_of_the_queries_equals_no_gallery(plan, monkeypatch):
    vectors, labels = clusters(150, 20, 6, noise=1.5)
    expected = query_results(vectors, labels)
    monkeypatch.setattr(search, "make_plan", lambda *_: PLANS[plan])
    order = np.random.default_rng(1).permutation(150)
    gallery = {"gallery": vectors[order], "gallery_labels": labels[order]}
    found = query_results(vectors, labels, itself=np.argsort(order), **gallery)
    for name in ("matches", "first_rank", "r_precision", "average_precision"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("spread", [0.0, 1e-7, 1e-5, 1e-3])
def test_differences_below_float32_count(plan, spread, monkeypatch):
    # Similarities within 1e-10 of each other: float32 products cannot order them, and must not.
    vectors, labels = clusters(120, 30, 6, noise=2.0)
    vectors = (1 + spread * vectors).astype("float32")
    monkeypatch.setattr(search, "make_plan", lambda *_: PLANS[plan])
    found = query_results(vectors, labels).first_rank
    ranks = oracle.per_query(vectors, labels)
    assert found.tolist() == [r[0] if r else 0 for r in ranks]


def test_no_split_changes_a_digit(monkeypatch):
    vectors, labels = clusters(300, 40, 16, noise=1.5)
    expected = query_results(vectors, labels)
    order = np.random.default_rng(1).permutation(300)
    for plan in (*PLANS.values(), Plan(keep=True, most=6, edge=64, height=7, threads=2)):
        monkeypatch.setattr(search, "make_plan", lambda *_, plan=plan: plan)
        found = query_results(vectors[order], labels[order])
        for name in ("matches", "first_rank", "r_precision", "average_precision"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name)[order])
        assert found.metrics() == expected.metrics()


@pytest.mark.parametrize(("classes", "budget"), [(500, 2**23), (500, 2**26), (12, 2**23)])
@pytest.mark.slow
def test_memory_stays_within_the_budget(classes, budget):
    vectors, labels = clusters(6000, classes, 64)
    query_results(vectors[:100], labels[:100] % 9)  # imports and caches
    tracemalloc.start()
    try:
        query_results(vectors, labels, memory_budget=budget)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < budget + 200 * len(labels)


def test_budget_that_is_too_small():
    vectors, labels = clusters(3000, 40, 64)
    with pytest.raises(
        ValueError, match=r"`memory_budget` must be .* Received: memory_budget=100000\."
    ) as error:
        retrieval_metrics(vectors, labels, memory_budget=100_000)
    enough = int(re.search(r"Give (\d+)", str(error.value))[1])
    expected = retrieval_metrics(vectors, labels)
    assert retrieval_metrics(vectors, labels, memory_budget=enough) == expected


def test_progress_says_how_far_and_how_long(capsys):
    vectors, labels = clusters(300, 40, 8)
    retrieval_metrics(vectors, labels)
    assert capsys.readouterr().err == ""
    retrieval_metrics(vectors, labels, progress=True)
    assert "100% in 0 s" in capsys.readouterr().err
    assert Progress(200).line(0) == "retrieval: 0%"
    half = Progress(200)
    half.done = 50
    assert half.line(10.0).startswith("retrieval: 25%, 30 s left, until ")


def test_an_error_in_a_thread_ends_the_search():
    seen = []

    def fail(task):
        seen.append(task)
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        threads.in_threads(fail, range(1000), 2)
    assert len(seen) <= 4


@pytest.mark.parametrize("case", ["balanced", "ragged"])
def test_equals_pytorch_metric_learning(case):
    with np.load(GOLDEN) as golden:
        vectors, labels, values = (
            golden[f"metrics_{case}/{name}"] for name in ("embeddings", "labels", "values")
        )
    values = json.loads(str(values))
    ours = {
        "mean_average_precision_at_r": "map@r",
        "mean_reciprocal_rank": "mrr",
        "precision_at_1": "recall@1",
        "r_precision": "r_precision",
    }
    expected = {ours.get(name, name.replace("_at_", "@")): value for name, value in values.items()}
    found = retrieval_metrics(vectors, labels, k=(1, 2, 4, 8, 10, 100))
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("dims", [1, 3, 7, 64, 129])
def test_collapsed_embedder_scores_zero(dims):
    # All similarities tie, and a tie comes before the own class: with 40 items of 4 classes the
    # first match of every query is behind all 30 others.
    vector = np.random.default_rng(dims).normal(size=dims).astype("float32")
    labels = np.arange(40) % 4
    found = retrieval_metrics(np.tile(vector, (40, 1)), labels, k=(1, 10, 30, 31))
    assert found["recall@1"] == found["recall@30"] == found["map@r"] == found["r_precision"] == 0
    assert found["recall@31"] == 1
    assert found["mrr"] == pytest.approx(1 / 31)


def test_zero_vectors_tie_with_right_angles():
    vectors = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    # Query 0 and query 1 see each other at similarity 0, as they see item 2: rank 2.
    results = query_results(vectors, [0, 0, 1])
    assert results.first_rank.tolist() == [2, 2, 0]


def test_length_of_vectors_changes_nothing():
    vectors, labels = clusters(200, 20, 8)
    scale = 2.0 ** np.random.default_rng(2).integers(-400, 400, (200, 1))
    found = retrieval_metrics(vectors * scale, labels)
    assert found == retrieval_metrics(vectors, labels)


def test_query_without_match_is_a_miss_and_is_counted():
    vectors = [[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]
    found = retrieval_metrics(vectors, np.array([[5], [5], [9]]), k=1)
    assert found == {
        "recall@1": 2 / 3,
        "map@r": 1.0,
        "r_precision": 1.0,
        "mrr": 2 / 3,
        "queries_without_match": 1,
    }
    assert [type(value) for value in found.values()] == [float] * 4 + [int]


def test_results_per_query_and_class():
    # On a line of angles: 0 and 1 find each other, 2 finds 3 behind item 4, 4 has no match.
    angles = np.deg2rad([0, 10, 90, 120, 100])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    results = query_results(vectors, [7, 7, 3, 3, 5])
    assert results.matches.tolist() == [1, 1, 1, 1, 0]
    assert results.first_rank.tolist() == [1, 1, 2, 2, 0]
    np.testing.assert_array_equal(results.r_precision, [1, 1, 0, 0, np.nan])
    np.testing.assert_array_equal(results.average_precision, [1, 1, 0, 0, np.nan])
    classes, means = results.by_class(k=1)
    assert classes.tolist() == [3, 5, 7]
    np.testing.assert_array_equal(means["recall@1"], [0, 0, 1])
    np.testing.assert_array_equal(means["map@r"], [0, np.nan, 1])
    np.testing.assert_array_equal(means["mrr"], [0.5, 0, 1])


def test_k_beyond_the_gallery():
    vectors, labels = clusters(20, 2, 4)
    assert retrieval_metrics(vectors, labels, k=[1000])["recall@1000"] == 1.0


PAIR = np.eye(4, 3, dtype="float32"), np.array([0, 0, 1, 1])
GALLERY = {"gallery": PAIR[0], "gallery_labels": PAIR[1]}


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((np.ones(4), PAIR[1]), {}, r"`embeddings` must be \[N, D\].* Received: shape \(4,\)"),
        ((np.ones((0, 3)), np.ones(0, int)), {}, r"at least one item .* Received: shape \(0, 3\)"),
        ((np.full((4, 3), "x"), PAIR[1]), {}, "must be real numbers. Received: dtype <U1"),
        (
            ([[1.0], [np.nan], [np.inf], [0.0]], PAIR[1]),
            {},
            "be finite. Received: 2 of 4 rows .* index 1",
        ),
        ((PAIR[0], PAIR[1] * 1.0), {}, "`labels` must be .* dtype float64"),
        ((PAIR[0], np.eye(4, dtype=int)), {}, r"`labels` must be .* shape \(4, 4\)"),
        (
            (PAIR[0], PAIR[1][:3]),
            {},
            r"`labels` must have 4 items, as `embeddings` has\. Received: 3 items",
        ),
        (
            (PAIR[0], np.arange(4)),
            {},
            r"4 items of 4 classes\. None of the 4 classes has two members",
        ),
        (
            PAIR,
            {"gallery": PAIR[0]},
            "`gallery_labels` must be given if `gallery` is. Received: gallery_labels=N",
        ),
        (
            PAIR,
            {"gallery_labels": PAIR[1]},
            "`gallery` must be given if `gallery_labels` is. Received: gallery=N",
        ),
        (
            PAIR,
            {"gallery": PAIR[0], "gallery_labels": PAIR[1] + 2},
            "Received: 2 classes, which include none of the 2 ",
        ),
        (PAIR, {**GALLERY, "gallery": PAIR[0][:, :2]}, r"be \[N, 3\], .* Received: shape \(4, 2\)"),
        (
            PAIR,
            {"gallery": PAIR[0], "gallery_labels": [0, 1]},
            "`gallery_labels` must have 4 items.* Received: 2",
        ),
        (
            PAIR,
            {"gallery": np.ones(3), "gallery_labels": [0]},
            "`gallery` must be .* Received: shape",
        ),
        (
            PAIR,
            {**GALLERY, "gallery_labels": list("aabb")},
            "be integers, .* Received: dtypes <U1 and int",
        ),
        (PAIR, {"itself": [0, 1, 2, 3]}, "`itself` must be None where there is no gallery"),
        (PAIR, {**GALLERY, "itself": [0, 1, 2]}, r"integers of shape \(4,\). Received: shape \(3"),
        (PAIR, {**GALLERY, "itself": [0, 1, 2.0, 3]}, "dtype float64"),
        (PAIR, {**GALLERY, "itself": [0, 1, 2, 4]}, "from -1 to 3. Received: 0 to 4"),
        (PAIR, {**GALLERY, "itself": [-2, 1, 2, 3]}, "Received: -2 to 3"),
        (PAIR, {**GALLERY, "itself": [0, 1, 1, -1]}, r"itself\[2\]=1, .* has 1 .* 0; 1 of 4"),
        (
            (PAIR[0][::2], [0, 1]),
            {"gallery": PAIR[0][::2], "gallery_labels": [0, 1], "itself": [0, 1]},
            "`gallery` must hold an item .* Received: 2 items, in which each query has no match",
        ),
        (PAIR, {"k": ()}, r"k=\(\)"),
        (PAIR, {"k": (1, 0)}, r"k=\(1, 0\)"),
        (PAIR, {"k": 1.5}, r"Received: k=1\.5"),
        (PAIR, {"k": (1, 2.0)}, "positive integers"),
    ],
)
def test_errors_say_what_came(arguments, options, message):
    with pytest.raises(ValueError, match=message) as error:
        retrieval_metrics(*arguments, **options)
    assert re.fullmatch(r"`\w+` must .+\. Received: .+\. [A-Z`].+\.", str(error.value))
