"""Rows by their metadata."""

import numpy as np
import pytest
from storages import fill, vectors


class Column:
    """What a column of a pandas table is here: NumPy makes an array of it."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype)


@pytest.mark.parametrize(
    ("conditions", "rows"),
    [
        ({"shop": "A"}, [0, 3]),
        ({"shop": ["A", "C"]}, [0, 3, 4]),
        ({"shop": ("A", "C"), "price": 10}, [0, 4]),
        ({"price": 10.0}, [0, 4]),
        ({"price": [10, 20.5]}, [0, 1, 4]),
        ({"price": "10"}, []),
        ({"new": True}, [0]),
        ({"new": False}, [1]),
        ({"price": None}, [2, 3, 5, 6, 7]),
        ({"price": [None, 20.5], "shop": ["A", "B"]}, [1, 3]),
        ({'odd "name" [0].x': "yes"}, [4]),
        ({"shop": "A' OR 1=1 --"}, []),
        ({"shop": []}, []),
        ({"shop": "A\0"}, []),
        ({"price": [2**70, 10]}, [0, 4]),
        ({"price": np.int64(10)}, [0, 4]),
        ({"shop": np.array(["A"])}, [0, 3]),
        ({"shop": np.array(["A", "C"], object)}, [0, 3, 4]),
        ({"shop": Column(["A", "C"])}, [0, 3, 4]),
        ({"price": np.array([10, 20.5])}, [0, 1, 4]),
        ({"price": np.array(10)}, [0, 4]),
        ({"price": range(9, 12)}, [0, 4]),
        ({"price": {np.float64(10), None}}, [0, 2, 3, 4, 5, 6, 7]),
        ({}, [0, 1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_rows_where(storage, conditions, rows):
    fill(storage)
    assert np.flatnonzero(storage.rows_where(conditions)).tolist() == rows
    storage.remove([0])
    expected = [row for row in rows if row]
    assert np.flatnonzero(storage.rows_where(conditions)).tolist() == expected


def test_equal_floats_are_equal_in_a_filter(storage):
    rng = np.random.default_rng(0)
    values = [*(rng.standard_normal(200) * 10.0 ** rng.integers(-300, 300, 200)).tolist(), 0.1]
    storage.append(vectors(201), range(201), None, [{"x": value} for value in values])
    for row in range(201):
        assert storage.rows_where({"x": values[row]})[row]
    assert storage.metadata(range(201)) == [{"x": value} for value in values]


def test_an_unknown_field_is_refused(storage):
    fill(storage)
    with pytest.raises(ValueError, match=r"`where` must name fields of the metadata: .*'shop'"):
        storage.rows_where({"shop": "A", "shelf": 3})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"A": 1}, r"JSON's plain values, or lists \[N\] of them. Received: 'shop': .*, a dict"),
        (iter(["A"]), "JSON's plain values, .* a list_iterator"),
        (np.array([["A", "C"]]), r"JSON's plain values, .* \['A', 'C'\], a list"),
        ([b"A"], "JSON's plain values, .* b'A', a bytes"),
        (np.array([1, np.nan]), "finite numbers. Received: 'shop': nan"),
    ],
)
def test_other_containers_and_values_are_refused(storage, value, message):
    fill(storage)
    with pytest.raises(ValueError, match=f"`where` must have {message}"):
        storage.rows_where({"shop": value})
