"""The embedders and images of `exports`."""

from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from keras_proxygml import datasets
from keras_proxygml.applications import BNInception

CALIBRATION = 100  # images


class Files(NamedTuple):
    """Image files to check exports with, and to calibrate them with, of other classes."""

    check: datasets.ImageFiles
    calibration: datasets.ImageFiles


def choose(folder, count):
    """Chooses so many images of whole classes to check with, and others at random to calibrate."""
    train, test = datasets.image_folder(folder)
    few = np.random.default_rng(0).permutation(len(train))[:CALIBRATION]
    return Files(_part(test, np.arange(len(test)) < count), _part(train, np.sort(few)))


def _part(files, rows):
    return datasets.ImageFiles(files.paths[rows], files.labels[rows], files.class_names)


def batch_of(files, image_size, count):
    """The first images as an array."""
    images, _ = next(iter(datasets.evaluation_batches(files, count, image_size=image_size)))
    return images.numpy()


def bn_inception(images):
    backbone = BNInception(tuple(images.shape[1:]), embedding_size=128, weights=None)
    return backbone(datasets.bgr_means(images))


def mobilenet_v3_small(images):
    backbone = keras.applications.MobileNetV3Small(
        input_shape=tuple(images.shape[1:]), include_top=False, weights=None, pooling="avg"
    )
    return keras.layers.Dense(128)(backbone(images))


def vit_tiny(images):
    import keras_hub

    backbone = keras_hub.models.ViTBackbone(
        image_shape=tuple(images.shape[1:]),
        patch_size=16,
        num_layers=6,
        num_heads=3,
        hidden_dim=192,
        mlp_dim=768,
    )
    tokens = backbone(keras.layers.Rescaling(1 / 127.5, -1)(images))
    return keras.layers.Dense(128)(tokens[:, 0])


MAKERS = {"bn_inception": bn_inception, "mobilenet_v3_small": mobilenet_v3_small}
MAKERS |= {"vit_tiny": vit_tiny}
NAMES = tuple(MAKERS)


def make(name, image_size, files):
    """Makes an embedder of random weights whose batch statistics fit the images, or loads one."""
    keras.utils.set_random_seed(0)
    images = keras.Input((image_size, image_size, 3))
    if name not in MAKERS:
        model = keras.models.load_model(Path(name), compile=False)
        return keras.Model(images, model(images), name=model.name)
    # Vectors of random weights are nearly equal. Without their mean, they differ.
    centered = keras.layers.BatchNormalization(center=False, scale=False)
    embedder = keras.Model(images, centered(MAKERS[name](images)), name=name)
    for layer in embedder._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.8
    batch = batch_of(files, image_size, 64)
    for _ in range(12):
        embedder(batch, training=True)
    return embedder
