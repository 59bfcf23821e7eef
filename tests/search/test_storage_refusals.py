"""Changes that are refused, or interrupted, change nothing."""

import os

import numpy as np
import pytest
from storages import fill, vectors

from benchmarks.reliability.expected import content_of


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.append(vectors(1), [10]), "`ids` must be new. Received: 10 twice"),
        (lambda s: s.append(vectors(1), [20], ["x"]), "`ids` must be new. Received: 20 twice"),
        (lambda s: s.append(vectors(2), [21, 22]), "`ids` must be new. Received: 21 twice"),
        (lambda s: s.append(vectors(3), range(8, 11)), "`ids` must be new. Received: 10 twice"),
        (lambda s: s.append(vectors(2), [7, 7]), "`ids` must be new. Received: 7 twice"),
        (lambda s: s.append(vectors(2), ["a", "b"]), "`ids` must be int, as in the gallery"),
        (lambda s: s.append(vectors(2), [7, "b"]), "`ids` must be int.* Received: int and str"),
        (lambda s: s.append(vectors(1), [None]), "`ids` must be int.* Received: NoneType"),
        (lambda s: s.append(vectors(1), [True]), "`ids` must be int.* Received: bool"),
        (lambda s: s.append(vectors(1), [1.0]), "`ids` must be int.* Received: float"),
        (lambda s: s.append(vectors(1), [2**63]), "`ids` must be integers of 64 bits"),
        (lambda s: s.append(vectors(2), [20, -(2**63) - 1]), "`ids` must be integers of 64 bits"),
        (lambda s: s.append(vectors(1), [7], [3]), "`labels` must be str, as in the gallery"),
        (lambda s: s.append(vectors(1), [7], ["\ud800"]), "`ids` must be Unicode"),
        (lambda s: s.append(vectors(2), [7]), "`ids` must have 2 items"),
        (lambda s: s.append(vectors(1), [7], ["a", "b"]), "`labels` must have 1 items"),
        (lambda s: s.append(vectors(1), [7], None, [{}, {}]), "`metadata` must have 1 items"),
        (lambda s: s.append(vectors(1, dims=4), [7]), r"`vectors` must be float32 \[N, 3\]"),
        (lambda s: s.append(vectors(1).astype("f8"), [7]), "Received: .* dtype float64"),
        (
            lambda s: s.append(vectors(1), [7], None, [{"a": [1]}]),
            "`metadata` must have values that are str without .*, float, bool or None",
        ),
        (lambda s: s.append(vectors(1), [7], None, [{"a": "x\0y"}]), "must have values that are"),
        (lambda s: s.append(vectors(1), [7], None, [{"a": 2**63}]), "must have values that are"),
        (lambda s: s.append(vectors(1), [7], None, [{"a\0": 1}]), "names of fields"),
        (lambda s: s.append(vectors(1), [7], None, [{"\ud800": 1}]), "`ids` must be Unicode"),
        (lambda s: s.append(vectors(1), [7], None, [{"a": np.nan}]), "must have finite numbers"),
        (lambda s: s.append(vectors(1), [7], None, [{3: "a"}]), "names of fields that are strings"),
        (lambda s: s.remove([8]), r"`rows` must be in \[0, 8\). Received: row 8"),
        (lambda s: s.remove([-1]), r"`rows` must be in \[0, 8\)"),
        (lambda s: s.remove([1, 1]), "`rows` must be different rows that are there"),
        (lambda s: s.replace([2, 2], vectors(2)), "`rows` must be different rows"),
        (lambda s: s.replace([2], vectors(2)), "`ids` must have 2 items"),
        (lambda s: s.ids([8]), r"`rows` must be in \[0, 8\)"),
        (lambda s: s.append(vectors(1), [7], settings={"a": {1}}), "not JSON serializable"),
    ],
)
def test_a_refused_change_changes_nothing(storage, change, message):
    fill(storage)
    storage.set(threshold=1)  # which makes it the writer
    before = content_of(storage)
    files = sorted(os.listdir(storage.path)) if storage.path else []
    with pytest.raises((ValueError, TypeError), match=message):
        change(storage)
    assert content_of(storage) == before
    assert storage.version == 3
    assert not storage.path or sorted(os.listdir(storage.path)) == files
    storage.append(vectors(1), [7])
    assert storage.rows_of([7]).tolist() == [8]
