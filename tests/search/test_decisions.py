"""Answers from the hits of a query."""

import numpy as np

from keras_proxygml.search import decide

NAN = float("nan")


def test_answers():
    labels = [
        ["a", "a", "b"],  # accepted
        ["a", "b", "c"],  # exactly at the threshold
        ["c", "b", "b"],  # below it
        [None, "b", "a"],  # an item without a label has no say
        ["b", "b", "b"],  # no other label among the hits
        [None, None, None],  # no hit
    ]
    values = [
        [0.9, 0.8, 0.7],
        [0.5, 0.4, 0.3],
        [0.49, 0.4, 0.3],
        [0.9, 0.6, 0.6],
        [0.9, 0.9, 0.9],
        [0.9, NAN, NAN],
    ]
    found = decide(labels, np.array(values), 0.5)
    assert found.labels == ["a", "a", None, "b", "b", None]
    np.testing.assert_array_equal(found.similarities, [0.9, 0.5, 0.49, 0.6, 0.9, NAN])
    assert found.runners_up == ["b", "b", "b", "a", None, None]
    np.testing.assert_array_equal(found.runner_up_similarities, [0.7, 0.4, 0.4, 0.6, NAN, NAN])


def test_labels_stay_as_they_are():
    found = decide([[7, 8]], np.array([[0.9, 0.8]]), 0.0)
    assert (found.labels, found.runners_up) == ([7], [8])
    empty = decide([], np.zeros((0, 3)), 0.0)
    assert (empty.labels, len(empty.similarities)) == ([], 0)
