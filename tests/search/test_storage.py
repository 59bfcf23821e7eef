"""Each method of a storage, in memory and in a folder, against plain lists."""

import random

import numpy as np
import pytest
from storages import fill, vectors

from benchmarks.reliability.expected import Expected, content_of
from keras_proxygml.search._storage.segments import MERGED_BYTES
from keras_proxygml.search._storage.storage import Storage


def test_an_empty_storage(storage):
    assert (len(storage), storage.num_rows, storage.dims, storage.version) == (0, 0, None, 0)
    assert storage.segments == []
    assert storage.removed.shape == (0,)
    assert (storage.ids([]), storage.labels([]), storage.metadata([])) == ([], [], [])
    assert storage.rows_of(["a"]).tolist() == [-1]
    assert (storage.settings, storage.embedder_path) == ({}, None)
    assert (storage.id_type, storage.label_type) == (None, None)
    labels, rows = storage.all_labels()
    assert (len(labels), len(rows)) == (0, 0)


def test_rows_come_back_as_they_were_given(storage):
    fill(storage)
    rows = [7, 0, 2, 4, 0]
    assert storage.ids(rows) == [22, 10, 12, 14, 10]
    assert storage.labels(rows) == [None, "cat", None, "cow", "cat"]
    assert storage.metadata([4, 7]) == [
        {"shop": "C", "price": 10, 'odd "name" [0].x': "yes"},
        {},
    ]
    assert storage.metadata([0])[0]["new"] is True
    found = np.concatenate(storage.segments)
    np.testing.assert_array_equal(found, np.concatenate([vectors(5), vectors(3, start=100)]))
    assert (len(storage), storage.dims, storage.version) == (8, 3, 2)
    assert (storage.id_type, storage.label_type) == (int, str)


