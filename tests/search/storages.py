"""A small storage for tests, in memory and in a folder."""

import numpy as np


def vectors(count, start=0.0, dims=3):
    return start + np.arange(count * dims, dtype="f4").reshape(count, dims)


def fill(storage):
    """Eight items: five with a label, of which four have metadata, and three with an id alone."""
    labels = ["cat", "dog", None, "cat", "cow"]
    metadata = [
        {"shop": "A", "price": 10, "new": True},
        {"shop": "B", "price": 20.5, "new": False},
        {},
        {"shop": "A", "price": None},
        {"shop": "C", "price": 10, 'odd "name" [0].x': "yes"},
    ]
    storage.append(vectors(5), [10, 11, 12, 13, 14], labels, metadata)
    storage.append(vectors(3, start=100), [20, 21, 22])
