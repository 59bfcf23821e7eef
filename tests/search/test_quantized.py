import functools

import numpy as np
import pytest

from keras_proxygml.metrics import compare_results, query_results
from keras_proxygml.metrics._exact.nearest import nearest_rows, unit_rows
from keras_proxygml.search.quantized import Quantized
from keras_proxygml.search.recall import recall, share_found


def clusters(items, dims=32, seed=0):
    """Vectors of classes as alike as those of a trained embedder, and their classes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 100, items)
    centers = np.random.default_rng(99).normal(size=(100, dims))
    return unit_rows(centers[labels] + 0.7 * rng.normal(size=(items, dims))), labels


@pytest.fixture(scope="module")
def items():
    return clusters(6000)[0]


@pytest.fixture(scope="module")
def queries():
    return clusters(300, seed=1)[0]


def test_codes_take_a_quarter_and_are_within_half_a_step(items):
    quantized = Quantized.build(np.array_split(items, 3))
    assert sum(codes.nbytes for codes in quantized.codes) * 4 == items.nbytes
    error = np.concatenate(quantized.codes) * quantized.scale.astype("float64") - items
    assert (np.abs(error) <= 0.51 * quantized.scale).all()
    np.testing.assert_allclose(np.abs(items).max(axis=0) / quantized.scale, 127, rtol=1e-6)


def test_similarities_are_exact_and_recall_is_high(items, queries):
    segments = np.array_split(items, 3)
    quantized = Quantized.build(segments)
    rows, similarities = quantized.search(queries, segments, 10)
    exact = np.einsum("qkd,qd->qk", items[rows].astype("float64"), queries.astype("float64"))
    np.testing.assert_array_equal(similarities, exact)
    assert recall(quantized.search, queries, segments, 10) > 0.999
    few = recall(functools.partial(quantized.search, candidates=1), queries, segments, 10)
    true, _ = nearest_rows(queries, segments, 10)
    found, _ = quantized.search(queries, segments, 10, candidates=1)
    share = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(true, found, strict=True)])
    assert few == pytest.approx(share)
    assert 0.9 < few < 0.999


def test_all_candidates_are_exact_search(items, queries):
    quantized = Quantized.build([items])
    allowed = np.arange(6000) % 3 > 0
    own = np.arange(300)
    options = {"allowed": allowed, "own": own}
    found = quantized.search(queries, [items], 10, candidates=6000, **options)
    for got, wanted in zip(found, nearest_rows(queries, [items], 10, **options), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_batches_do_not_matter(items, queries):
    quantized = Quantized.build([items])
    rows, _ = quantized.search(queries, [items], 10)
    parts = [quantized.search(queries[i : i + 1], [items], 10)[0] for i in range(50)]
    np.testing.assert_array_equal(np.concatenate(parts), rows[:50])


def test_few_items_and_none(items, queries):
    quantized = Quantized.build([items[:4]])
    rows, similarities = quantized.search(queries, [items[:4]], 6)
    assert (np.sort(rows[:, :4], axis=1) == np.arange(4)).all()
    assert (rows[:, 4:] == -1).all()
    assert np.isnan(similarities[:, 4:]).all()
    nothing = np.zeros(4, bool)
    assert (quantized.search(queries, [items[:4]], 6, allowed=nothing)[0] == -1).all()
    assert np.isnan(recall(quantized.search, queries, [items[:4]], 6, allowed=nothing))


def test_segments_that_come_later_use_the_same_scale(items, queries):
    quantized = Quantized.build([items[:3000]])
    quantized.add(items[3000:])
    segments = [items[:3000], items[3000:]]
    assert recall(quantized.search, queries, segments, 10) > 0.999
    quantized.add(unit_rows(np.eye(32)))  # far beyond the scale
    assert np.abs(quantized.codes[-1]).max() == 127
    segments.append(unit_rows(np.eye(32)))
    assert quantized.search(unit_rows(np.eye(32)), segments, 1)[0][:, 0].tolist() == [
        *range(6000, 6032)
    ]


def test_a_dimension_without_numbers(queries):
    items = unit_rows(np.eye(32)[:16])
    quantized = Quantized.build([items])
    assert np.isfinite(quantized.scale).all()
    assert (quantized.search(items, [items], 1)[0][:, 0] == np.arange(16)).all()


def test_what_int8_costs_is_within_what_compare_results_can_see():
    vectors, labels = clusters(1500)
    quantized = Quantized.build([vectors])
    coded = quantized.codes[0] * quantized.scale  # without exact similarities of candidates
    first, second = query_results(vectors, labels), query_results(coded, labels)
    difference = compare_results(first, second)["recall@1"]
    assert abs(difference.difference) < 0.01
    assert difference.low <= 0.001


def test_share_found():
    exact = np.array([[0.9, 0.8, 0.8], [0.5, np.nan, np.nan]])
    assert share_found(exact, exact) == 1.0
    assert share_found(np.array([[0.9, 0.7, np.nan], [0.5, np.nan, np.nan]]), exact) == 0.5
    assert share_found(np.full((2, 3), np.nan), exact) == 0.0
    assert np.isnan(share_found(exact[:0], exact[:0]))
