"""Intervals of the verification metrics, against fresh samples of classes."""

import math

import numpy as np
import pytest

from keras_proxygml.metrics import verification_intervals, verification_metrics


def clusters(classes, seed, items=6, dims=12):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), items)
    spread = np.exp(0.4 * rng.normal(size=(classes, 1)))[labels]  # some classes are harder
    centers = rng.normal(size=(classes, dims))
    return centers[labels] + spread * rng.normal(size=(len(labels), dims)), labels


@pytest.mark.slow
def test_intervals_hold_the_value_of_many_classes():
    truth = verification_metrics(*clusters(1000, 99), false_accept_rates=(0.01,))
    inside = dict.fromkeys(truth, 0)
    for seed in range(40):
        found = verification_intervals(*clusters(60, seed), false_accept_rates=(0.01,), groups=10)
        for name, interval in found.items():
            inside[name] += interval.low <= truth[name] <= interval.high
    assert min(inside.values()) >= 34, inside  # 38 are expected


def test_value_and_width():
    data = clusters(60, 0)
    wide = verification_intervals(*data, groups=10)
    narrow = verification_intervals(*data, groups=10, confidence=0.5)
    assert {name: x.value for name, x in wide.items()} == verification_metrics(*data)
    for name, interval in wide.items():
        assert interval.low < narrow[name].low < interval.value < narrow[name].high < interval.high
    assert wide == verification_intervals(*data, groups=10)


def test_by_hand():
    """Each class is a group of its own."""
    vectors, labels = clusters(5, 1)
    found = verification_intervals(vectors, labels, groups=5, false_accept_rates=(0.1, 0.001))
    kept = [labels != c for c in range(5)]
    parts = [verification_metrics(vectors[rows], labels[rows])["eer"] for rows in kept]
    half = 2.7764451 * math.sqrt(4 / 5 * sum((x - np.mean(parts)) ** 2 for x in parts))
    interval = found["eer"]
    assert interval.high == pytest.approx(min(1, interval.value + half))
    assert interval.low == pytest.approx(max(0, interval.value - half))
    assert math.isnan(found["tar@far=0.001"].low)  # 360 impostors do not measure it


def test_a_gallery_that_holds_the_queries_equals_no_gallery_in_width():
    vectors, labels = clusters(20, 2)
    order = np.random.default_rng(0).permutation(len(labels))
    gallery = {"gallery": vectors[order], "gallery_labels": labels[order]}
    options = {"false_accept_rates": (0.1,), "groups": 5}
    found = verification_intervals(vectors, labels, itself=np.argsort(order), **gallery, **options)
    alone = verification_intervals(vectors, labels, **options)
    for name in alone:  # each pair counts twice
        for end in ("value", "low", "high"):
            assert getattr(found[name], end) == pytest.approx(getattr(alone[name], end))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": 1}, "`groups` must be an integer of 2 or more"),
        ({"groups": 9}, "`labels` must have at least 9 classes. Received: 8 classes"),
        ({"confidence": 1}, "`confidence` must be in"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        verification_intervals(*clusters(8, 0), **options)
