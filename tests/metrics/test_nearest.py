import itertools
import tracemalloc

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from keras_proxygml.metrics._exact import nearest as engine
from keras_proxygml.metrics._exact import scan
from keras_proxygml.metrics._exact.items import Items
from keras_proxygml.metrics._exact.nearest import nearest_rows, unit_rows

VECTORS = st.lists(st.lists(st.integers(-2, 2), min_size=3, max_size=3), min_size=1, max_size=40)


def expected(queries, items, k, allowed=None, own=None):
    """Rows and similarities by products of whole numbers, one query at a time."""
    queries, items = ((x.astype("float64") * 2.0**24).astype("int64") for x in (queries, items))
    found = np.full((len(queries), k), -1), np.full((len(queries), k), np.nan)
    for q, query in enumerate(queries):
        levels = (items * query).sum(axis=1).tolist()
        rows = [
            row
            for row in range(len(items))
            if (allowed is None or allowed[row]) and (own is None or own[q] != row)
        ]
        for place, row in enumerate(sorted(rows, key=lambda row: -levels[row])[:k]):
            found[0][q, place], found[1][q, place] = row, levels[row] / 2.0**48
    return found


def clusters(items, dims, seed=0):
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(max(1, items // 20), dims))
    return unit_rows(
        centers[rng.integers(len(centers), size=items)] + rng.normal(size=(items, dims))
    )


@pytest.mark.parametrize("spare", [0, 8])
@pytest.mark.parametrize("height", [2, 256])
@hypothesis.settings(deadline=None)
@hypothesis.given(queries=VECTORS, items=VECTORS, data=st.data())
def test_segments_filters_and_own_rows(spare, height, queries, items, data):
    queries, items = unit_rows(np.array(queries)), unit_rows(np.array(items))
    k = data.draw(st.integers(1, len(items) + 2))
    rows = st.booleans()
    allowed = data.draw(st.none() | st.lists(rows, min_size=len(items), max_size=len(items)))
    own = st.integers(-1, len(items) - 1)
    own = data.draw(st.none() | st.lists(own, min_size=len(queries), max_size=len(queries)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(items)), max_size=4)))
    allowed, own = (None if x is None else np.array(x) for x in (allowed, own))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "SPARE", spare)
        patch.setattr(engine, "HEIGHT", height)
        patch.setattr(scan, "PRODUCTS", 1)
        patch.setattr(scan, "NARROW", 4)
        found = nearest_rows(queries, np.split(items, cuts), k, allowed=allowed, own=own)
    for got, wanted in zip(found, expected(queries, items, k, allowed, own), strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("share", [0.001, 0.2, 0.45, 0.7, 0.999])
def test_many_items_with_a_filter(share):
    items, queries = clusters(9000, 8), clusters(30, 8, seed=1)
    allowed = np.random.default_rng(2).random(len(items)) < share
    allowed[4000:6000] = share > 0.5  # whole pieces without an item, or without a gap
    found = nearest_rows(queries, np.array_split(items, 5), 12, allowed=allowed)
    for got, wanted in zip(found, expected(queries, items, 12, allowed), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_batches_and_segments_do_not_matter():
    items, queries = clusters(20_000, 16), clusters(300, 16, seed=1)
    items[5000:5100] = items[7]  # equal items on both sides of a cut
    rows, similarities = nearest_rows(queries, [items], 20)
    for size in (1, 7, 299):
        parts = [
            nearest_rows(queries[i : i + size], np.array_split(items, size + 1), 20)
            for i in range(0, 300, size)
        ]
        np.testing.assert_array_equal(np.concatenate([p[0] for p in parts]), rows)
        np.testing.assert_array_equal(np.concatenate([p[1] for p in parts]), similarities)


@pytest.mark.parametrize("rising", [False, True])
def test_items_in_the_order_of_similarity(rising):
    angle = np.linspace(0, np.pi, 6000)
    items = unit_rows(np.stack([np.cos(angle), np.sin(angle)], axis=1))
    items = items[::-1] if rising else items
    rows, _ = nearest_rows(unit_rows(np.array([[1.0, 0.0]])), [items], 50)
    near = np.arange(6000)[::-1] if rising else np.arange(6000)
    values = items[:, 0].astype("float64")
    np.testing.assert_array_equal(values[rows[0]], values[near[:50]])


def test_equal_items_come_by_row():
    items = np.repeat(unit_rows(np.array([[1.0, 2.0], [2.0, 1.0]])), 20_000, axis=0)
    rows, similarities = nearest_rows(items[:1], np.array_split(items, 3), 10)
    np.testing.assert_array_equal(rows, [np.arange(10)])
    assert (similarities == similarities[0, 0]).all()


def test_differences_below_float32_count_in_many_dims():
    rng = np.random.default_rng(0)
    items = unit_rows(1 + 1e-6 * rng.normal(size=(5000, 64)))
    exact = items[:4].astype("float64") @ items.astype("float64").T
    rows, similarities = nearest_rows(items[:4], [items[:300], items[300:]], 7)
    np.testing.assert_array_equal(rows, np.argsort(-exact, axis=1, kind="stable")[:, :7])
    np.testing.assert_array_equal(similarities, -np.sort(-exact, axis=1)[:, :7])


def test_nothing_to_find():
    queries = unit_rows(np.eye(3, 2))
    for segments, allowed in (([], None), ([queries], np.zeros(3, bool))):
        rows, similarities = nearest_rows(queries, segments, 2, allowed=allowed)
        assert (rows == -1).all()
        assert np.isnan(similarities).all()
    assert nearest_rows(queries[:0], [queries], 2)[0].shape == (0, 2)
    assert unit_rows(np.zeros((0, 4))).shape == (0, 4)


def test_zero_vectors_are_similar_to_nothing():
    rows, similarities = nearest_rows(unit_rows(np.zeros((1, 2))), [unit_rows(-np.eye(2))], 2)
    assert rows.tolist() == [[0, 1]]
    assert similarities.tolist() == [[0, 0]]


def test_memory_maps_are_read_in_pieces(tmp_path):
    items = clusters(5000, 8)
    np.save(tmp_path / "items.npy", items)
    mapped = np.load(tmp_path / "items.npy", mmap_mode="r")
    read = Items([mapped[:100], mapped[100:]])
    assert np.shares_memory(read.piece(1024, 2048).vectors, mapped)
    np.testing.assert_array_equal(read.piece(90, 120).vectors, items[90:120])
    np.testing.assert_array_equal(read[np.array([4999, 0, 100, 99])], items[[4999, 0, 100, 99]])
    found = nearest_rows(items[:9], [mapped], 5)
    np.testing.assert_array_equal(found[0], nearest_rows(items[:9], [items], 5)[0])


@pytest.mark.parametrize("share", [1.0, 0.4])
def test_memory_is_bounded(tmp_path, share):
    np.save(tmp_path / "items.npy", clusters(60_000, 256))  # 59 MiB
    mapped = np.load(tmp_path / "items.npy", mmap_mode="r")
    queries = clusters(300, 256, seed=1)
    allowed = np.random.default_rng(0).random(60_000) < share
    tracemalloc.start()
    nearest_rows(queries, np.array_split(mapped, 3), 10, allowed=allowed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * 2**20


def test_cuts_cover_all_rows_and_hold_about_as_many_as_asked():
    allowed = np.random.default_rng(0).random(10_000) < 0.1
    allowed[2000:4000] = True
    items = Items([np.zeros((10_000, 2), "float32")], allowed)
    cuts = items.cuts(500)
    assert cuts[0][0] == 0
    assert cuts[-1][1] == 10_000
    assert all(end == begin for (_, end), (begin, _) in itertools.pairwise(cuts))
    assert all(np.count_nonzero(allowed[first:last]) < 1000 for first, last in cuts)
    assert len(cuts) < 12
