import dataclasses

import numpy as np
import pytest

from keras_proxygml.metrics.confidence import compare_results, confidence_intervals
from keras_proxygml.metrics.retrieval import QueryResults


def results(labels, hits):
    """Queries that find their one match at once, or second."""
    hits = np.asarray(hits) * 1.0
    first_rank = np.where(hits > 0, 1, 2)
    return QueryResults(np.asarray(labels), np.ones(len(hits), int), first_rank, hits, hits)


def drawn(rng, classes, size, shift=0.0):
    """Queries whose chance of a hit differs widely between classes; its mean is 0.5 + shift."""
    chance = np.repeat(rng.beta(0.5, 0.5, classes), size)
    return results(np.repeat(np.arange(classes), size), rng.random(classes * size) < chance + shift)


def test_intervals_hold_the_truth_as_often_as_they_say():
    # 90 % of 300 trials, give or take 3 standard errors of 1.7 %, and 1 % for a bootstrap of 60
    # classes. Were queries drawn instead of classes, it would be about 50 %.
    held = 0
    for trial in range(300):
        found = drawn(np.random.default_rng(trial), classes=60, size=12)
        interval = confidence_intervals(found, k=1, confidence=0.9, resamples=400)["recall@1"]
        held += interval.low <= 0.5 <= interval.high
    assert 0.84 <= held / 300 <= 0.96


def test_interval_is_as_wide_as_theory_says():
    found = drawn(np.random.default_rng(0), classes=400, size=5)
    means = found.by_class(k=1)[1]["recall@1"]
    interval = confidence_intervals(found, k=1)["recall@1"]
    assert interval.value == pytest.approx(means.mean())
    # Classes of one size: the mean of 400 independent class means, ±1.96 standard errors.
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * means.std() / 20, rel=0.06)


def test_comparison_sees_a_difference_the_intervals_hide():
    rng = np.random.default_rng(0)
    first = drawn(rng, classes=60, size=10)
    better = first.r_precision.copy()
    better[np.flatnonzero(better == 0)[::20]] = 1  # every twentieth miss becomes a hit
    second = results(first.labels, better)
    a, b = (confidence_intervals(x, k=1)["recall@1"] for x in (first, second))
    assert a.high > b.low
    found = compare_results(first, second, k=1)["recall@1"]
    assert found.difference == pytest.approx(b.value - a.value)
    assert 0 < found.low < found.difference < found.high
    assert found.p_value < 0.01
    back = compare_results(second, first, k=1)["recall@1"]
    assert (back.difference, back.p_value) == (-found.difference, found.p_value)


def test_equal_embeddings_are_told_apart_as_seldom_as_chance_has_it():
    # p < 0.1 in 10 % of 300 trials, give or take 3 standard errors of 1.7 %.
    rejected = 0
    for trial in range(300):
        rng = np.random.default_rng(trial)
        first, second = (drawn(rng, classes=40, size=8) for _ in range(2))
        rejected += compare_results(first, second, k=1, resamples=300)["recall@1"].p_value < 0.1
    assert 0.05 <= rejected / 300 <= 0.16


def test_the_same_results_do_not_differ():
    first = drawn(np.random.default_rng(0), classes=10, size=4)
    for found in compare_results(first, first).values():
        assert dataclasses.astuple(found) == (0, 0, 0, 1)


def test_queries_without_match_count_where_they_should():
    found = results([0, 0, 1, 1, 2], [1, 1, 0, 0, 0])
    found.matches[4], found.first_rank[4] = 0, 0
    found.r_precision[4] = found.average_precision[4] = np.nan
    intervals = confidence_intervals(found, k=1)
    assert intervals["recall@1"].value == 2 / 5
    assert intervals["map@r"].value == 2 / 4
    assert 0 <= intervals["map@r"].low <= intervals["map@r"].high <= 1


def test_seed_decides():
    found = drawn(np.random.default_rng(0), classes=30, size=3)
    assert confidence_intervals(found, seed=1) == confidence_intervals(found, seed=1)
    assert confidence_intervals(found, seed=1) != confidence_intervals(found, seed=2)


FOUND = results([0, 0, 1, 1], [1, 0, 1, 1])


@pytest.mark.parametrize(
    ("found", "options", "message"),
    [
        (results([3, 3], [1, 0]), {}, "at least two classes. Received: queries of one class"),
        (FOUND, {"confidence": 95}, r"`confidence` must be in \(0, 1\)\. Received: confidence=95"),
        (
            FOUND,
            {"resamples": 0},
            r"`resamples` must be an integer of 1 or more\. Received: resamples=0",
        ),
        (FOUND, {"k": 0}, r"`k` must be .* Received: k=0"),
    ],
)
def test_errors_say_what_came(found, options, message):
    with pytest.raises(ValueError, match=message):
        confidence_intervals(found, **options)
    with pytest.raises(ValueError, match=message):
        compare_results(found, found, **options)


def test_results_of_other_data_are_refused():
    message = r"`second` must have the same queries .* Received: 4 queries"
    with pytest.raises(ValueError, match=message):
        compare_results(FOUND, results([0, 0, 1, 2], [1, 0, 1, 1]))
