"""A gallery in a folder: one writer, many readers, and what is in the way."""

import gc
import os
import shutil
import sqlite3
import threading

import numpy as np
import pytest

from keras_proxygml.search._storage.manifest import read_manifest
from keras_proxygml.search._storage.storage import Storage


def vectors(count):
    return np.ones((count, 3), "f4")


@pytest.fixture
def path(tmp_path):
    with Storage.create(tmp_path / "a.gallery") as storage:
        storage.append(vectors(2), ["a", "b"])
    return tmp_path / "a.gallery"


def test_a_second_writer_is_refused(path):
    with Storage.open(path) as first, Storage.open(path) as second:
        first.append(vectors(1), ["c"])
        with pytest.raises(ValueError, match="must be a gallery that nothing else writes to"):
            second.append(vectors(1), ["d"])
        with pytest.raises(ValueError, match="must be a gallery that nothing else writes to"):
            _save_over(path)


def _save_over(path):
    with Storage.create() as storage:
        storage.copy_to(path)


def test_a_writer_must_know_the_newest_version(path):
    with Storage.open(path) as late:
        with Storage.open(path) as storage:
            storage.remove([0])
        with pytest.raises(ValueError, match=r"has changed since it was loaded. Call reload"):
            late.remove([0])
        assert late.ids([0, 1]) == ["a", "b"]
        late.reload()
        late.remove([1])
    with Storage.open(path) as storage:
        assert storage.removed.tolist() == [True, True]


def test_a_reader_sees_changes_after_reload(path):
    with Storage.open(path) as reader, Storage.open(path) as writer:
        writer.append(vectors(1), ["c"], ["cat"], [{"shop": "A"}])
        writer.remove([0])
        writer.set(threshold=0.5)
        assert (len(reader), reader.removed.tolist()) == (2, [False, False])
        assert (reader.settings, reader.rows_of(["c", "a"]).tolist()) == ({}, [-1, 0])
        writer.compact()
        assert reader.ids([0, 1]) == ["a", "b"]
        reader.reload()
        assert reader.ids([0, 1]) == ["b", "c"]
        assert reader.settings == {"threshold": 0.5}
        assert reader.version == writer.version


def test_reload_maps_only_new_segments(path):
    with Storage.open(path) as reader, Storage.open(path) as writer:
        before = reader.segments[0]
        writer.append(vectors(1), ["c"])
        reader.reload()
        assert reader.segments[0] is before
        assert len(reader.segments) == 2


def _move_another_here(path, count=2):
    """Puts another gallery at a path. Its catalog has the same name and version."""
    with Storage.create(path.with_name("other")) as other:
        other.append(vectors(count) + 1, [f"new {i}" for i in range(count)], ["x"] * count)
    path.rename(path.with_name("old"))
    path.with_name("other").rename(path)


def test_another_gallery_at_the_path_is_not_written_to(path):
    with Storage.open(path) as writer:
        writer.set(threshold=0.5)
        with Storage.open(path) as late:
            _move_another_here(path)
            with pytest.raises(ValueError, match=r"has changed since it was loaded. Call reload"):
                late.remove([0])
        with pytest.raises(ValueError, match="has been replaced or deleted since"):
            writer.remove([0])
    with Storage.open(path) as there:
        there.verify()
        assert there.ids(range(2)) == ["new 0", "new 1"]
        assert there.settings == {}


def test_reload_shows_another_gallery_at_the_path(path):
    with Storage.open(path) as reader:
        numbering = reader.numbering
        reader.reload()
        assert reader.numbering is numbering
        assert reader.is_labeled().tolist() == [False, False]
        _move_another_here(path)
        reader.reload()
        assert reader.numbering is not numbering
        assert reader.is_labeled().tolist() == [True, True]
        np.testing.assert_array_equal(reader.segments[0], vectors(2) + 1)
        reader.remove([0])


def test_reload_checks_another_gallery_at_the_path(path):
    with Storage.open(path) as reader:
        _move_another_here(path)
        catalog = path / read_manifest(path).catalog
        catalog.write_bytes(catalog.read_bytes().replace(b"new 0", b"nXw 0"))
        with pytest.raises(ValueError, match="has changed since it was written"):
            reader.reload()
        assert reader.ids([0, 1]) == ["a", "b"]


def test_a_folder_that_became_a_file(path, tmp_path):
    with Storage.open(path) as writer:
        writer.set(threshold=0.5)
        path.rename(tmp_path / "old")
        path.write_text("a file")
        with pytest.raises(ValueError, match="has been replaced or deleted since"):
            writer.set(threshold=0.6)
        with Storage.create() as other:
            other.copy_to(tmp_path / "other")
        path.unlink()
        writer.copy_to(tmp_path / "other")
    with Storage.open(tmp_path / "other") as copy:
        assert copy.ids([0, 1]) == ["a", "b"]


def test_a_reload_that_cannot_be_followed_changes_nothing(path):
    def fail(settings, embedder_path):
        assert (settings, embedder_path) == ({"threshold": 0.5}, None)
        raise OSError("no embedder")

    with Storage.open(path) as reader:
        with Storage.open(path) as writer:
            writer.append(vectors(1), ["c"])
            writer.set(threshold=0.5)
        with pytest.raises(OSError, match="no embedder"):
            reader.reload(fail)
        assert (len(reader), reader.settings) == (2, {})
        reader.reload()
        assert (len(reader), reader.settings) == (3, {"threshold": 0.5})


