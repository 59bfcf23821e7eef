"""A gallery follows image files: new, changed, unreadable ones."""

import os
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from keras_proxygml.datasets import ImageFiles, class_folders
from keras_proxygml.search import Gallery, index_files

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def embedder():
    images = keras.Input((8, 8, 3))
    return keras.Model(images, keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(images)))


def write(path, color):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8, 3), color, "uint8")).save(path)


@pytest.fixture
def photos(tmp_path):
    for place, color in enumerate([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)]):
        write(tmp_path / f"photos/{'warm' if place in (0, 3) else 'cold'}/{place}.png", color)
    return tmp_path / "photos"


def held(gallery):
    return {os.path.basename(x.id): (x.label, x.vector.round(3).tolist()) for x in gallery.items()}


def test_new_files_are_added_and_changed_ones_replaced(embedder, photos):
    gallery = Gallery(embedder)
    done = []
    found = index_files(gallery, class_folders(photos), block=3, on_block=lambda *x: done.append(x))
    assert [len(ids) for ids in found] == [4, 0, 0, 0]
    assert done == [(0, 4), (3, 4), (4, 4)]
    assert all(os.path.isabs(x.id) and x.metadata["bytes"] > 0 for x in gallery.items())
    before = held(gallery)

    write(photos / "warm/0.png", (200, 10, 0))
    os.utime(photos / "warm/0.png", (1, 1))
    write(photos / "warm/4.png", (100, 0, 0))
    os.rename(photos / "cold/1.png", photos / "cold/5.png")
    found = index_files(gallery, class_folders(photos))
    assert [[os.path.basename(x) for x in ids] for ids in found] == [
        ["5.png", "4.png"], ["0.png"], ["2.png", "3.png"], []
    ]  # fmt: skip
    after = held(gallery)
    assert after["0.png"] != before["0.png"]
    assert after["5.png"] == before["1.png"] == after["1.png"]  # its file is gone, the item stays
    unchanged = index_files(gallery, class_folders(photos)).unchanged
    assert [os.path.basename(x) for x in unchanged] == [f"{n}.png" for n in (2, 5, 0, 3, 4)]


def test_another_label_updates_an_item(embedder, photos):
    gallery = Gallery(embedder)
    files = class_folders(photos)
    index_files(gallery, files)
    renamed = ImageFiles(files.paths, files.labels, ["blue", "red"])
    assert len(index_files(gallery, renamed).updated) == 4
    assert {label for label, _ in held(gallery).values()} == {"blue", "red"}


def test_unreadable_files_are_named_and_the_rest_goes_on(embedder, photos):
    gallery = Gallery(embedder)
    index_files(gallery, class_folders(photos))
    before = held(gallery)
    (photos / "warm/0.png").write_bytes(b"no image")
    (photos / "warm/6.png").write_bytes(b"no image")
    write(photos / "cold/7.png", (0, 9, 9))
    counts = pytest.warns(UserWarning, match="Skipped 1 of 1 images")
    held_already = pytest.warns(UserWarning, match=r"Skipped .*0\.png")
    with counts, held_already, pytest.warns(UserWarning, match=r"Skipped .*6\.png"):
        found = index_files(gallery, class_folders(photos), block=1)
    assert [os.path.basename(x) for x in found.added] == ["7.png"]
    assert [os.path.basename(x) for x in found.unreadable] == ["6.png", "0.png"]
    assert held(gallery)["0.png"] == before["0.png"]


def test_files_without_labels(embedder, photos):
    gallery = Gallery(embedder)
    files = class_folders(photos)
    index_files(gallery, files, labeled=False)
    assert {label for label, _ in held(gallery).values()} == {None}
    assert len(index_files(gallery, files, labeled=False).unchanged) == 4


def test_labels_are_taken_away(embedder, photos):
    gallery = Gallery(embedder)
    files = class_folders(photos)
    index_files(gallery, files)
    assert len(index_files(gallery, files, labeled=False).updated) == 4
    assert {label for label, _ in held(gallery).values()} == {None}


def test_metadata_of_users_stay(embedder, photos):
    gallery = Gallery(embedder)
    files = class_folders(photos)
    gallery.add([*files.paths], ["warm"] * 4, metadata=[{"shop": name} for name in "abcd"])
    for _ in range(2):  # the first time, the items lack the sizes of their files
        found = index_files(gallery, files)
        assert len(found.updated) + len(found.unchanged) == 4
        items = gallery.get([*files.paths])
        assert "".join(x.metadata["shop"] for x in items) == "abcd"
        assert {x.label for x in items} == {"cold", "warm"}
        assert all(x.metadata["bytes"] == os.path.getsize(x.id) for x in items)
        write(photos / "warm/0.png", (9, 9, 9))
        os.utime(photos / "warm/0.png", (1, 1))
    assert [os.path.basename(x) for x in found.updated] == ["0.png"]
    assert len(index_files(gallery, files).unchanged) == 4


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_not_unicode_is_unreadable(embedder, photos):
    odd = os.fsencode(photos / "warm") + b"/\xff.png"
    os.rename(photos / "warm/0.png", odd)
    gallery = Gallery(embedder)
    with pytest.warns(UserWarning, match=r"Skipped .*, which cannot be read\. Its path is not U"):
        found = index_files(gallery, class_folders(photos))
    assert found.unreadable == [os.fsdecode(odd)]
    assert [os.path.basename(x) for x in found.added] == ["1.png", "2.png", "3.png"]


def test_a_file_that_occurs_twice_is_refused(embedder, photos):
    path = photos / "warm/0.png"
    files = ImageFiles([path, os.path.relpath(path)], [0, 0], ["warm"])
    with pytest.raises(ValueError, match=r"`files` must be unique\. Received: 1 that occur"):
        index_files(Gallery(embedder), files)
    with pytest.raises(ValueError, match="`block` must be an integer of 1 or more"):
        index_files(Gallery(embedder), files, block=0)
