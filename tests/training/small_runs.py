"""Images in memory and on disk, a backbone and a recipe that train in a moment."""

import keras
import numpy as np
from PIL import Image

from keras_proxygml.datasets import ImageFiles
from keras_proxygml.training import RECIPES, fine_tune

RECIPE = RECIPES["fine_tune"].replace(
    epochs=2, warm_up=1, embedding_size=4, batch_size=8, learning_rate=0.01
)
NAMES = ("a", "b", "c", "d")


def pixels(images=12, size=12, seed=0):
    """Noisy plain colors, one color a class: `[n, S, S, 3]`, uint8, and labels `[n]`."""
    random, labels = np.random.default_rng(seed), np.arange(images) % len(NAMES)
    colors = random.integers(40, 216, (len(NAMES), 1, 1, 3))
    noise = random.integers(-40, 40, (images, size, size, 3))
    return (colors[labels] + noise).astype("uint8"), labels


def files(folder, **options):
    """The same pixels as PNG files in a folder for each class, `ImageFiles`."""
    images, labels = pixels(**options)
    paths = [folder / NAMES[label] / f"{number}.png" for number, label in enumerate(labels)]
    for path, image in zip(paths, images, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return ImageFiles(paths, labels, NAMES)


def backbone(size=12):
    """A network from images to eight numbers, the same each time."""
    images = keras.Input((size, size, 3))
    x = keras.layers.AveragePooling2D(4)(keras.layers.Rescaling(1 / 255)(images))
    x = keras.layers.Dense(8, name="features", kernel_initializer=_seeded())(
        keras.layers.Flatten()(x)
    )
    return keras.Model(images, keras.layers.BatchNormalization()(x), name="tiny")


def _seeded():
    return keras.initializers.GlorotUniform(seed=1)


def train(train=None, test="same", **options):
    """Fine-tunes on the pixels, silently."""
    data = pixels() if train is None else train
    given = {"backbone": backbone(), "recipe": RECIPE, "verbose": 0} | options
    return fine_tune(data, data if test == "same" else test, **given)
