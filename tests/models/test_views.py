"""Embedders that average over an image and its mirror image, or over shifted copies."""

import keras
import numpy as np
import pytest

from keras_proxygml.models import with_mirror, with_shifts
from keras_proxygml.search import Gallery

IMAGES = np.random.default_rng(0).uniform(0, 255, (6, 8, 10, 3)).astype("float32")
MAKERS = {"mirror": with_mirror, "shifts": lambda embedder: with_shifts(embedder, 2)}


@pytest.fixture(params=MAKERS.values(), ids=MAKERS)
def with_views(request):
    return request.param


def embedder():
    layers = [keras.Input((8, 10, 3)), keras.layers.Flatten(), keras.layers.Dense(4)]
    return keras.Sequential(layers)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def mean_over(model, views):
    return np.mean([unit(model.predict(view, verbose=0)) for view in views], axis=0)


def test_vectors_are_means_over_an_image_and_its_mirror_image():
    model = embedder()
    found = with_mirror(model).predict(IMAGES, verbose=0)
    expected = mean_over(model, [IMAGES, IMAGES[:, :, ::-1]])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    again = with_mirror(model).predict(IMAGES[:, :, ::-1], verbose=0)
    np.testing.assert_allclose(again, found, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("pixels", [1, 3])
def test_vectors_are_means_over_an_image_and_four_shifted_ones(pixels):
    model = embedder()
    wide = np.pad(IMAGES, [(0, 0), (pixels, pixels), (pixels, pixels), (0, 0)], mode="edge")
    corners = [(0, pixels), (2 * pixels, pixels), (pixels, 0), (pixels, 2 * pixels)]
    views = [IMAGES, *(wide[:, row : row + 8, column : column + 10] for row, column in corners)]
    found = with_shifts(model, np.int64(pixels)).predict(IMAGES, verbose=0)
    np.testing.assert_allclose(found, mean_over(model, views), rtol=1e-5, atol=1e-6)


def test_an_embedder_of_images_of_any_size_can_be_shifted():
    layers = [keras.Input((None, None, 3)), keras.layers.GlobalMaxPooling2D()]
    model = keras.Sequential([*layers, keras.layers.Dense(4)])
    assert with_shifts(model, 2).predict(IMAGES, verbose=0).shape == (6, 4)
    with pytest.raises(ValueError, match=r"`pixels` must be an integer of 1 or more\. Received: "):
        with_shifts(model, 0)


def test_it_is_saved_and_searched_with_as_any_embedder(with_views, tmp_path):
    model = with_views(embedder())
    model.save(tmp_path / "embedder.keras")
    loaded = keras.models.load_model(tmp_path / "embedder.keras")
    expected = model.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(loaded.predict(IMAGES, verbose=0), expected, rtol=1e-6)
    gallery = Gallery(loaded)
    gallery.add(IMAGES, labels=list("aabbcc"), ids=range(6))
    assert [ids[0] for ids in gallery.search(IMAGES, k=1).ids] == list(range(6))


def test_black_images_give_finite_vectors_in_half_precision(with_views):
    keras.config.set_dtype_policy("mixed_float16")
    found = with_views(embedder()).predict(np.zeros_like(IMAGES), verbose=0)
    assert found.dtype == "float32"
    np.testing.assert_array_equal(found, np.zeros((6, 4)))


def test_embedders_of_other_inputs_are_refused(with_views):
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    with pytest.raises(ValueError, match=r"`embedder` must be a model from images .* Received: "):
        with_views(model)


@pytest.mark.parametrize("pixels", [0, -1, 1.5, None, 8])
def test_shifts_must_be_whole_pixels_and_smaller_than_the_images(pixels):
    with pytest.raises(ValueError, match=r"`pixels` must be an integer of 1 to 7\. Received: "):
        with_shifts(embedder(), pixels)
