"""Embedders that average over an image and its mirror image."""

import keras
import numpy as np
import pytest

from keras_proxygml.models import with_mirror
from keras_proxygml.search import Gallery

IMAGES = np.random.default_rng(0).uniform(0, 255, (6, 8, 10, 3)).astype("float32")


def embedder():
    layers = [keras.Input((8, 10, 3)), keras.layers.Flatten(), keras.layers.Dense(4)]
    return keras.Sequential(layers)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_vectors_are_means_over_an_image_and_its_mirror_image():
    model = embedder()
    as_is, mirrored = (model.predict(x, verbose=0) for x in (IMAGES, IMAGES[:, :, ::-1]))
    found = with_mirror(model).predict(IMAGES, verbose=0)
    np.testing.assert_allclose(found, (unit(as_is) + unit(mirrored)) / 2, rtol=1e-5, atol=1e-6)
    again = with_mirror(model).predict(IMAGES[:, :, ::-1], verbose=0)
    np.testing.assert_allclose(again, found, rtol=1e-5, atol=1e-6)
    assert np.abs(found - unit(as_is)).max() > 0.01


def test_it_is_saved_and_searched_with_as_any_embedder(tmp_path):
    model = with_mirror(embedder())
    model.save(tmp_path / "embedder.keras")
    loaded = keras.models.load_model(tmp_path / "embedder.keras")
    expected = model.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(loaded.predict(IMAGES, verbose=0), expected, rtol=1e-6)
    gallery = Gallery(loaded)
    gallery.add(IMAGES, labels=list("aabbcc"), ids=range(6))
    assert [ids[0] for ids in gallery.search(IMAGES[:, :, ::-1], k=1).ids] == list(range(6))


def test_black_images_give_finite_vectors_in_half_precision():
    keras.config.set_dtype_policy("mixed_float16")
    found = with_mirror(embedder()).predict(np.zeros_like(IMAGES), verbose=0)
    assert found.dtype == "float32"
    np.testing.assert_array_equal(found, np.zeros((6, 4)))


def test_embedders_of_other_inputs_are_refused():
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    with pytest.raises(ValueError, match=r"`embedder` must be a model from images .* Received: "):
        with_mirror(model)
