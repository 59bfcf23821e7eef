"""A small embedder with trained batch statistics, and the image files of the tests of datasets."""

import sys
from pathlib import Path

import keras
import numpy as np
import pytest

sys.path.append(str(Path(__file__).parent.parent / "datasets"))  # image_kinds and photos


def with_statistics(model, seed=0):
    """Gives batch normalizations statistics, scales and offsets as after training."""
    rng = np.random.default_rng(seed)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(rng.normal(0, 0.3, layer.moving_mean.shape))
            layer.moving_variance.assign(rng.uniform(0.5, 2, layer.moving_variance.shape))
            layer.beta.assign(rng.normal(0, 0.3, layer.beta.shape))
            if layer.gamma is not None:
                layer.gamma.assign(rng.uniform(0.5, 1.5, layer.gamma.shape))
    return model


def make_embedder(size=24, channels=3):
    keras.utils.set_random_seed(3)
    images = keras.Input((size, size, channels))
    x = keras.layers.RandomFlip()(images)
    x = keras.layers.RandomRotation(0.5)(x)
    x = keras.layers.Rescaling(1 / 127.5, -1)(x)
    x = keras.layers.Conv2D(8, 3, strides=2, use_bias=False)(x)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.Dropout(0.5)(keras.layers.Flatten()(x))
    return with_statistics(keras.Model(images, keras.layers.Dense(8)(x), name="small"))


@pytest.fixture(scope="session")
def embedder():
    return make_embedder()


@pytest.fixture(scope="session")
def images():
    return np.random.default_rng(0).uniform(0, 255, (10, 24, 24, 3)).astype("float32")
