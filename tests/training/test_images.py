"""Images in memory give the batches that the same images give as files."""

import numpy as np
import pytest
from small_runs import NAMES, RECIPE, files, pixels

from keras_proxygml.datasets import evaluation_batches, training_batches
from keras_proxygml.training.images import (
    as_images,
    batches_to_test,
    batches_to_train,
    check_classes,
    natural_size,
    side_before_crop,
)

pytestmark = pytest.mark.tensorflow


def read(dataset):
    images, labels = zip(*dataset.as_numpy_iterator(), strict=True)
    return np.concatenate(images), np.concatenate(labels)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_training_batches_are_those_of_the_files(tmp_path, dtype):
    images, labels = pixels()
    arrays = as_images("train", (images.astype(dtype), labels))
    options = {"image_size": 8, "seed": 3, "first_epoch": 1, "preprocess": lambda x: x / 2}
    batches = batches_to_train(arrays, RECIPE, **options)
    expected = training_batches(files(tmp_path), 8, area=(0.3, 1.0), **options)
    assert len(batches) == len(expected) == 2
    for _ in range(2):  # epochs, which differ
        (got, got_labels), (wanted, wanted_labels) = read(batches), read(expected)
        np.testing.assert_allclose(got, wanted, atol=1e-4)
        np.testing.assert_array_equal(got_labels, wanted_labels)


def test_no_image_is_mirrored_if_the_recipe_says_so():
    images, labels = pixels(size=8)
    images[:] = np.arange(8, dtype="uint8")[:, None] * 30  # bright on the right
    arrays, is_mirrored = as_images("train", (images, labels)), {}
    for flip in (True, False):
        recipe = RECIPE.replace(flip=flip, crop_area=0.9)
        got = read(batches_to_train(arrays, recipe, image_size=8))[0]
        is_mirrored[flip] = got[:, 0, 0, 0] > got[:, 0, -1, 0]
    assert 0 < is_mirrored[True].sum() < len(images)
    assert not is_mirrored[False].any()


def test_test_batches(tmp_path):
    images, labels = pixels()
    arrays = as_images("test", (images, labels))
    assert natural_size(arrays, 224) == 12
    assert natural_size(files(tmp_path), 224) == 224
    same = read(batches_to_test(arrays, image_size=12, shorter_side=12))
    np.testing.assert_array_equal(same[0], images)
    np.testing.assert_array_equal(same[1], labels)
    cropped = read(batches_to_test(arrays, image_size=7, shorter_side=8))[0]
    expected = read(evaluation_batches(files(tmp_path), image_size=7, shorter_side=8))[0]
    np.testing.assert_allclose(cropped, expected, atol=1e-4)
    assert side_before_crop(arrays, 8, None) == 8
    assert side_before_crop(files(tmp_path), 224, None) == 256
    assert side_before_crop(arrays, 8, 9) == 9


def test_names_become_numbers():
    images, labels = pixels()
    named = as_images("train", (images, np.array(NAMES)[labels]))
    assert named.class_names == NAMES
    np.testing.assert_array_equal(named.labels, labels)
    apart = as_images("train", (images, labels * 10))
    assert apart.class_names == ("0", "10", "20", "30")
    np.testing.assert_array_equal(apart.labels, labels)


def wrong(change):
    images, labels = pixels()
    return change(images, labels)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda x, y: x, r"`train` must be ImageFiles, or a pair of arrays .* a ndarray"),
        (lambda x, y: (x[..., :1], y), r"RGB from 0 to 255. .* shape \(12, 12, 12, 1\).* Repeat a"),
        (lambda x, y: (x / 255, y), "`train` must have pixels from 0 to 255.* by 255"),
        (lambda x, y: (x, y[1:]), r"`train\[1\]` must have 12 items.* 11 items"),
        (lambda x, y: (x, y / 2), r"`train\[1\]` must be integers or strings"),
    ],
)
def test_what_is_no_image(data, message):
    with pytest.raises(ValueError, match=message):
        as_images("train", wrong(data))


@pytest.mark.parametrize(
    ("train", "test", "ratio", "message"),
    [
        ([0, 0], None, 0.9, "`train` must hold images of two classes or more. Received: 1 classes"),
        ([0, 1], [0, 0], 0.9, "and so must `test`. .* 3 classes, 2 to train on and 1 to test on"),
        ([0, 1], [0, 1], 0.9, "`test` must hold two images or more of a class"),
        ([0, 1], [0, 0, 1], 0.5, "`ratio` must be above 0.5 with 2 classes to train on"),
    ],
)
def test_too_few_classes_or_images(train, test, ratio, message):
    def made(labels):
        return labels and as_images("x", (pixels(len(labels))[0], np.array(labels)))

    with pytest.raises(ValueError, match=message):
        check_classes(RECIPE.replace(ratio=ratio), made(train), made(test))


def test_a_crop_that_is_not_possible():
    arrays = as_images("train", pixels())
    with pytest.raises(ValueError, match=r"`crop_area` must be in \(0, 1\]"):
        batches_to_train(arrays, RECIPE.replace(crop_area=1.5), image_size=8)
    with pytest.raises(ValueError, match=r"`shorter_side` must be in \[8, inf\)"):
        side_before_crop(arrays, 8, 7)
