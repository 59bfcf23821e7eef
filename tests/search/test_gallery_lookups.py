"""Looking up items, reading images, and following another process to another gallery."""

import io

import keras
import numpy as np
import pytest
from PIL import Image

from keras_proxygml.datasets import read_image
from keras_proxygml.search import Gallery


def filled():
    gallery = Gallery()
    gallery.add(np.eye(4), list("aabb"), ids=list("wxyz"), metadata=[{"n": i} for i in range(4)])
    return gallery


def flattened(size, units):
    inputs = keras.Input((size, size, 3))
    return keras.Model(inputs, keras.layers.Dense(units)(keras.layers.Flatten()(inputs)))


def test_get_returns_items_in_the_order_that_is_asked_for():
    z, w = filled().get(["z", "w"])
    assert (z.id, z.label, z.metadata) == ("z", "b", {"n": 3})
    np.testing.assert_array_equal(w.vector, np.eye(4)[0])
    with pytest.raises(ValueError, match=r"`ids` must be in the gallery\. Received: 'v'"):
        filled().get(["v"])


def test_items_may_start_later():
    gallery = filled()
    gallery.remove(["x"])
    assert [item.id for item in gallery.items(start=1)] == ["y", "z"]
    assert list(gallery.items(start=9)) == []
    with pytest.raises(ValueError, match="`start` must be an integer of 0 or more"):
        next(gallery.items(start=-1))


def test_path(tmp_path):
    with filled() as gallery:
        assert gallery.path is None
        gallery.save(tmp_path / "a.gallery")
        assert gallery.path == tmp_path / "a.gallery"


@pytest.mark.tensorflow
def test_images_are_read_as_the_gallery_reads_files():
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (50, 40, 3), dtype="uint8")
    Image.fromarray(pixels).save(file, "PNG")
    with Gallery(flattened(8, 2), image_options={"shorter_side": 20}) as gallery:
        found = gallery.read_image(file.getvalue())
    expected = read_image(file.getvalue(), image_size=8, shorter_side=20)
    np.testing.assert_array_equal(found, expected)
    assert found.shape == (8, 8, 3)


def test_images_are_not_read_for_vectors():
    with pytest.raises(ValueError, match=r"Received: image files, and no embedder\."):
        filled().read_image(b"")


def test_reload_takes_the_embedder_and_the_index_of_another_gallery(tmp_path):
    images = np.random.default_rng(0).uniform(0, 255, (6, 8, 8, 3)).astype("float32")
    with Gallery(flattened(8, 3)) as first:
        first.add(images)
        first.save(tmp_path / "a.gallery")
    with Gallery.load(tmp_path / "a.gallery") as reader:
        before = reader.embedder
        reader.reload()
        assert reader.embedder is before
        with Gallery(flattened(8, 5), index="int8", image_options={"shorter_side": 9}) as second:
            second.add(images[::-1])
            second.save(tmp_path / "a.gallery")
            expected = second.search(images, 2)
        reader.reload()
        found = reader.search(images, 2)
        np.testing.assert_array_equal(found.ids, expected.ids)
        assert found.ids[:, 0].tolist() == [5, 4, 3, 2, 1, 0]


def test_an_embedder_that_was_given_stays(tmp_path):
    images = np.ones((1, 8, 8, 3), "float32")
    embedder = flattened(8, 3)
    with Gallery(embedder) as first:
        first.add(images)
        first.save(tmp_path / "a.gallery")
    with Gallery.load(tmp_path / "a.gallery", embedder) as reader:
        with Gallery(flattened(8, 3)) as second:
            second.add(images)
            second.save(tmp_path / "a.gallery")
        reader.reload()
        assert reader.embedder is embedder
        with pytest.raises(ValueError, match="`embedder` must be the one that made"):
            reader.search(images, 1)


def test_a_frozen_embedder_is_not_checked_at_each_search():
    embedder = flattened(8, 3)
    images = np.ones((1, 8, 8, 3), "float32")
    with Gallery(embedder) as gallery:
        gallery.add(images)
        gallery.freeze_embedder()
        embedder.layers[-1].bias.assign([9.0, 9.0, 9.0])
        assert gallery.search(images, 1).ids[0, 0] == 0
