"""Arguments of the batches of images: `preprocess` is applied, and wrong ones are named."""

import sys

import keras
import numpy as np
import pytest
from photos import read, twelve_photos  # noqa: F401, a fixture

from keras_proxygml.datasets import (
    ImageFiles,
    bgr_means,
    evaluation_batches,
    read_image,
    read_pixels,
    readable_files,
    training_batches,
)

pytestmark = pytest.mark.tensorflow


def test_bgr_means():
    images = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3)).astype("uint8")
    expected = images[..., ::-1].astype("float32") - np.array([104, 117, 128], "float32")
    np.testing.assert_array_equal(bgr_means(images), expected)
    inputs = keras.Input((5, 4, 3))
    np.testing.assert_array_equal(keras.Model(inputs, bgr_means(inputs))(images), expected)


@pytest.mark.parametrize("make", [training_batches, evaluation_batches])
def test_preprocess_is_applied(files, make):
    plain, _ = read(make(files, 5, image_size=16))
    changed, _ = read(make(files, 5, image_size=16, preprocess=bgr_means))
    assert 0 <= plain.min() < plain.max() <= 255
    np.testing.assert_allclose(changed, bgr_means(plain), atol=1e-4)
    scaled, _ = read(
        make(files, 5, image_size=16, preprocess=keras.applications.mobilenet_v2.preprocess_input)
    )
    np.testing.assert_allclose(scaled, plain / 127.5 - 1, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "must be an integer of 1 or more. Received: batch_size=0"),
        ({"image_size": 2.5}, r"must be an integer .* Received: image_size=2\.5"),
        ({"on_error": "ignore"}, "must be 'skip' or 'raise'. Received: on_error='ignore'"),
        ({"seed": None}, "must be an integer of 0 to 4294967295. Received: seed=None"),
        ({"seed": 2**32}, "must be an integer .* Received: seed=4294967296"),
        ({"images_per_class": 0}, "must be an integer .* Received: images_per_class=0"),
        ({"batch_size": 32, "images_per_class": 5}, "must be a multiple of .* batch_size=32"),
        ({"first_epoch": -1}, "must be an integer .* Received: first_epoch=-1"),
        ({"area": (0, 1)}, r"must be two numbers in \(0, 1\], .* Received: area=\(0, 1\)"),
        ({"area": (0.5, 1.5)}, r"must be two numbers .* Received: area=\(0\.5, 1\.5\)"),
        ({"area": 0.5}, r"must be two numbers .* Received: area=0\.5"),
        ({"aspect": (2, 1)}, r"must be two numbers .* Received: aspect=\(2, 1\)"),
    ],
)
def test_wrong_arguments_are_refused(files, options, message):
    with pytest.raises(ValueError, match=message):
        training_batches(files, **options)


def test_evaluation_of_a_crop_that_does_not_fit_is_refused(files):
    with pytest.raises(
        ValueError, match=r"`image_size` or more\. Received: shorter_side=200, image_size=224"
    ):
        evaluation_batches(files, shorter_side=200)


def test_no_files_are_refused():
    with pytest.raises(ValueError, match=r"must hold at least one image\. Received: no image"):
        training_batches(ImageFiles([], [], []))


@pytest.mark.parametrize(
    "make",
    [
        training_batches,
        evaluation_batches,
        readable_files,
        lambda files: read_image(files.paths[0]),
    ],
)
def test_missing_tensorflow_is_named(files, monkeypatch, make):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ImportError, match=r"`pip install tensorflow`"):
        make(files)


def test_pixels_are_read_without_tensorflow(files, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    assert read_pixels(files.paths[0]).shape == (45, 60, 3)