def test_a_storage_that_is_forgotten_is_closed(path):
    storage = Storage.open(path)
    storage.append(vectors(1), ["c"])
    assert read_manifest(path).catalog_checksum is None
    del storage
    gc.collect()
    assert read_manifest(path).catalog_checksum is not None
    with Storage.open(path) as storage:
        storage.append(vectors(1), ["d"])


def test_a_closed_storage_is_refused(path):
    storage = Storage.open(path)
    storage.close()
    storage.close()
    with pytest.raises(ValueError, match="`gallery` must be open"):
        storage.ids([0])
    with pytest.raises(ValueError, match="`gallery` must be open"):
        storage.append(vectors(1), ["c"])


def test_what_a_killed_writer_left_is_deleted(path):
    for name in ("vectors-00000099.npy", "catalog-00000099.db", "manifest.json.new"):
        (path / name).write_bytes(b"half")
    (path / "notes.txt").write_text("of the user")
    (path / "vectors-00000098.npy").mkdir()
    abandoned = path.with_name(".b.gallery.saving-0123456789abcdef")
    abandoned.mkdir()
    (abandoned / "vectors-00000001-0.npy").write_bytes(b"half")
    with Storage.open(path) as storage:
        assert (path / "vectors-00000099.npy").exists()
        storage.set(threshold=1)
        storage.copy_to(path.with_name("b.gallery"))
    assert not list(path.glob("*99*"))
    assert (path / "notes.txt").exists()
    assert sorted(os.listdir(path.parent)) == ["a.gallery", "b.gallery"]


@pytest.mark.parametrize("change", ["compact", "save"])
def test_a_half_written_catalog_is_not_used(path, change):
    with Storage.open(path) as storage:
        storage.remove([0])
        version = storage.version
    other = sqlite3.connect(path / f"catalog-{version + 1 + (change == 'save'):08d}.db")
    other.execute("PRAGMA journal_mode = WAL")
    other.execute("CREATE TABLE half (x)")
    other.commit()
    try:
        if change == "compact":
            with Storage.open(path) as storage:
                storage.compact()
        else:
            with Storage.create() as storage:
                storage.append(vectors(1), ["b"])
                storage.copy_to(path)
    finally:
        other.close()
    with Storage.open(path) as storage:
        storage.verify()
        assert storage.ids([0]) == ["b"]


def test_something_else_is_not_overwritten(path, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"cat")
    (tmp_path / "file").write_bytes(b"file")
    (tmp_path / "empty").mkdir()
    with Storage.open(path) as storage:
        for name in ("photos", "file"):
            with pytest.raises(ValueError, match="`path` must be a new path or a gallery"):
                storage.copy_to(tmp_path / name)
        storage.copy_to(tmp_path / "empty")
    with pytest.raises(ValueError, match="`path` must be new"):
        Storage.create(path)
    with Storage.open(tmp_path / "empty") as copy:
        assert copy.ids([0, 1]) == ["a", "b"]


def test_a_failed_save_leaves_what_was_there(path, tmp_path):
    def fail(path):
        raise OSError("disk full")

    with Storage.create() as storage:
        storage.append(vectors(1), [1])
        for target in (path, tmp_path / "new.gallery"):
            with pytest.raises(OSError, match="disk full"):
                storage.copy_to(target, embedder=fail)
    assert os.listdir(tmp_path) == ["a.gallery"]
    with Storage.open(path) as storage:
        assert storage.ids([0, 1]) == ["a", "b"]


def test_a_planted_link_is_not_written_through(path, tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("safe")
    (path / "manifest.json.new").symlink_to(outside)
    (path / "vectors-00000002.npy").symlink_to(outside)
    with Storage.open(path) as storage:
        storage.append(vectors(1), ["c"])
    assert outside.read_text() == "safe"
    (path / "writer.lock").unlink()
    (path / "writer.lock").symlink_to(outside)
    with (
        Storage.open(path) as storage,
        pytest.raises(ValueError, match=r"writer\.lock is no regular file"),
    ):
        storage.append(vectors(1), ["d"])


def test_the_process_may_change_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "a ?#%41 ü.gallery"
    with Storage.create(name) as storage:
        monkeypatch.chdir("/")
        storage.append(vectors(1), [1])
        storage.copy_to(tmp_path / "b.gallery")
    with Storage.open(tmp_path / name) as storage:
        assert storage.ids([0]) == [1]


def test_a_deleted_folder_can_be_closed(path):
    storage = Storage.open(path)
    storage.append(vectors(1), ["c"])
    shutil.rmtree(path)
    storage.close()
    assert not path.exists()


def test_threads_share_a_storage(path):
    errors = []

    def work(storage):
        try:
            for _ in range(50):
                assert storage.ids([0, 1]) == ["a", "b"]
                assert storage.rows_of(["b"]).tolist() == [1]
        except Exception as error:
            errors.append(error)

    with Storage.open(path) as storage:
        threads = [threading.Thread(target=work, args=(storage,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert errors == []


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_folder_that_cannot_be_written_to_can_be_read(path, monkeypatch):
    # root may write everywhere, so the answer of the system is replaced
    monkeypatch.setattr(os, "access", lambda *_: False)
    with Storage.open(path) as storage:
        assert storage.ids([0, 1]) == ["a", "b"]
        with pytest.raises(ValueError, match="must be a folder that can be written to"):
            storage.append(vectors(1), ["c"])
    assert sorted(os.listdir(path)) == sorted(
        ["catalog-00000000.db", "manifest.json", "vectors-00000001.npy", "writer.lock"]
    )
