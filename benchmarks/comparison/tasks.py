"""What `compare_losses` trains on: three tasks, each a data set and the network that embeds it.

A task gives inputs of a training and a test half, and builds an embedder for them that starts the
same for every loss. Inputs are `[views, n, ...]`: of each training image a run meets one view at
random, in each epoch. `validation` has the training classes, prepared like the test half. Held-out
classes are judged on it.
"""

import dataclasses
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from benchmarks.comparison.axes import Log
from keras_proxygml import datasets


@dataclasses.dataclass
class Half:
    """Inputs `[views, n, ...]` and their labels `[n]`."""

    inputs: np.ndarray
    labels: np.ndarray

    def classes(self, chosen):
        """The half with these classes only, numbered from 0."""
        kept = np.isin(self.labels, chosen)
        return Half(self.inputs[:, kept], np.searchsorted(np.sort(chosen), self.labels[kept]))


class Drawings:
    """Gray pictures of 32 × 32 pixels, distorted at random; a small CNN from scratch."""

    learning_rate, embedding_size = 1e-3, 128
    rates = Log(2e-4, 2e-2)

    def embedder(self):
        images = keras.Input(self.train.inputs.shape[2:])
        x = keras.layers.Rescaling(1 / 127.5, -1)(images)
        for filters in (32, 64, 128):
            x = keras.layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(x)
            x = keras.layers.BatchNormalization()(x)
            x = keras.layers.Activation("relu")(x)
        x = keras.layers.Flatten()(x)
        return keras.Model(images, keras.layers.Dense(self.embedding_size)(x))


class Glyphs(Drawings):
    """Characters in twelve font faces, turned, shifted, scaled and with noise.

    Undistorted, almost every loss ends at the same Recall@1, and tells nothing. The first 400
    classes of each half are used, so that a run takes a minute.
    """

    epochs, num_classes = 32, 400

    def __init__(self, folder=None):
        self.train, self.test = (
            self._half(*half, seed, views)
            for half, seed, views in zip(datasets.glyphs(), (1, 2), (2, 1), strict=True)
        )
        self.validation = self.train

    def _half(self, images, labels, seed, views):
        kept = labels < self.num_classes
        return Half(distorted(images[kept], seed, views, 10, 40), labels[kept])


class Icons(Drawings):
    """Icons of 630 concepts by 47 icon sets, shrunk to 32 × 32 pixels, bright on black.

    `folder` is a folder with `icons64.npz`. Icons are turned, shifted and scaled a little, and not
    mirrored, because arrows to the left and to the right are two concepts. Those that are judged
    are as they were drawn.
    """

    epochs = 32

    def __init__(self, folder):
        with np.load(existing(folder, "icons64.npz")) as file:
            images, labels, half = file["images"], file["labels"], int(file["half"])
        images = 255 - images.reshape(-1, 32, 2, 32, 2, 1).mean((2, 4)).astype("uint8")
        test = labels >= half
        self.train = Half(distorted(images[~test], 1, 4, 5, 0), labels[~test])
        self.validation = Half(images[None, ~test], labels[~test])
        self.test = Half(images[None, test], labels[test] - half)


def distorted(images, seed, views, degrees, noise):
    """Views `[views, n, 32, 32, 1]` of pictures: turned, scaled, shifted, with Gaussian noise."""
    rng = np.random.default_rng(seed)
    made = np.empty((views, *images.shape), "uint8")
    for view in made:
        for image, out in zip(images[..., 0], view[..., 0], strict=True):
            angle, scale = np.deg2rad(rng.normal(0, degrees)), np.exp(rng.normal(0, 0.1))
            cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
            shift = rng.normal(0, 1.5, 2) + 16 - [16 * (cos + sin), 16 * (cos - sin)]
            rows = cos, sin, shift[0], -sin, cos, shift[1]
            drawn = Image.fromarray(image).transform(
                image.shape, Image.Transform.AFFINE, rows, Image.Resampling.BILINEAR
            )
            out[:] = np.clip(np.asarray(drawn) + rng.normal(0, noise, image.shape), 0, 255)
    return made


def existing(folder, name):
    """The path of a file in the --data folder."""
    if folder is None or not (Path(folder) / name).exists():
        raise SystemExit(f"{name} is missing. Give the --data folder that has it.")
    return Path(folder) / name


class Products:
    """Product images on a pretrained EfficientNet-Lite0, whose blocks up to the last are frozen.

    What comes out of the frozen blocks is computed once for each image and its mirror image, and
    kept. `folder` is a folder with `products/` and `efficientnet_lite0_imagenet.keras`.
    """

    epochs, learning_rate, embedding_size = 6, 5e-4, 256
    rates = Log(1e-4, 2e-3)  # at higher ones, most losses destroy what is pretrained
    frozen_until = "b15_expand"

    def __init__(self, folder):
        self._path = existing(folder, "efficientnet_lite0_imagenet.keras")
        backbone = keras.models.load_model(self._path, compile=False)
        first = [layer.name for layer in backbone.layers].index(self.frozen_until)
        lower = keras.Model(backbone.input, backbone.layers[first].input)
        self.train, self.test = (
            Half(self._frozen(lower, files), files.labels)
            for files in datasets.image_folder(existing(folder, "products"))
        )
        self.validation = self.train

    def _frozen(self, lower, files, size=128):
        images = datasets.evaluation_batches(files, 64, image_size=size, shorter_side=size)
        views = [lower.predict(images.map(view), verbose=0) for view in (_as_is, _mirrored)]
        return np.stack(views).astype("float16")

    def embedder(self):
        backbone = keras.models.load_model(self._path, compile=False)
        first = [layer.name for layer in backbone.layers].index(self.frozen_until)
        inputs = x = keras.Input(self.train.inputs.shape[2:])
        for layer in backbone.layers[first:]:  # a chain
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False
            x = layer(x)
        return keras.Model(inputs, keras.layers.Dense(self.embedding_size)(x))


def _as_is(images, labels):
    return images


def _mirrored(images, labels):
    return images[:, :, ::-1]


class Batches(keras.utils.PyDataset):
    """A random view of each image, in a random order, or `per_class` of each class of a batch.

    Losses on pairs need the latter: a random batch of many classes has hardly a pair.
    """

    def __init__(self, half, batch_size, seed, per_class=1):
        super().__init__()
        self.half, self.batch_size, self.per_class = half, batch_size, per_class
        self.rng = np.random.default_rng(seed)
        self.on_epoch_end()

    def __len__(self):
        return len(self.half.labels) // self.batch_size

    def on_epoch_end(self):
        """Draws an order: groups of images of one class, at random."""
        labels = self.half.labels
        shuffled = self.rng.permutation(len(labels))
        by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
        runs = np.split(by_class, np.flatnonzero(np.diff(labels[by_class])) + 1)
        groups = [
            run[i : i + self.per_class] for run in runs for i in range(0, len(run), self.per_class)
        ]
        self.order = np.concatenate([groups[i] for i in self.rng.permutation(len(groups))])
        self.views = self.rng.integers(len(self.half.inputs), size=len(labels))

    def __getitem__(self, index):
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        inputs = self.half.inputs[self.views[chosen], chosen]
        return inputs.astype("float32"), self.half.labels[chosen].astype("int32")


TASKS = {"products": Products, "glyphs": Glyphs, "icons": Icons}