def test_vectors_are_read_only(storage):
    fill(storage)
    for segment in storage.segments:
        with pytest.raises(ValueError, match="read-only"):
            segment[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        storage.removed[0] = True


def test_ids_are_found(storage):
    fill(storage)
    assert storage.rows_of([22, 10, 15, 23, "10", 2**70, -5]).tolist() == [7, 0, -1, -1, -1, -1, -1]
    assert storage.rows_of(np.array([20, 14])).dtype == np.int64
    storage.remove([0, 6])
    assert storage.rows_of([10, 21, 11, 22]).tolist() == [-1, -1, 1, 7]


@pytest.mark.parametrize(
    "ids",
    [
        [5, 3, -9, 2**63 - 1, -(2**63)],
        ["a", "", "ä\x00b", "10", "日本"],
        np.array([3, 9, 27, 81, 243], np.int16),
        np.array(["x", "y", "z", "longer", "w"]),
        [np.int64(7), np.int32(5), 4, np.uint8(3), 1],
        range(-2, 3),
        range(10, 0, -2),
        np.arange(5, dtype=np.uint64),
    ],
)
def test_ids_and_labels_of_both_types(storage, ids):
    storage.append(vectors(5), ids, ids)
    expected = [x.item() if isinstance(x, np.generic) else x for x in ids]
    assert storage.ids(range(5)) == storage.labels(range(5)) == expected
    assert {type(x) for x in storage.ids(range(5))} <= {int, str}
    assert storage.rows_of(ids).tolist() == [0, 1, 2, 3, 4]
    labels, rows = storage.all_labels()
    assert labels.dtype.kind in "iU"
    assert labels.tolist() == expected
    assert rows.tolist() == [0, 1, 2, 3, 4]


def test_labels_of_all_items(storage):
    fill(storage)
    storage.remove([1])
    labels, rows = storage.all_labels()
    assert labels.tolist() == ["cat", None, "cat", "cow", None, None, None]
    assert rows.tolist() == [0, 2, 3, 4, 5, 6, 7]


def test_replaced_items_keep_their_ids(storage):
    fill(storage)
    storage.replace([5, 1], vectors(2, start=50), ["eel", None], [{"shop": "Z"}, {}])
    assert (len(storage), storage.num_rows, storage.version) == (8, 10, 3)
    assert storage.ids([8, 9]) == [20, 11]
    assert storage.rows_of([20, 11]).tolist() == [8, 9]
    assert storage.labels([8, 9]) == ["eel", None]
    assert storage.rows_where({"shop": ["Z", "B"]}).nonzero()[0].tolist() == [8]
    storage.replace([8], vectors(1))
    assert storage.ids([10]) == [20]
    assert storage.labels([10]) == [None]


def test_a_removed_id_may_come_back(storage):
    fill(storage)
    storage.remove([0, 6])
    storage.append(vectors(1), [10])
    storage.append(vectors(1), [21], ["fox"])
    assert storage.rows_of([10, 21]).tolist() == [8, 9]
    storage.remove([8, 9])
    storage.append(vectors(2), [21, 10], ["a", "b"])
    assert storage.rows_of([10, 21]).tolist() == [11, 10]


def test_settings(storage):
    storage.set(threshold=0.25, digest="abc", limits=[1, None])
    storage.append(vectors(1), [1], settings={"threshold": 0.5})
    assert storage.settings == {"threshold": 0.5, "digest": "abc", "limits": [1, None]}
    assert storage.version == 2


def test_the_embedder(storage):
    storage.write_embedder(b"first", settings={"digest": "1"})
    assert storage.embedder_path.name == "embedder.keras"
    assert storage.embedder_path.read_bytes() == b"first"
    storage.write_embedder(lambda path: path.write_bytes(b"second"))
    assert storage.embedder_path.read_bytes() == b"second"
    assert storage.settings == {"digest": "1"}
    assert len(list(storage.embedder_path.parent.glob("*.keras"))) == 1


def test_a_storage_equals_plain_lists_after_each_of_many_changes(storage, tmp_path):
    expected = Expected()
    for _ in range(60):
        name, values, _ = expected.next_change()
        method = getattr(storage, name)
        method(**values) if isinstance(values, dict) else method(*values)
        expected.advance()
        assert content_of(storage) == expected.content(), name
        assert storage.version == expected.step
    storage.copy_to(tmp_path / "copy.gallery")
    with Storage.open(tmp_path / "copy.gallery") as copy:
        assert content_of(copy) == expected.content()


def test_an_own_copy_is_independent(storage, tmp_path):
    fill(storage)
    path = tmp_path / "deep" / "copy.gallery"
    storage.copy_to(path, embedder=b"weights")
    assert storage.embedder_path is None
    with Storage.open(path) as copy:
        assert copy.embedder_path.read_bytes() == b"weights"
        copy.append(vectors(1), [99])
        assert (len(copy), len(storage)) == (9, 8)
        assert isinstance(copy.segments[0], np.memmap)


def test_a_copy_replaces_a_gallery_and_has_a_higher_version(storage, tmp_path):
    path = tmp_path / "copy.gallery"
    with Storage.create(path) as first:
        first.append(vectors(2), ["a", "b"])
        first.write_embedder(b"old")
    with Storage.open(path) as reader:
        fill(storage)
        storage.copy_to(path)
        assert reader.ids([0, 1]) == ["a", "b"]
        assert reader.segments[0].tolist() == vectors(2).tolist()
        before = reader.version
        reader.reload()
        assert reader.version > before
        assert content_of(reader) == content_of(storage)
    assert len(list(path.iterdir())) == 4  # manifest, catalog, vectors and the lock


def test_a_gallery_saved_to_its_own_folder_stays(tmp_path):
    with Storage.create(tmp_path / "a.gallery") as storage:
        fill(storage)
        storage.copy_to(tmp_path / "a.gallery")
        assert storage.version == 2
        storage.copy_to(tmp_path / "a.gallery", embedder=b"weights")
        assert storage.embedder_path.read_bytes() == b"weights"


def test_small_segments_are_merged(storage):
    sizes = []
    for i in range(100):
        storage.append(vectors(1, start=i), [i])
        sizes.append(len(storage.segments))
    assert max(sizes) <= 7
    found = np.concatenate(storage.segments)[:, 0]
    np.testing.assert_array_equal(found, np.arange(100))


def test_large_segments_are_not_copied(storage):
    half = MERGED_BYTES // 8 + 1
    for i in range(2):
        storage.append(np.full((half, 1), i, "f4"), range(i * half, (i + 1) * half))
    assert [len(segment) for segment in storage.segments] == [half, half]


def test_compact_numbers_the_rows_again(storage):
    fill(storage)
    storage.remove([0, 4, 6])
    before = [storage.metadata([row])[0] for row in (1, 2, 3, 5, 7)]
    storage.compact()
    assert (len(storage), storage.num_rows, storage.version) == (5, 5, 4)
    assert storage.ids(range(5)) == [11, 12, 13, 20, 22]
    assert storage.labels(range(5)) == ["dog", None, "cat", None, None]
    assert storage.metadata(range(5)) == before
    assert storage.rows_of([22, 20, 10]).tolist() == [4, 3, -1]
    expected = np.concatenate([vectors(5), vectors(3, start=100)])[[1, 2, 3, 5, 7]]
    np.testing.assert_array_equal(np.concatenate(storage.segments), expected)
    with pytest.raises(ValueError, match="`where` must name fields"):
        storage.rows_where({'odd "name" [0].x': "yes"})
    storage.remove(range(5))
    storage.compact()
    assert (len(storage), storage.num_rows, storage.segments) == (0, 0, [])
    fill(storage)
    assert len(storage) == 8


def test_an_interrupted_change_changes_nothing(storage):
    fill(storage)

    def interrupt(path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        storage.write_embedder(interrupt)
    assert (storage.embedder_path, storage.version) == (None, 2)
    storage.write_embedder(b"all")
    assert storage.embedder_path.read_bytes() == b"all"


def test_many_ids_in_random_order(storage):
    ids = random.Random(0).sample(range(10**6), 3000)
    storage.append(vectors(1000), ids[:1000])
    storage.append(vectors(1000), ids[1000:2000], ids[1000:2000])
    assert storage.rows_of(ids).tolist() == [*range(2000), *[-1] * 1000]
    storage.remove(range(0, 2000, 2))
    assert storage.rows_of(ids[:4]).tolist() == [-1, 1, -1, 3]
