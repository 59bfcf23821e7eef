"""Evaluation takes PIL's central crops, whatever the kind of image, in the order of the files."""

import numpy as np
import pytest
from photos import photo, pixels_of, read, single, twelve_photos  # noqa: F401, a fixture
from PIL import Image

from keras_proxygml.datasets import ImageFiles, evaluation_batches, training_batches

pytestmark = pytest.mark.tensorflow


def pil_central_crop(image, image_size, shorter_side):
    """What torchvision's Resize and CenterCrop do to a PIL image."""
    width, height = image.size
    shorter = min(width, height)
    size = int(shorter_side * width / shorter), int(shorter_side * height / shorter)
    resized = image.resize(size, Image.Resampling.BILINEAR)
    left, top = (round((side - image_size) / 2) for side in size)
    return np.asarray(resized.crop((left, top, left + image_size, top + image_size)), "float32")


def check_equal_to_pil(files, images, image_size, shorter_side):
    for path, image in zip(files.paths, images, strict=True):
        expected = pil_central_crop(pixels_of(path), image_size, shorter_side)
        # PIL rounds twice. The conversion of CMYK is no standard.
        tolerance = 6 if "cmyk" in path else 1.1
        assert np.abs(image - expected).max() <= tolerance, path
        assert np.abs(image - expected).mean() < 0.4, path


def test_evaluation_equals_pil(tmp_path):
    sizes = [(500, 375), (334, 500), (600, 601), (90, 120), (256, 256), (130, 700)]
    paths = [tmp_path / f"{width}.jpg" for width, _ in sizes]
    for path, size in zip(paths, sizes, strict=True):
        photo(*size).save(path, quality=92)
    files = ImageFiles(paths, range(6), "abcdef")
    images, labels = read(evaluation_batches(files))
    assert (images.shape, images.dtype, labels.dtype) == ((6, 224, 224, 3), "float32", "int32")
    check_equal_to_pil(files, images, 224, 256)


@pytest.mark.parametrize(("image_size", "shorter_side"), [(64, 64), (128, 146), (127, 200)])
def test_evaluation_of_another_size_equals_pil(tmp_path, image_size, shorter_side):
    files = single(tmp_path / "a.png", photo(300, 200))
    images, _ = read(evaluation_batches(files, image_size=image_size, shorter_side=shorter_side))
    check_equal_to_pil(files, images, image_size, shorter_side)


def test_shorter_side_keeps_the_official_proportion(files):
    default, _ = read(evaluation_batches(files, image_size=112))
    given, _ = read(evaluation_batches(files, image_size=112, shorter_side=128))  # as 256 to 224
    np.testing.assert_array_equal(default, given)


def test_kinds_of_images_are_read_as_pil_reads_them(tmp_path):
    kinds = {
        "gray.jpg": ("L", {}),
        "cmyk.jpg": ("CMYK", {}),
        "progressive.jpg": ("RGB", {"progressive": True}),
        "png_inside.jpg": ("RGB", {"format": "PNG"}),
        "gray.png": ("L", {}),
        "alpha.png": ("RGBA", {}),
        "palette.png": ("P", {}),
        "bitmap.bmp": ("RGB", {}),
        "palette.gif": ("P", {}),
        "photo.webp": ("RGB", {"quality": 90}),
        "alpha.webp": ("RGBA", {"lossless": True}),
    }
    for name, (mode, options) in kinds.items():
        photo(80, 64).convert(mode).save(tmp_path / name, **options)
    files = ImageFiles([tmp_path / name for name in kinds], range(len(kinds)), kinds)
    images, _ = read(evaluation_batches(files, image_size=48, shorter_side=64, on_error="raise"))
    check_equal_to_pil(files, images, 48, 64)
    cropped, _ = read(training_batches(files, image_size=32, on_error="raise"))
    assert cropped.shape == (len(kinds), 32, 32, 3)


def test_evaluation_keeps_the_order(files):
    sizes = [len(labels) for _, labels in evaluation_batches(files, 5, image_size=16)]
    assert sizes == [5, 5, 2]
    _, labels = read(evaluation_batches(files, 5, image_size=16))
    np.testing.assert_array_equal(labels, files.labels)
