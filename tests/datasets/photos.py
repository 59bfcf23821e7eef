"""Photographs that tests write and read back, and a small model that they train."""

import keras
import numpy as np
import pytest
from PIL import Image

from keras_proxygml.datasets import ImageFiles


def photo(width, height, seed=0):
    """Soft shapes in color with some grain, as photographs have."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (height // 8, width // 8, 3), "uint8"))
    soft = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), int)
    grainy = soft + random.integers(-8, 9, (height, width, 1))
    return Image.fromarray(np.clip(grainy, 0, 255).astype("uint8"))


@pytest.fixture(scope="module", name="files")
def twelve_photos(tmp_path_factory):
    """Twelve photographs, three of each class."""
    folder = tmp_path_factory.mktemp("photos")
    paths = [folder / f"{number}.jpg" for number in range(12)]
    for number, path in enumerate(paths):
        photo(60, 45, number).save(path)
    return ImageFiles(paths, np.arange(12) // 3, "abcd")


def single(path, image=None, copies=1, **options):
    """Files that are one image so many times."""
    if image is not None:
        image.save(path, **options)
    return ImageFiles([path] * copies, np.zeros(copies, "int32"), ["x"])


def read(dataset):
    """All images and labels, in the order they come in."""
    images, labels = zip(*dataset.as_numpy_iterator(), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def pixels_of(path):
    with Image.open(path) as image:
        return image.convert("RGB")


def embedding_model():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((16, 16, 3)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten(),
         keras.layers.Dense(4)]
    )  # fmt: skip
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model
