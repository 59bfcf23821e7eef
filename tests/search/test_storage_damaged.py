"""A gallery that is damaged, foreign or newer gives a clear error, and never a wrong row."""

import random
import shutil

import numpy as np
import pytest
from damages import CRAFTED, DAMAGES, KINDS, catalog_of, content, file_of, make, rewrite_manifest

from keras_proxygml.search._storage.storage import Storage


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return make(tmp_path_factory.mktemp("galleries") / "a.gallery")


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return make(tmp_path_factory.mktemp("galleries") / "b.gallery", seed=1)


@pytest.fixture
def gallery(original, tmp_path):
    return shutil.copytree(original, tmp_path / "products.gallery")


def refused(gallery, *words):
    with pytest.raises(ValueError, match=r"`path` must .*\. Received: ") as caught:
        Storage.open(gallery)
    assert gallery.name in str(caught.value)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("damage", CRAFTED)
def test_what_was_crafted_is_refused_when_it_is_read(gallery, damage):
    CRAFTED[damage](gallery)
    with Storage.open(gallery) as storage, pytest.raises(ValueError, match="`path` must"):
        content(storage)


def test_verify_finds_values_of_other_types(gallery):
    with catalog_of(gallery) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("UPDATE items SET label = x'00ff' WHERE row = 71")
    with Storage.open(gallery) as storage, pytest.raises(ValueError, match="`path` must"):
        storage.verify()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_gallery_is_refused(gallery, damage):
    DAMAGES[damage](gallery)
    refused(gallery)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", ["half", "a byte less", "a byte more", "nothing"])
def test_a_cut_file_is_refused(gallery, kind, change):
    path = file_of(gallery, kind)
    before = path.read_bytes()
    half, less = before[: len(before) // 2], before[:-1]
    if kind == "manifest":
        less = before.rstrip()[:-1]  # its last byte is the end of the line
    more = before + b"x"
    contents = {"half": half, "a byte less": less, "a byte more": more, "nothing": b""}
    path.write_bytes(contents[change])
    refused(gallery)


@pytest.mark.parametrize("kind", KINDS)
def test_flipped_bits_are_found(gallery, kind):
    path, rng = file_of(gallery, kind), random.Random(0)
    before = path.read_bytes()
    for _ in range(30):
        after = bytearray(before)
        after[rng.randrange(len(after))] ^= 1 << rng.randrange(8)
        path.write_bytes(after)
        if kind == "manifest" and after.split() == before.split():
            continue  # one white space became another
        refused(gallery)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_another_gallery_is_refused(gallery, other, kind):
    path = file_of(gallery, kind)
    shutil.copy(other / path.name, path)
    refused(gallery)


def test_errors_say_what_is_wrong(gallery, tmp_path):
    with pytest.raises(FileNotFoundError, match="must be the folder of a gallery"):
        Storage.open(tmp_path / "missing.gallery")
    with pytest.raises(NotADirectoryError, match="must be the folder of a gallery"):
        Storage.open(gallery / "manifest.json")
    rewrite_manifest(format_version=2)(gallery)
    refused(gallery, "must be a gallery of format 1 or older", "of format 2", "Upgrade")
    rewrite_manifest(format_version=1)(gallery)
    (gallery / "manifest.json").write_bytes(b"{")
    refused(gallery, "manifest.json is no JSON", "Restore it from a copy")
    (gallery / "manifest.json").unlink()
    refused(gallery, "has no manifest.json")


def test_a_log_that_was_cut_is_refused(gallery, tmp_path):
    with Storage.open(gallery) as storage:
        storage.append(np.ones((2, 4), "f4"), [500, 501])
        storage.append(np.ones((2, 4), "f4"), [600, 601])
        killed = shutil.copytree(gallery, tmp_path / "killed.gallery")
    before = shutil.copytree(killed, tmp_path / "before.gallery")
    with Storage.open(before) as storage:
        assert storage.ids([-1 + storage.num_rows]) == [601]
    (log,) = killed.glob("*-wal")
    for shm in killed.glob("*-shm"):
        shm.unlink()
    log.write_bytes(log.read_bytes()[:5000])
    refused(killed, "lacks the last changes")
